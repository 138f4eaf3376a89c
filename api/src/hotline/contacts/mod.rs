//! Whom to call back: the only place where that is kept, in a file of its own, sealed by a key that lies elsewhere.

mod sealing;
mod store;

pub use sealing::Sealed;
pub use store::{Contact, Contacts, ContactsError};
