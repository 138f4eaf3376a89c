//! What lies on the disk of a node: its room, the rights of its folder, the embedded stores.

pub(crate) mod embedded_store;
mod room;
pub mod state_folder;

pub(crate) use embedded_store::StoreOpenError;
pub use room::{NoRoom, Room, Writer};
