//! riskgrid against a real Apache Kafka: the built binary is started, records are produced to topics of their own, and
//! what SQL, tiles and the dead-letter topic say is compared with what was sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod broker;
mod broker_killed;
mod crash;
#[path = "../crash_rig/mod.rs"]
mod crash_rig;
mod datasets;
mod garbage;
mod generate;
mod letters;
mod load;
mod offsets;
mod server;
mod skip;
mod topic;
mod two_nodes;
