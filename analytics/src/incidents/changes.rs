//! What a group of incidents has to have stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use riskgrid_ingest::EventTime;
use serde::Serialize;

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineageKind {
    /// It began with an alert.
    Open,
    /// An alert became one of its own.
    Join,
    /// Another incident became part of it.
    Absorb,
    /// Parts of it became one.
    Merge,
    /// A part of it fell in two.
    Split,
    /// Nothing of it is active any more.
    Close,
}

impl LineageKind {
    /// The name in JSON and SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Join => "join",
            Self::Absorb => "absorb",
            Self::Merge => "merge",
            Self::Split => "split",
            Self::Close => "close",
        }
    }
}

/// A line of an incident's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Id of the incident.
    pub incident: Arc<str>,
    /// When.
    pub at: EventTime,
    /// What.
    pub kind: LineageKind,
    /// The part that merged or split off.
    pub part: Option<u32>,
    /// The parts that it was before, ascending.
    pub of: Vec<u32>,
    /// The alert that opened or joined; the incident that was absorbed.
    pub about: Option<Arc<str>>,
}

/// What changed since it was taken last, in order where order matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New lines, oldest first: who opened, joined, absorbed whom, and closed.
    pub lineage: Vec<Lineage>,
    /// The part of alerts, where it is another one.
    pub parts: BTreeMap<Arc<str>, Option<u32>>,
    /// Incidents and the part number that is next.
    pub next_parts: BTreeMap<Arc<str>, u32>,
    /// Incidents of which an alert fired, moved or ended.
    pub touched: BTreeSet<Arc<str>>,
}
