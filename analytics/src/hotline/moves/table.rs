//! The table: which move leads from which state to which, and who makes it.

use serde::{Deserialize, Serialize};

use super::duty::Duty;
use super::state::State;

/// What can be done to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the table below says what each does")]
pub enum Move {
    Accept,
    Decline,
    Answer,
    Dispatch,
    Start,
    Reply,
    Close,
    CallBack,
    Rate,
    Lapse,
    Return,
    Transfer,
    Extend,
    Pause,
    Resume,
    Redo,
    Reopen,
    Merge,
    Unmerge,
    Follow,
    Split,
    Withdraw,
    Locate,
    Note,
}

/// Where a move leads from a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// To this state, always.
    One(State),
    /// `call_back`: who was not reached leaves the case as it is, until they were not too often.
    Unreached {
        /// While the caller may still be reached.
        stays: State,
        /// Once they were, or were not for the last time.
        ends: State,
    },
}

impl Targets {
    /// Whether the move may lead there.
    pub fn has(self, to: State) -> bool {
        match self {
            Self::One(state) => state == to,
            Self::Unreached { stays, ends } => stays == to || ends == to,
        }
    }
}

impl Move {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 24] = [
        Self::Accept,
        Self::Decline,
        Self::Answer,
        Self::Dispatch,
        Self::Start,
        Self::Reply,
        Self::Close,
        Self::CallBack,
        Self::Rate,
        Self::Lapse,
        Self::Return,
        Self::Transfer,
        Self::Extend,
        Self::Pause,
        Self::Resume,
        Self::Redo,
        Self::Reopen,
        Self::Merge,
        Self::Unmerge,
        Self::Follow,
        Self::Split,
        Self::Withdraw,
        Self::Locate,
        Self::Note,
    ];

    /// The name in requests and rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Answer => "answer",
            Self::Dispatch => "dispatch",
            Self::Start => "start",
            Self::Reply => "reply",
            Self::Close => "close",
            Self::CallBack => "call_back",
            Self::Rate => "rate",
            Self::Lapse => "lapse",
            Self::Return => "return",
            Self::Transfer => "transfer",
            Self::Extend => "extend",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Redo => "redo",
            Self::Reopen => "reopen",
            Self::Merge => "merge",
            Self::Unmerge => "unmerge",
            Self::Follow => "follow",
            Self::Split => "split",
            Self::Withdraw => "withdraw",
            Self::Locate => "locate",
            Self::Note => "note",
        }
    }

    /// The move of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case_move| case_move.as_str() == name)
    }

    /// The table: where the move leads from `state`; `None` where it is illegal.
    #[expect(clippy::match_same_arms, reason = "a line a move, as the table is printed")]
    pub const fn from(self, state: State) -> Option<Targets> {
        use State::{
            Accepted, Closed, Declined, Dispatched, Finished, Handling, Merged, New, Replied, Withdrawn,
        };
        let to = match (self, state) {
            (Self::Accept, New) => Accepted,
            (Self::Decline, New | Accepted) => Declined,
            (Self::Answer, Accepted) => Replied,
            (Self::Dispatch, Accepted) => Dispatched,
            (Self::Start, Dispatched) => Handling,
            (Self::Reply, Handling) => Replied,
            (Self::Close, Replied) => Closed,
            (Self::CallBack, Closed) => {
                return Some(Targets::Unreached {
                    stays: Closed,
                    ends: Finished,
                });
            }
            (Self::Rate, Closed | Finished) | (Self::Lapse, Closed) => Finished,
            (Self::Return, Dispatched | Handling) => Accepted,
            (Self::Transfer, Dispatched | Handling) => Dispatched,
            (Self::Extend | Self::Pause | Self::Resume, Dispatched | Handling) => state,
            (Self::Redo, Replied | Closed | Finished) => Handling,
            (Self::Reopen, Closed | Finished | Withdrawn | Declined) => Accepted,
            (Self::Merge, New | Accepted | Dispatched | Handling) => Merged,
            (Self::Unmerge, Merged) => Accepted,
            (Self::Follow, Merged) => Closed,
            (Self::Follow, Closed) => Merged,
            (Self::Split, Accepted | Dispatched | Handling) => state,
            (Self::Withdraw, New | Accepted | Dispatched | Handling | Replied | Merged) => Withdrawn,
            (Self::Locate, New | Accepted | Dispatched | Handling | Replied) | (Self::Note, _) => state,
            _ => return None,
        };
        Some(Targets::One(to))
    }

    /// The moves that the table knows from `state`, in its order, but those that the system alone makes: what a client is told.
    pub fn legal(state: State) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |case_move| !matches!(case_move, Self::Lapse | Self::Follow))
            .filter(move |case_move| case_move.from(state).is_some())
    }

    /// Whether somebody of this duty may make the move; `self_service` is what the case's rule says of its office.
    #[expect(
        clippy::match_same_arms,
        reason = "who may do everything stands after what nobody else may"
    )]
    pub const fn may(self, duty: Duty, self_service: bool) -> bool {
        match (self, duty) {
            (Self::Note, _) => true,
            (Self::Lapse | Self::Follow, _) => matches!(duty, Duty::System),
            (_, Duty::Supervisor) => true,
            (Self::Resume, Duty::System) => true,
            (Self::Extend | Self::Pause | Self::Resume, Duty::Handler) => self_service,
            (
                Self::Accept
                | Self::Decline
                | Self::Answer
                | Self::CallBack
                | Self::Merge
                | Self::Unmerge
                | Self::Locate,
                Duty::Operator,
            )
            | (Self::Dispatch | Self::Transfer, Duty::Dispatcher)
            | (Self::Start | Self::Reply | Self::Return, Duty::Handler)
            | (Self::Close | Self::Redo, Duty::Reviewer)
            | (Self::Rate | Self::Reopen | Self::Withdraw, Duty::Caller | Duty::Operator)
            | (Self::Split, Duty::Operator | Duty::Dispatcher) => true,
            _ => false,
        }
    }

    /// Of the duties that somebody has, the first that may make the move: what its row names.
    pub fn made_as(self, duties: &[Duty], self_service: bool) -> Option<Duty> {
        duties.iter().copied().find(|duty| self.may(*duty, self_service))
    }
}
