//! Events of a record, judged and applied one by one.

use super::defects::{self, Defect};
use super::origin::Origin;
use super::worker::Worker;
use crate::edge::{FeedRules, Judged};
use crate::grid::{Applied, Partition};
use crate::log::EventBytes;
use crate::words::{Candidate, EventKind, Layer, Refusal, RefusalReason};

impl Worker {
    pub(super) fn too_large(&self, size: u64) -> Refusal {
        let detail = format!("{size} bytes, edge.max_event is {}", self.shared.max_event);
        Refusal::new(RefusalReason::TooLarge, detail)
    }

    /// Reads the events of some bytes, judges and applies those that are asked for by their index in the record, and
    /// says of each what became of it.
    pub(super) fn judge_some(
        &mut self,
        partition: &mut Partition,
        rules: &FeedRules,
        origin: Origin,
        event: &EventBytes<'_>,
        is_asked: impl Fn(u32) -> bool,
        mut done: impl FnMut(&Self, &mut Partition, u32, Result<Applied, Refusal>),
    ) {
        let size = event.kept().bytes.len();
        if size > self.shared.max_event {
            done(self, partition, origin.index, Err(self.too_large(size as u64)));
            return;
        }
        self.at.offset = origin.offset;
        self.at.index = origin.index;
        event.decode(|index, candidate| {
            let origin = Origin {
                index: origin.index + index,
                ..origin
            };
            if !is_asked(origin.index) {
                return;
            }
            self.at.index = origin.index;
            let judged = candidate
                .and_then(|candidate| self.judge_and_apply(partition, rules, origin, candidate))
                .and_then(|judged| match judged {
                    Ok(applied) => Ok(applied),
                    // Once in the life of a layer: learnt, the event is read and judged again by what is known now, which
                    // another worker may have learnt at the same moment from an event with another unit.
                    Err(layer) => {
                        self.learn(&layer);
                        let mut again = Err(too_many(&layer));
                        event.decode(|other, candidate| {
                            if other == index {
                                again = candidate
                                    .and_then(|c| self.judge_and_apply(partition, rules, origin, c))
                                    .and_then(|judged| judged.map_err(|layer| too_many(&layer)));
                            }
                        });
                        again
                    }
                });
            done(self, partition, origin.index, judged);
        });
    }

    /// What became of the event, or the layer that must be learnt before it can be counted.
    fn judge_and_apply(
        &mut self,
        partition: &mut Partition,
        rules: &FeedRules,
        origin: Origin,
        candidate: Candidate<'_>,
    ) -> Result<Result<Applied, Layer>, Refusal> {
        let Judged { event, new_layer } = self.shared.edge.judge(
            candidate,
            origin.received,
            rules,
            partition.clock(),
            &self.layers,
            &mut self.places,
        )?;
        if let Some(layer) = new_layer {
            return Ok(Err(layer));
        }
        defects::strike(Defect::BeforeApplying, &event.id);
        self.at.is_changing = true;
        let applied = partition.apply(&event, &self.layers);
        defects::strike(Defect::WhileApplying, &event.id);
        if let (
            Applied::Accepted {
                newest_of_sensor: true,
            },
            EventKind::Observation,
        ) = (applied, event.kind)
            && let (Some(layer), Some(units)) =
                (event.layer.and_then(|index| self.layers.get(index)), event.value)
        {
            let value = layer.scale().value(units as f64);
            self.observer.newest_reading(partition.id(), &event, layer, value);
        }
        if let (Applied::Accepted { .. }, EventKind::Report) = (applied, event.kind) {
            let layer = event
                .layer
                .and_then(|index| self.layers.get(index))
                .map(AsRef::as_ref);
            self.observer.accepted_report(partition.id(), &event, layer);
        }
        self.at.is_changing = false;
        Ok(Ok(applied))
    }
}

/// The table took no more layers between the look at it and the learning.
fn too_many(layer: &Layer) -> Refusal {
    let detail = format!("`{}` would be one layer more than grid.max_layers", layer.label);
    Refusal::new(RefusalReason::UnknownLayer, detail)
}
