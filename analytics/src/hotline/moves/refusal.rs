//! What refuses a move, each by the name of its problem.

use std::fmt;

/// Why a move is not made. Each is a problem type of its own, and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The table has no such move from this state.
    IllegalMove,
    /// Another system decides this case.
    Mirrored,
    /// Other cases are merged into it.
    HasChildren,
    /// No row of the duty table fits.
    NoOffice,
    /// Who would close it works in its office.
    OwnWork,
    /// This round has its answer.
    AlreadyRated,
    /// The time to return is over, or the rule gives none.
    ReturnTooLate,
    /// It came here because nobody else was found.
    NoReturn,
    /// The rule gives no more time.
    ExtensionLimit,
    /// `handle` is over.
    Overdue,
    /// It is paused already.
    Paused,
    /// It is not paused.
    NotPaused,
    /// It was closed too long ago.
    WindowOver,
    /// It was redone too often.
    RedoLimit,
    /// The other case cannot have children.
    BadParent,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::IllegalMove,
        Self::Mirrored,
        Self::HasChildren,
        Self::NoOffice,
        Self::OwnWork,
        Self::AlreadyRated,
        Self::ReturnTooLate,
        Self::NoReturn,
        Self::ExtensionLimit,
        Self::Overdue,
        Self::Paused,
        Self::NotPaused,
        Self::WindowOver,
        Self::RedoLimit,
        Self::BadParent,
    ];

    /// The last word of the problem's type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IllegalMove => "illegal-move",
            Self::Mirrored => "mirrored",
            Self::HasChildren => "has-children",
            Self::NoOffice => "no-office",
            Self::OwnWork => "own-work",
            Self::AlreadyRated => "already-rated",
            Self::ReturnTooLate => "return-too-late",
            Self::NoReturn => "no-return",
            Self::ExtensionLimit => "extension-limit",
            Self::Overdue => "overdue",
            Self::Paused => "paused",
            Self::NotPaused => "not-paused",
            Self::WindowOver => "window-over",
            Self::RedoLimit => "redo-limit",
            Self::BadParent => "bad-parent",
        }
    }

    /// What is wrong, and what can be done instead.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::IllegalMove => {
                "this move does not lead out of the case's state; `legal` lists those that do"
            }
            Self::Mirrored => "another system decides this case; move it there",
            Self::HasChildren => "other cases are merged into this one; unmerge them first",
            Self::NoOffice => {
                "no row of the duty table fits, and no fallback; add one, or name the office with `transfer`"
            }
            Self::OwnWork => "nobody closes the work of their own office; a reviewer of another office must",
            Self::AlreadyRated => "the caller has answered for this round; `redo` or `reopen` starts another",
            Self::ReturnTooLate => {
                "the time to return this case is over, or its rule gives none; ask for a `transfer`"
            }
            Self::NoReturn => "the case came here because no other office fits; ask for a `transfer`",
            Self::ExtensionLimit => "the case's rule gives no extension, or no more, or none so long",
            Self::Overdue => "the deadline is over; it cannot be paused or extended any more",
            Self::Paused => "the case is paused; `resume` it first",
            Self::NotPaused => "the case is not paused",
            Self::WindowOver => "the case was closed too long ago; report it anew",
            Self::RedoLimit => "the case was redone as often as it may be; `reopen` it",
            Self::BadParent => {
                "the parent must be another case that is new, accepted, dispatched, in handling or replied, and no child itself"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.detail())
    }
}

impl std::error::Error for Refusal {}
