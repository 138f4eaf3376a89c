//! When people work: a calendar as data, local wall time as instants, and the ways through it.
//!
//! | what | where |
//! |---|---|
//! | a calendar, read from JSON | [`Calendar`] |
//! | an amount with its unit | [`Amount`], [`Unit`] |
//! | spans that are open, dates that count | `walk.rs` |

mod amount;
mod data;
mod read;
#[cfg(test)]
mod tests;
mod walk;

pub use amount::{Amount, Unit};
pub use data::{Calendar, DaySpan};
pub(super) use read::date as read_date;
pub(super) use walk::Counting;
pub use walk::{CalendarEmpty, LONGEST_WALK};
