//! Who may see what: the one thing that decides for tables, functions, tiles, layers, streams and alerts alike.
//!
//! An identity has a [`Role`] and a [`Scope`]. They are compiled once, by [`Permissions`], against the areas and the resolution
//! of the grid to a [`Permission`], a plain argument of all that reads: what it does not admit is as if it did not exist.
//! Its [`Class`] is in the key of every cache of what was made for it.
//!
//! | what | where |
//! |---|---|
//! | the four roles, and what each is called | [`role`] |
//! | layers and areas, a list of each or all | [`scope`] |
//! | the name under which answers for the same rights are kept | [`class`] |
//! | rights made ready to be asked of cells, places and layers | [`compiled`] |
//! | which role has which table | [`tables`] |

mod class;
mod compiled;
mod role;
mod scope;
mod tables;
#[cfg(test)]
mod tests;

pub use class::Class;
pub use compiled::{Permission, Permissions};
pub use role::{NoSuchRole, Role};
pub use scope::{Names, NotInScope, Scope};
pub use tables::Table;
