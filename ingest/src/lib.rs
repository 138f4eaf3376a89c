//! Events, sources, the edge, and the H3 grid in memory with its checkpoints.
//!
//! The way of the data: a source hands over records; [`decode`] reads them into candidates; the [`edge`] turns each into an
//! [`Event`] or a [`Refusal`]; the grid adds the event to its cell; readers take a snapshot.
//! This crate knows Kafka, H3, R-trees and Arrow arrays, and nothing of DataFusion or of serving HTTP.

// Files below `fixtures/` name this crate as those outside do.
#[cfg(test)]
extern crate self as riskgrid_ingest;

pub mod cells;
pub mod checkpoint;
pub mod dead_letter;
pub mod decode;
mod disk;
pub mod edge;
mod files;
pub mod globe;
pub mod grid;
pub mod identity;
pub mod layer_store;
pub mod log;
pub mod observer;
pub mod pipeline;
pub mod places;
pub mod purge;
pub mod seal;
pub mod source;
mod threads;
pub mod words;

pub use disk::{NoRoom, Room, Writer, state_folder};
pub use threads::on_threads;
pub use words::{
    AttributeSettings, AttributeType, AttributeValue, Candidate, CandidateTime, CasesOf, Channel, DAY, Event,
    EventHash, EventKind, EventTime, HOUR, InvalidLayer, LIVE_DOMAIN, Layer, LayerIndex, LayerKind,
    LayerLookup, LayerSettings, LayerTable, MINUTE, Mirrored, Number, Position, Refusal, RefusalReason,
    ReportOp, SECOND, SourceKey, Unit, ValueScale, VisibleToPublic, slug,
};
