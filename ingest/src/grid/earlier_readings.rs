//! The readings of a sensor before its newest one: a median of three tells a spike from a change.

use super::entities::Stamped;
use crate::words::EventTime;

/// Readings kept beside the newest. Two are enough for a median of three; the others are for sensors whose clocks are
/// fast, of which readings that have not happened yet do not count.
const EARLIER: usize = 4;

/// The newest readings but one, the newest first, each in whole units of the layer's resolution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct EarlierReadings {
    readings: [Option<Stamped<i64>>; EARLIER],
}

impl EarlierReadings {
    /// Takes in a reading, in whatever order they come; one that is known is not taken in again.
    pub(crate) fn insert(&mut self, reading: Stamped<i64>) {
        let mut next = Some(reading);
        for slot in &mut self.readings {
            match (*slot, next) {
                (_, None) => return,
                (None, Some(_)) => {
                    *slot = next;
                    return;
                }
                (Some(known), Some(new)) => {
                    if known.stamp() == new.stamp() {
                        return;
                    }
                    if known.stamp() < new.stamp() {
                        next = slot.replace(new);
                    }
                }
            }
        }
    }

    /// The newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stamped<i64>> {
        self.readings.iter().flatten()
    }

    /// Those that happened before a moment.
    pub(crate) fn before(&self, at: EventTime) -> impl Iterator<Item = &Stamped<i64>> {
        self.iter().filter(move |reading| reading.time < at)
    }
}
