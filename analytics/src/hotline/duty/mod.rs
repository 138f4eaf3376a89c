//! Whose a case is: rows that say which office has what, the row that fits best, and why.
//!
//! An office that a row names leads the case to its end; those in `with` assist.

mod choice;
mod read;
mod rows;
#[cfg(test)]
mod tests;

pub use choice::{Beaten, Choice, DutyFacts, Order};
pub use read::InvalidDuty;
pub use rows::{AREA_LEVELS, DutyRow, DutyTable, Hours, Subject};
