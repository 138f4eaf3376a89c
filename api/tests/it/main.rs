//! The whole server, as its users have it: the built program, spoken to by HTTP, stopped and killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod alert_life;
mod checkpoints;
mod crash;
#[path = "../crash_rig/mod.rs"]
mod crash_rig;
mod dead_letters;
mod demo;
mod examples;
mod exit_status;
mod feeds;
mod full_disk;
mod generate;
mod hotline;
mod intake;
mod journal;
mod late_data;
mod places;
mod postgres;
mod risk;
mod rule_kinds;
mod seeds;
mod server;
mod small_disk;
mod sql;
mod tiles;
mod webhooks;
