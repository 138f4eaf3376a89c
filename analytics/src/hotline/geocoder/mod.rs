//! From what people write to a place of a local table: no service is asked, and of several places none is chosen.
//!
//! | what | where |
//! |---|---|
//! | an address in its simplest form, its grams and its number | `address.rs` |
//! | the table, and what of it fits a query | [`Gazetteer`] |

mod address;
mod gazetteer;
#[cfg(test)]
mod tests;

pub use gazetteer::{Candidate, Found, Gazetteer, Place, PlaceKind, Quality, QueryTooLong};
