//! What was published: steps of layers, in the order of time, and what is asked of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use h3o::Resolution;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{LayerTotals, Span, parent_of};
use serde::{Deserialize, Serialize};
use twox_hash::{XxHash3_64, XxHash3_128};

use super::judging::Judged;

/// How high the risk of the cells that are shown was when a step was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskBands {
    /// The moment of the risk, in microseconds.
    pub at: i64,
    /// Cells with their bands, 0 to 4, by cell.
    pub cells: Vec<(u64, u8)>,
}

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
    /// Of layers on the risk surface, where the step was the newest when it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskBands>,
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
            risk: None,
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
    /// The end of what was ever published, also of what was taken out since.
    published_to: Option<EventTime>,
}

impl PublishedLayer {
    /// The same with one step more; a step that is there already stays.
    pub fn add(&mut self, step: PublishedStep) {
        let start = EventTime::from_micros(step.start);
        self.published_to = self.published_to.max(Some(step.span().end));
        self.steps.entry(start).or_insert_with(|| Arc::new(step));
    }

    /// Until when steps were published, also those that are gone: no time is published twice.
    pub const fn published_to(&self) -> Option<EventTime> {
        self.published_to
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

    /// The number that stands for what these steps show: equal ones have the same.
    pub fn revision(steps: &[&Arc<PublishedStep>]) -> u128 {
        let mut bytes = Vec::new();
        for step in steps {
            bytes.extend_from_slice(&step.start.to_be_bytes());
            bytes.extend_from_slice(&step.seconds.to_be_bytes());
            bytes.push(step.resolution);
            for (cell, count) in &step.cells {
                bytes.extend_from_slice(&cell.to_be_bytes());
                bytes.extend_from_slice(&count.to_be_bytes());
            }
        }
        XxHash3_128::oneshot(&bytes)
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

    /// A name of this state: of the newest step of each layer, and of what the layers that are open hold.
    pub fn version(&self, open: &[(String, LayerTotals)]) -> u64 {
        let mut bytes = Vec::new();
        for (id, totals) in open {
            bytes.extend_from_slice(id.as_bytes());
            bytes.push(1);
            for number in [
                totals.count.cast_signed(),
                totals.first_time.micros(),
                totals.last_time.micros(),
            ] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
        }
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
