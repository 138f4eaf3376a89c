//! Events, sources, the edge, and the H3 grid in memory with its checkpoints.
//!
//! The way of the data: a source hands over records; [`decode`] reads them into candidates; the [`edge`] turns each into an
//! [`Event`] or a [`Refusal`]; the grid adds the event to its cell; readers take a snapshot.
//! This crate knows Kafka, H3, R-trees and Arrow arrays, and nothing of DataFusion or of serving HTTP.

// Files below `fixtures/` name this crate as those outside do.
#[cfg(test)]
extern crate self as riskgrid_ingest;

pub mod checkpoint;
pub mod dead_letter;
pub mod decode;
pub mod edge;
mod embedded_store;
mod event;
pub mod grid;
pub mod identity;
mod layer;
pub mod layer_store;
pub mod observer;
pub mod pipeline;
mod place_cache;
pub mod places;
pub mod purge;
mod refusal;
mod room;
pub mod seal;
pub mod source;
pub mod state_folder;
mod text_limits;
mod threads;
mod time;
mod unit;

pub use event::{
    Candidate, CandidateTime, Channel, Event, EventHash, EventKind, Number, Position, ReportOp, SourceKey,
};
pub use layer::{
    InvalidLayer, LIVE_DOMAIN, Layer, LayerIndex, LayerKind, LayerLookup, LayerSettings, LayerTable,
    ValueScale, VisibleToPublic, slug,
};
pub use refusal::{Refusal, RefusalReason};
pub use room::{NoRoom, Room, Writer};
pub use threads::on_threads;
pub use time::{DAY, EventTime, HOUR, MINUTE, SECOND};
pub use unit::Unit;
