//! How offices did in a month: rates over units whose denominators are frozen, and what later changes would make of them.
//!
//! | what | where |
//! |---|---|
//! | a generation of `handle`, judged | [`AssessedUnit`], [`UnitFacts`] |
//! | a month of a calendar, and when it is frozen | [`Month`] |
//! | a share with its interval | [`Rate`] |
//! | rates of offices and of the city | [`Assessment`] |
//! | the frozen rows as text, and its hash | [`frozen_csv`], [`sha256_hex`] |

mod frozen;
mod month;
mod rates;
#[cfg(test)]
mod tests;
mod unit;

pub use frozen::{frozen_csv, sha256_hex};
pub use month::Month;
pub use rates::{Assessment, OfficeRates, Rate};
pub use unit::{AssessedUnit, OutReason, Resolved, Stop, UnitFacts};
