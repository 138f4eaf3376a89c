//! The hotline: how a report is made a case, whose it is, by when it must be done, and how that is judged.
//!
//! Everything here is pure: no clock, no socket, no database; `now` is an argument. A shell keeps cases and their moves, asks
//! these rules and stores what they say.
//!
//! | what | where |
//! |---|---|
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

pub mod moves;
