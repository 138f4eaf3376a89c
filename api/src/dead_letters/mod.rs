//! Dead letters for those who mend them: which ones are meant, and replaying them.

mod filters;
mod lists;
mod replay;

pub use filters::{Allowed, Choice, Filters};
pub use lists::{Lists, Looking};
pub use replay::{ReplayAnswer, Replays, replay};
