//! The members that the body of a move has beside `move`.

use super::table::Move;

/// A member of a move's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Without it the move is invalid.
    pub is_required: bool,
}

const fn required(name: &'static str) -> Field {
    Field {
        name,
        is_required: true,
    }
}

const fn optional(name: &'static str) -> Field {
    Field {
        name,
        is_required: false,
    }
}

const NONE: &[Field] = &[];
const REASON: &[Field] = &[required("reason")];
const TEXT: &[Field] = &[required("text")];
const REPLY: &[Field] = &[required("result"), required("text")];
const CALL_BACK: &[Field] = &[required("reached"), optional("resolved"), optional("rating")];
const RATE: &[Field] = &[required("resolved"), required("rating")];
const DISPATCH: &[Field] = &[optional("labels")];
const TRANSFER: &[Field] = &[required("office"), required("reason")];
const EXTEND: &[Field] = &[required("amount"), required("reason")];
const MERGE: &[Field] = &[required("parent")];
const SPLIT: &[Field] = &[required("reason"), required("cases")];
const LOCATE: &[Field] = &[
    optional("lon"),
    optional("lat"),
    optional("address"),
    optional("place"),
];

impl Move {
    /// The members that the body has; another one makes it invalid. `call_back` needs `resolved` where `reached` is true,
    /// `locate` a place in one of its three forms.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Decline | Self::Return | Self::Withdraw | Self::Redo | Self::Pause => REASON,
            Self::Answer | Self::Note => TEXT,
            Self::Reply => REPLY,
            Self::CallBack => CALL_BACK,
            Self::Rate => RATE,
            Self::Dispatch => DISPATCH,
            Self::Transfer => TRANSFER,
            Self::Extend => EXTEND,
            Self::Merge => MERGE,
            Self::Split => SPLIT,
            Self::Locate => LOCATE,
            Self::Accept
            | Self::Start
            | Self::Close
            | Self::Lapse
            | Self::Resume
            | Self::Reopen
            | Self::Unmerge
            | Self::Follow => NONE,
        }
    }

    /// Whether it must say why.
    pub fn needs_reason(self) -> bool {
        self.fields()
            .iter()
            .any(|field| field.name == "reason" && field.is_required)
    }
}
