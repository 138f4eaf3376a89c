//! A partition made again from the files of a chain.

use std::sync::Arc;

use super::item::{Head, Part};
use crate::grid::{EntityKey, EntityTable, GridSettings, Partition, Report, ResponseUnit, Sensor};
use crate::words::{EventTime, LayerIndex, LayerKind, LayerTable};

/// A partition as it was at its newest whole checkpoint.
pub(crate) struct Restored {
    pub(crate) partition: Partition,
    /// What the steps hold of alert rules, each with its generation, the oldest first.
    pub(crate) rules: Vec<(u64, Vec<u8>)>,
}

/// Why files that are whole still cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Learnt layers come from files of their own, which must be there.
    #[error(
        "layer `{0}` is in the checkpoint but not in the folder `catalogue`; restore that folder from a backup, or remove the checkpoint and read the log again"
    )]
    UnknownLayer(String),
    /// A layer counts what it did not count then.
    #[error(
        "layer `{0}` had another kind when the checkpoint was written; give it that kind again, or remove the checkpoint and read the log again"
    )]
    OtherKind(String),
    /// A step of the chain does not say what it is.
    #[error("a step of the chain has no head; remove the checkpoint and read the log again")]
    NoHead,
}

/// The partition that the steps of a chain make, oldest first, each with the parts of its files.
pub(super) fn restore(
    mut chain: Vec<Vec<Part>>,
    settings: GridSettings,
    layers: &LayerTable,
) -> Result<Restored, StateError> {
    let reports: Vec<ReportsOfAStep> = chain
        .iter_mut()
        .filter_map(|step| ReportsOfAStep::take(step))
        .collect();
    let heads = chain.iter_mut().flatten().filter_map(|part| part.head.as_mut());
    let rules: Vec<(u64, Vec<u8>)> = heads
        .map(|head| (head.generation, std::mem::take(&mut head.rules)))
        .collect();
    std::thread::scope(|scope| {
        // They are many, and nothing else needs them.
        let reports = scope.spawn(|| all_reports(reports));
        let (mut growing, open) = grow(chain, settings, layers)?;
        growing.partition.reports = match reports.join() {
            Ok(reports) => reports,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        growing.finish(open, rules)
    })
}

/// What a step says of reports.
struct ReportsOfAStep {
    generation: u64,
    /// Those from before were dropped first.
    dropped: Option<EventTime>,
    changed: Vec<Vec<(EntityKey, Report)>>,
}

impl ReportsOfAStep {
    fn take(step: &mut [Part]) -> Option<Self> {
        let head = step.first()?.head.as_ref()?;
        Some(Self {
            generation: head.generation,
            dropped: head.reports_dropped,
            changed: step
                .iter_mut()
                .map(|part| std::mem::take(&mut part.reports))
                .collect(),
        })
    }
}

fn all_reports(steps: Vec<ReportsOfAStep>) -> EntityTable<Report> {
    let mut reports = EntityTable::default();
    for step in steps {
        if let Some(before) = step.dropped {
            reports.drop_before(before, step.generation, |report: &Report| report.updated);
        }
        reports.reserve(step.changed.iter().map(Vec::len).sum());
        for (key, report) in step.changed.into_iter().flatten() {
            reports.restore(key, report, step.generation);
        }
    }
    reports
}

/// The partition without its reports, and what the last step holds of the present.
fn grow(
    chain: Vec<Vec<Part>>,
    settings: GridSettings,
    layers: &LayerTable,
) -> Result<(Growing<'_>, Part), StateError> {
    let mut grown: Option<Growing<'_>> = None;
    let mut open = Part::default();
    for mut step in chain {
        let head = step.first_mut().and_then(|part| part.head.take());
        let head = head.ok_or(StateError::NoHead)?;
        let partition = match grown.take() {
            Some(grown) => grown.partition,
            None => Partition::new(
                head.id.clone(),
                Arc::clone(&head.domain),
                settings,
                head.next_offset,
            ),
        };
        let mut growing = Growing {
            partition,
            layers,
            head,
        };
        open = Part::default();
        for mut part in step {
            open.open_buckets.append(&mut part.open_buckets);
            open.open_events.append(&mut part.open_events);
            growing.take(part)?;
        }
        grown = Some(growing);
    }
    Ok((grown.ok_or(StateError::NoHead)?, open))
}

/// A partition to which the steps are added.
struct Growing<'a> {
    partition: Partition,
    layers: &'a LayerTable,
    /// Of the present step.
    head: Head,
}

impl Growing<'_> {
    fn take(&mut self, part: Part) -> Result<(), StateError> {
        let generation = self.head.generation;
        if let Some((counts, [sensors, units])) = part.forgotten {
            // Before those of this step, which are newer.
            self.partition.forgotten = counts;
            if let Some(before) = sensors {
                self.partition
                    .sensors
                    .drop_before(before, generation, Sensor::last_time);
            }
            if let Some(before) = units {
                self.partition
                    .units
                    .drop_before(before, generation, ResponseUnit::last_time);
            }
        }
        for (key, sensor) in part.sensors {
            self.partition.sensors.restore(key, sensor, generation);
        }
        for (key, unit) in part.units {
            self.partition.units.restore(key, unit, generation);
        }
        for (start, hashes) in part.hashes {
            self.partition.dedup.restore(start, hashes, generation);
        }
        for batch in part.events {
            self.partition.events.restore(batch, generation);
        }
        for (id, step, timed) in part.slices {
            let (index, kind) = self.known(&id, timed.slice.kind())?;
            let slices = self.partition.slices_of(index, kind);
            slices.restore(usize::from(step), timed, generation);
        }
        Ok(())
    }

    fn known(&self, id: &str, kind: LayerKind) -> Result<(LayerIndex, LayerKind), StateError> {
        let found = self
            .layers
            .find(id)
            .and_then(|index| Some((index, self.layers.get(index)?.kind)));
        match found {
            None => Err(StateError::UnknownLayer(id.to_owned())),
            Some((_, other)) if other != kind => Err(StateError::OtherKind(id.to_owned())),
            Some(known) => Ok(known),
        }
    }

    /// Adds what only the last step holds of the present.
    fn finish(mut self, open: Part, rules: Vec<(u64, Vec<u8>)>) -> Result<Restored, StateError> {
        for (id, start, slice) in open.open_buckets {
            let (index, kind) = self.known(&id, slice.kind())?;
            self.partition.slices_of(index, kind).restore_open(start, &slice);
        }
        for batch in open.open_events {
            // No batch that is being filled any more: the next step holds it as one that is full.
            self.partition
                .events
                .restore(batch, self.head.generation.saturating_add(1));
        }
        let Self {
            mut partition,
            layers,
            head,
        } = self;
        for (id, totals) in head.layers {
            let index = layers.find(&id).ok_or(StateError::UnknownLayer(id))?;
            let kind = layers.get(index).map_or(LayerKind::Report, |layer| layer.kind);
            partition.set_totals(index, kind, totals);
        }
        partition.next_offset = head.next_offset;
        partition.next_replays = head.next_replays;
        partition.newest = head.newest;
        partition.sealed_to = head.sealed_to;
        partition.counts = head.counts;
        partition.given_up = head.given_up;
        partition.dedup.set_floor(head.dedup_floor);
        partition.restored(head.generation);
        Ok(Restored { partition, rules })
    }
}
