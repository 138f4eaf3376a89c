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
//! | which other case may be about the same | [`duplicates`] |
//! | which place an address means | [`geocoder`] |
//! | how offices did in a month | [`assessment`] |
//! | whether a hotspot was solved | [`solved`] |
//! | the table of ratings that everybody may see | [`published`] |
//! | the token by which a caller rates | [`rating_token`] |
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

pub mod assessment;
pub mod calendar;
pub mod deadlines;
mod document;
pub mod duplicates;
pub mod duty;
pub mod geocoder;
mod kind;
pub mod moves;
pub mod published;
pub mod rating_token;
mod reading;
pub mod rule_set;
pub mod solved;

pub use document::{DocumentError, read_document};
pub use kind::CaseKind;
pub use reading::InvalidData;
