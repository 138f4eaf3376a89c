//! The seven clocks of a case, and which of its rows starts or stops them.

use serde::{Deserialize, Serialize};

use crate::hotline::moves::{Move, State};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockName {
    /// That somebody accepts or declines it.
    Accept,
    /// That an office gets it.
    Dispatch,
    /// Until when that office may return it.
    Return,
    /// That the office starts.
    Respond,
    /// That the office replies.
    Handle,
    /// That the caller hears what came of it.
    Citizen,
    /// That the caller is called back.
    CallBack,
}

/// A row of a case's moves, as far as clocks look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// `None` for the row that made the case.
    pub case_move: Option<Move>,
    /// `None` there too.
    pub from: Option<State>,
    /// Where it leads.
    pub to: State,
}

impl ClockName {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Accept,
        Self::Dispatch,
        Self::Return,
        Self::Respond,
        Self::Handle,
        Self::Citizen,
        Self::CallBack,
    ];

    /// The name in rules, tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Dispatch => "dispatch",
            Self::Return => "return",
            Self::Respond => "respond",
            Self::Handle => "handle",
            Self::Citizen => "citizen",
            Self::CallBack => "call_back",
        }
    }

    /// The clock of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clock| clock.as_str() == name)
    }

    /// It has a yellow and a red card; the two others are windows.
    pub const fn has_cards(self) -> bool {
        !matches!(self, Self::Return | Self::CallBack)
    }

    /// A paused case stops it for a while.
    pub const fn is_paused_with_its_case(self) -> bool {
        matches!(self, Self::Respond | Self::Handle | Self::Citizen)
    }

    /// It goes on through every change of office, from the time when the case was reported.
    pub const fn begins_when_reported(self) -> bool {
        matches!(self, Self::Citizen)
    }

    /// Whether the row starts a new generation. One that still runs is stopped by the same row.
    pub fn is_started_by(self, row: Row) -> bool {
        let is = |case_move| row.case_move == Some(case_move);
        let is_made = row.case_move.is_none();
        match self {
            Self::Accept => is_made && row.to == State::New,
            Self::Dispatch => row.to == State::Accepted && row.from != Some(State::Accepted),
            Self::Return | Self::Respond => is(Move::Dispatch) || is(Move::Transfer),
            Self::Handle => is(Move::Dispatch) || is(Move::Transfer) || is(Move::Redo),
            Self::Citizen => is_made || is(Move::Redo) || is(Move::Reopen),
            Self::CallBack => is(Move::Close),
        }
    }

    /// Whether the row stops it, if it runs. A child's `citizen` is stopped with its parent's, by the parent's row.
    pub fn is_stopped_by(self, row: Row) -> bool {
        let Some(case_move) = row.case_move else {
            return false;
        };
        let leaves = |state| row.from == Some(state) && row.to != state;
        let leaves_offices = row.from.is_some_and(State::is_with_an_office) && !row.to.is_with_an_office();
        match self {
            Self::Accept => leaves(State::New),
            Self::Dispatch => leaves(State::Accepted),
            Self::Respond => leaves(State::Dispatched) || case_move == Move::Transfer,
            Self::Return | Self::Handle => leaves_offices || case_move == Move::Transfer,
            Self::Citizen => matches!(
                case_move,
                Move::Reply | Move::Answer | Move::Decline | Move::Withdraw
            ),
            Self::CallBack => leaves(State::Closed),
        }
    }
}
