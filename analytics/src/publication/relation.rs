//! What was published: steps of layers, in the order of time, and what is asked of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use h3o::Resolution;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{Span, parent_of};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::judging::Judged;

/// One step of one layer, as it was published. It is written once and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedStep {
    /// Where it begins, in microseconds.
    pub start: i64,
    /// How long it is.
    pub seconds: u32,
    /// The resolution of its cells.
    pub resolution: u8,
    /// Cells with their rounded counts, by cell.
    pub cells: Vec<(u64, u64)>,
    /// What is left over, by the cell that holds it; none is the whole layer.
    pub rests: Vec<(Option<u64>, u64)>,
}

impl PublishedStep {
    /// A step that was judged.
    pub fn of(span: Span, resolution: Resolution, judged: Judged) -> Self {
        Self {
            start: span.start.micros(),
            seconds: u32::try_from(span.seconds()).unwrap_or(u32::MAX),
            resolution: resolution.into(),
            cells: judged.cells,
            rests: judged.rests,
        }
    }

    /// What it covers.
    pub fn span(&self) -> Span {
        let start = EventTime::from_micros(self.start);
        Span {
            start,
            end: start.plus(i64::from(self.seconds) * 1_000_000),
        }
    }

    /// What is shown in no cell.
    pub fn suppressed(&self) -> u64 {
        self.rests.iter().map(|(_, count)| count).sum()
    }
}

/// What was published of one layer.
#[derive(Clone, Debug, Default)]
pub struct PublishedLayer {
    steps: BTreeMap<EventTime, Arc<PublishedStep>>,
}

impl PublishedLayer {
    /// The same with one step more; a step that is there already stays.
    pub fn add(&mut self, step: PublishedStep) {
        let start = EventTime::from_micros(step.start);
        self.steps.entry(start).or_insert_with(|| Arc::new(step));
    }

    /// All steps, the oldest first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Arc<PublishedStep>> {
        self.steps.values()
    }

    /// The newest step.
    pub fn newest(&self) -> Option<&Arc<PublishedStep>> {
        self.steps.values().next_back()
    }

    /// Leaves out the steps that end by `time`.
    pub fn forget(&mut self, time: EventTime) {
        self.steps.retain(|_, step| step.span().end > time);
    }

    /// Whole steps that meet `[start, end)`, snapped outward to what was published; none where that is nothing.
    pub fn within(&self, start: EventTime, end: EventTime) -> Option<(Span, Vec<&Arc<PublishedStep>>)> {
        let meets = |step: &&Arc<PublishedStep>| step.span().start < end && start < step.span().end;
        let steps: Vec<&Arc<PublishedStep>> = self.steps.values().filter(meets).collect();
        let span = Span {
            start: steps.first()?.span().start,
            end: steps.last()?.span().end,
        };
        Some((span, steps))
    }

    /// Sums of the atoms of these steps by cell of `resolution`, or of the atoms' own where that is coarser, and what is shown
    /// in no cell.
    pub fn sums(
        steps: &[&Arc<PublishedStep>],
        resolution: Resolution,
    ) -> (Resolution, BTreeMap<u64, u64>, u64) {
        let own = steps.iter().map(|step| step.resolution).min();
        let own = own.and_then(|level| Resolution::try_from(level).ok());
        let resolution = own.map_or(resolution, |own| own.min(resolution));
        let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
        for (cell, count) in steps.iter().flat_map(|step| &step.cells) {
            *sums.entry(parent_of(*cell, resolution)).or_default() += count;
        }
        let suppressed = steps.iter().map(|step| step.suppressed()).sum();
        (resolution, sums, suppressed)
    }
}

/// All that was published of the layers that are, by layer. It holds no layer that is not to be seen.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// By the layer's id.
    pub layers: BTreeMap<String, Arc<PublishedLayer>>,
}

impl Publication {
    /// The end of the newest step of all.
    pub fn as_of(&self) -> Option<EventTime> {
        let newest = self.layers.values().filter_map(|layer| layer.newest());
        newest.map(|step| step.span().end).max()
    }

    /// A name of this state: of the newest step of each layer.
    pub fn version(&self) -> u64 {
        let mut bytes = Vec::new();
        for (id, layer) in &self.layers {
            bytes.extend_from_slice(id.as_bytes());
            bytes.push(0);
            let newest = layer.newest().map(|step| (step.start, step.seconds));
            let (start, seconds) = newest.unwrap_or_default();
            bytes.extend_from_slice(&start.to_be_bytes());
            bytes.extend_from_slice(&seconds.to_be_bytes());
        }
        XxHash3_64::oneshot(&bytes)
    }
}
