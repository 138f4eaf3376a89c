//! How far the grid may be judged, in each clock domain.

use std::time::Duration;

use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};

use super::times::micros;

/// The times by which rules are judged, and whether all that was there at the start is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// The wall clock.
    pub(crate) wall: EventTime,
    /// Whether the log is read to its end: before, a silent stream is not known to be silent.
    pub(crate) is_caught_up: bool,
    /// How late events may come, and how long a partition may be silent.
    pub(crate) patience: Duration,
}

/// What a clock domain knows of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DomainTimes {
    /// Up to which its data are complete.
    pub(crate) complete_to: EventTime,
    /// Newest clock time of its events.
    pub(crate) newest: EventTime,
    /// By which its timers run.
    pub(crate) now: EventTime,
}

impl Clocks {
    /// The times of a domain; `None` before its first event, unless it is that of the live feeds and they are silent.
    pub(crate) fn of(&self, snapshot: &GridSnapshot, domain: &str) -> Option<DomainTimes> {
        let clock = snapshot.domain(domain);
        let known = clock.and_then(|clock| clock.complete_to);
        let is_live = domain == LIVE_DOMAIN;
        let by_wall = (is_live && self.is_caught_up).then(|| self.wall.plus(-micros(self.patience)));
        let complete_to = known.max(by_wall)?;
        let partitions = snapshot
            .partitions
            .iter()
            .filter(|partition| &*partition.domain == domain);
        let newest = partitions.filter_map(|partition| partition.newest).max();
        let now = if is_live && self.is_caught_up {
            self.wall
        } else {
            complete_to
        };
        Some(DomainTimes {
            complete_to,
            newest: newest.unwrap_or(complete_to),
            now,
        })
    }
}
