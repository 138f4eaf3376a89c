//! What a stranger, an unlucky operator or a hostile page would try, against the built program, with bounded loads: it
//! stays up, stays within its limits, and says what it did.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../access/mod.rs"]
mod access;
mod answers;
#[path = "../crash_rig/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a rig that other test binaries use too")]
mod crash_rig;
mod http;
mod operator;
mod queries;
mod records;
mod rules;
#[path = "../it/server.rs"]
#[allow(dead_code, reason = "a rig that other test binaries use too")]
mod server;
#[path = "../it/small_disk.rs"]
#[allow(dead_code, reason = "a rig that other test binaries use too")]
mod small_disk;
