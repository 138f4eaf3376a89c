//! The hotline: reports as cases that somebody must close in time.
//!
//! | what | where |
//! |---|---|
//! | cases, moves, clocks, texts as they are stored | `store/` |
//! | what is done to cases: making, moving, clocks, whose they are | `desk/` |
//! | what happens by itself when a time comes | `sweep/` |
//! | cases from the events of the log, and the events of cases | `reports/` |
//! | HTTP | `routes/` |

pub mod contacts;
pub mod desk;
pub mod key_lines;
pub mod open311;
pub mod report;
pub mod reports;
pub mod routes;
pub mod store;
pub mod sweep;
pub(crate) mod table;
