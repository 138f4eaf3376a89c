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
mod object_store;
mod offsets;
#[path = "../../../fixtures/object_store/proxy.rs"]
mod proxy;
mod server;
mod skip;
mod stalled;
#[path = "../../../fixtures/object_store/test_store.rs"]
mod test_store;
mod topic;
mod two_nodes;
