//! From what people write to a place of a local table: no service is asked, and of several places none is chosen.
//!
//! | what | where |
//! |---|---|
//! | an address in its simplest form, its grams and its number | `address.rs` |
//! | the table as people write it | [`read_places`] |
//! | the table, and what of it fits a query | [`Gazetteer`] |

mod address;
mod gazetteer;
mod table;
#[cfg(test)]
mod tests;

pub use gazetteer::{Candidate, Found, Gazetteer, Place, PlaceKind, Quality, QueryTooLong};
pub use table::{InvalidPlace, read_places};
