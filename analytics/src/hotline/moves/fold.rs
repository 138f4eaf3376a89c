//! The state that a row of moves comes to: a case is what its moves say, and this checks it.

use super::state::State;
use super::table::Move;

/// The name of a case's first row, which no move of the table has.
pub const OPEN: &str = "open";

/// Who decides a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// This hotline: the table rules.
    Own,
    /// This hotline too: the case was split off another one, whose acceptance is its own.
    Split,
    /// Another system: it opens in handling and is closed to finished.
    Mirror,
}

impl Mode {
    /// The state in which a case is made.
    pub const fn first_state(self) -> State {
        match self {
            Self::Own => State::New,
            Self::Split => State::Accepted,
            Self::Mirror => State::Handling,
        }
    }

    /// Whether a row of this name may lead from one state to the other.
    fn allows(self, name: &str, from: State, to: State) -> bool {
        match self {
            Self::Own | Self::Split => Move::from_name(name)
                .and_then(|case_move| case_move.from(from))
                .is_some_and(|targets| targets.has(to)),
            Self::Mirror => match name {
                "note" => from == to,
                "close" => from == State::Handling && to == State::Finished,
                _ => false,
            },
        }
    }
}

/// What a row of moves comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The state.
    pub state: State,
    /// The number of rows: the case's version.
    pub version: u64,
}

/// Rows that no case can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A case has at least the row that made it.
    #[error("a case without its first row")]
    Empty,
    /// Of a row that is not what stands at its place.
    #[error("row {seq}: `{name}` from `{from}` to `{to}` does not follow")]
    Illegal {
        /// Its place, from 1.
        seq: u64,
        /// Its move.
        name: String,
        /// Where it says it leads from.
        from: String,
        /// Where it says it leads to.
        to: String,
    },
}

/// Goes through a case's rows `(move, from_state, to_state)`, in the order of `seq`.
///
/// # Errors
/// [`FoldError`] at the first row that the table does not allow there.
pub fn fold<'a>(
    mode: Mode,
    rows: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
) -> Result<Fold, FoldError> {
    let mut folded: Option<Fold> = None;
    for (name, from, to) in rows {
        let version = folded.map_or(1, |fold| fold.version + 1);
        let next = State::from_name(to).filter(|next| match folded {
            None => name == OPEN && from.is_empty() && *next == mode.first_state(),
            Some(fold) => fold.state.as_str() == from && mode.allows(name, fold.state, *next),
        });
        let Some(state) = next else {
            return Err(FoldError::Illegal {
                seq: version,
                name: name.to_owned(),
                from: from.to_owned(),
                to: to.to_owned(),
            });
        };
        folded = Some(Fold { state, version });
    }
    folded.ok_or(FoldError::Empty)
}
