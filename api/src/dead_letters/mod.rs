//! Dead letters for those who mend them: which ones are meant, and replaying them.

mod filters;
mod replay;

pub use filters::{Allowed, Choice, Filters};
pub use replay::{ReplayAnswer, replay};
