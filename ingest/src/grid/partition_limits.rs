//! The limits of a partition: of hashes and entities with every event, of aggregates when its worker asks.

use super::calendar::{Span, Step};
use super::entities::{ResponseUnit, Sensor};
use super::partition::Partition;
use crate::words::{EventTime, HOUR};

impl Partition {
    /// What grows by one with an event is looked at with each, so that its limits hold before a watermark passes too, and
    /// the log read again drops the same.
    pub(super) fn keep_within_limits(&mut self) {
        let settings = &self.settings;
        if self.dedup.is_over_budget()
            || self.sensors.is_over(settings.max_sensors)
            || self.reports.is_over(settings.max_reports)
            || self.units.is_over(settings.max_units)
        {
            self.shrink_to_limits();
        }
    }

    #[cold]
    fn shrink_to_limits(&mut self) {
        if self.dedup.is_over_budget() {
            self.shrink_dedup();
        }
        let settings = &self.settings;
        let dropped = [
            self.sensors.keep_within(settings.max_sensors, Sensor::last_time),
            self.reports
                .keep_within(settings.max_reports, |report| report.updated),
            self.units
                .keep_within(settings.max_units, ResponseUnit::last_time),
        ];
        if dropped != [0; 3] {
            self.tell_of_dropped(dropped);
        }
    }

    pub(super) fn shrink_dedup(&mut self) {
        let Some(clock) = self.newest else { return };
        if let Some(oldest) = self.clock().oldest_admitted
            && let Some(floor) = self.dedup.shrink(oldest, clock)
            && self.dedup_warned.is_none_or(|warned| floor.since(warned) >= HOUR)
        {
            self.dedup_warned = Some(floor);
            tracing::warn!(partition = %self.id, %floor, "hashes for de-duplication are over budget: older events are now too late");
        }
    }

    /// Counts entities that were dropped, and says so the first time, with the key that bounds them.
    fn tell_of_dropped(&mut self, dropped: [u64; 3]) {
        let kinds = [
            ("sensors", "grid.max_sensors", "riskgrid_sensors_dropped_total"),
            ("reports", "grid.max_reports", "riskgrid_reports_dropped_total"),
            ("units", "grid.max_units", "riskgrid_units_dropped_total"),
        ];
        let before = [
            self.forgotten.sensors,
            self.given_up.reports,
            self.forgotten.units,
        ];
        for (((what, key, metric), dropped), before) in kinds.into_iter().zip(dropped).zip(before) {
            if dropped > 0 && before == 0 {
                tracing::warn!(partition = %self.id, what, key, metric, "there are more than the limit says: those that no event told of for longest are dropped; the metric counts them");
            }
        }
        self.forgotten.sensors += dropped[0];
        self.given_up.reports += dropped[1];
        self.forgotten.units += dropped[2];
        if dropped[0] > 0 {
            self.sensor_places += 1;
        }
    }

    /// Gives up some of the oldest past before its retention ends: the buckets of an hour that is rolled up; where there
    /// are none, the hours of a day that is; where there is nothing left to make coarser, a day. Only when that is not
    /// enough an hour or a day is closed before its time, so that it becomes coarser too: what still comes of it revises
    /// it as late events do. Says which step, and from when on it is kept now; none when nothing is left.
    pub fn give_up_oldest(&mut self) -> Option<(Step, EventTime)> {
        // Late events that are not folded in yet take more than what they become.
        self.settle();
        let coarser = [(Step::Bucket, Step::Hour), (Step::Hour, Step::Day)];
        let days = [(Step::Day, Step::Day)];
        let (step, whole) = self
            .oldest_closed(&coarser)
            .or_else(|| self.close_early(&coarser))
            .or_else(|| self.oldest_closed(&days))
            .or_else(|| self.close_early(&days))?;
        // A coarser step is kept at least as long as a finer one.
        for floor in &mut self.given_up.floors.0[..=step.index()] {
            *floor = (*floor).max(whole.end);
        }
        let cutoffs = self.cutoffs();
        for (slices, _) in self.layers.values_mut() {
            for (sum, dropped) in self.given_up.slices.iter_mut().zip(slices.expire(&cutoffs)) {
                *sum += dropped;
            }
        }
        self.sequence += 1;
        Some((step, whole.end))
    }

    /// The first of these steps that has a slice whose whole, a span of the coarser step, has ended.
    fn oldest_closed(&self, steps: &[(Step, Step)]) -> Option<(Step, Span)> {
        steps.iter().find_map(|(step, coarser)| {
            let whole = self.oldest_whole(*step, *coarser)?;
            (whole.end <= self.sealed_to).then_some((*step, whole))
        })
    }

    /// Takes for ended what has not, of the first of these steps that has a slice.
    fn close_early(&mut self, steps: &[(Step, Step)]) -> Option<(Step, Span)> {
        let (step, whole) = steps
            .iter()
            .find_map(|(step, coarser)| Some((*step, self.oldest_whole(*step, *coarser)?)))?;
        self.seal_to(whole.end.max(self.sealed_to));
        Some((step, whole))
    }

    fn oldest_whole(&self, step: Step, coarser: Step) -> Option<Span> {
        let oldest = self
            .layers
            .values()
            .filter_map(|(slices, _)| slices.oldest(step))
            .min()?;
        Some(self.settings.calendar.span(coarser, oldest))
    }
}
