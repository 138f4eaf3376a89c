//! The hotline: how a report is made a case, whose it is, by when it must be done, and how that is judged.
//!
//! Everything here is pure: no clock, no socket, no database; `now` is an argument. A shell keeps cases and their moves, asks
//! these rules and stores what they say.
//!
//! | what | where |
//! |---|---|
//! | when people work | [`calendar`] |
//! | clocks, deadlines, cards | [`deadlines`] |
//! | which terms a case has | [`rule_set`] |
//! | whose it is | [`duty`] |
//! | states, moves, who may make them, what refuses them | [`moves`] |

#![cfg_attr(
    test,
    allow(
        clippy::expect_used,
        clippy::float_cmp,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        reason = "what is exact is compared exactly; a test fails by panicking"
    )
)]

pub mod calendar;
pub mod deadlines;
mod document;
pub mod duty;
mod kind;
pub mod moves;
mod reading;
pub mod rule_set;

pub use document::{DocumentError, read_document};
pub use kind::CaseKind;
pub use reading::InvalidData;
