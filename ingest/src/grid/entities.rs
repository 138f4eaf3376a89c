//! Entities: the newest state of each sensor, report and unit. Newest wins, field by field, by `(time, event hash)`,
//! so that order of arrival does not matter.

use serde::{Deserialize, Serialize};

use super::earlier_readings::EarlierReadings;
use crate::words::{Channel, Event, EventTime, ReportOp};

/// A value with the time and hash of the event that set it; a newer event replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// When the event that set it happened.
    pub time: EventTime,
    hash: u128,
    /// What it set.
    pub value: T,
}

impl<T> Stamped<T> {
    /// What decides which of two is newer.
    pub(crate) const fn stamp(&self) -> (EventTime, u128) {
        (self.time, self.hash)
    }

    #[cfg(test)]
    pub(crate) const fn new(time: EventTime, hash: u128, value: T) -> Self {
        Self { time, hash, value }
    }

    /// Another value under the same stamp.
    const fn with<U>(&self, value: U) -> Stamped<U> {
        Stamped {
            time: self.time,
            hash: self.hash,
            value,
        }
    }
}

/// Sets `slot` unless a newer event has set it already.
fn set<T>(slot: &mut Option<Stamped<T>>, event: &Event<'_>, value: impl FnOnce() -> T) {
    let stamp = (event.time, event.hash.0);
    if slot.as_ref().is_none_or(|old| (old.time, old.hash) < stamp) {
        *slot = Some(Stamped {
            time: stamp.0,
            hash: stamp.1,
            value: value(),
        });
    }
}

/// Keeps the newer of two.
fn set_merged<T: Clone>(slot: &mut Option<Stamped<T>>, other: Option<&Stamped<T>>) {
    if let Some(other) = other
        && slot
            .as_ref()
            .is_none_or(|old| (old.time, old.hash) < (other.time, other.hash))
    {
        *slot = Some(other.clone());
    }
}

/// A place of an entity: degrees, and its base-resolution cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// H3 index.
    pub cell: u64,
}

impl Place {
    fn of(event: &Event<'_>) -> Option<Self> {
        event.position.map(|position| Self {
            lon: position.lon,
            lat: position.lat,
            cell: position.cell.into(),
        })
    }
}

/// The newest reading of one sensor on one layer; the key's scope is the layer's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Place and value (in whole units of the layer's resolution), which come together.
    pub reading: Option<Stamped<(Place, i64)>>,
    /// Those before it; in checkpoints they stand beside, for older ones have none.
    #[serde(skip)]
    pub(crate) earlier: EarlierReadings,
}

impl Sensor {
    /// Applies an observation. Whether it is now the newest.
    pub(crate) fn apply(&mut self, event: &Event<'_>) -> bool {
        let (Some(place), Some(value)) = (Place::of(event), event.value) else {
            return false;
        };
        let reading = Stamped {
            time: event.time,
            hash: event.hash.0,
            value: (place, value),
        };
        self.take(&reading)
    }

    /// Takes in a reading. Whether it is now the newest.
    fn take(&mut self, reading: &Stamped<(Place, i64)>) -> bool {
        let before = self.reading;
        match before {
            Some(newest) if newest.stamp() == reading.stamp() => return false,
            Some(newest) if newest.stamp() > reading.stamp() => {
                self.earlier.insert(reading.with(reading.value.1));
                return false;
            }
            Some(newest) => self.earlier.insert(newest.with(newest.value.1)),
            None => {}
        }
        self.reading = Some(*reading);
        true
    }

    /// The newest readings that happened before a moment, the newest first, with their times: up to five in all are known,
    /// each in whole units of the layer's resolution.
    pub fn readings_before(&self, at: EventTime) -> impl Iterator<Item = (EventTime, i64)> + '_ {
        let newest = self.reading.filter(|reading| reading.time < at);
        newest
            .map(|reading| (reading.time, reading.value.1))
            .into_iter()
            .chain(
                self.earlier
                    .before(at)
                    .map(|reading| (reading.time, reading.value)),
            )
    }

    /// Time of its newest reading.
    pub fn last_time(&self) -> Option<EventTime> {
        self.reading.map(|reading| reading.time)
    }

    /// Takes over what `other`, of another partition, knows better.
    pub fn merge(&mut self, other: &Self) {
        if let Some(reading) = &other.reading {
            self.take(reading);
        }
        for reading in other.earlier.iter() {
            self.earlier.insert(*reading);
        }
    }
}

/// One report; the key's scope is its source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Id of the layer of its category.
    pub layer: Option<Stamped<String>>,
    /// 0 unknown to 4 critical.
    pub severity: Option<Stamped<u8>>,
    /// Where.
    pub place: Option<Stamped<Place>>,
    /// Time of its first opening.
    pub opened: Option<EventTime>,
    /// The newest event of any kind.
    pub updated: Option<EventTime>,
    /// Whether the newest opening or closing closed it.
    pub closed: Option<Stamped<bool>>,
    /// How it turned out.
    pub outcome: Option<Stamped<String>>,
    /// How its opening came; in checkpoints it stands beside, for older ones do not have it.
    #[serde(skip)]
    pub channel: Option<Stamped<Channel>>,
}

impl Report {
    pub(crate) fn apply(&mut self, event: &Event<'_>, layer: Option<&str>) {
        if let Some(layer) = layer {
            set(&mut self.layer, event, || layer.to_owned());
        }
        if event.severity > 0 {
            set(&mut self.severity, event, || event.severity);
        }
        if let Some(place) = Place::of(event) {
            set(&mut self.place, event, || place);
        }
        if event.op == ReportOp::Open {
            self.opened = Some(self.opened.map_or(event.time, |opened| opened.min(event.time)));
            set(&mut self.channel, event, || event.channel);
        }
        self.updated = self.updated.max(Some(event.time));
        if event.op != ReportOp::Update {
            set(&mut self.closed, event, || event.op == ReportOp::Close);
        }
        if let Some(outcome) = event.outcome.as_deref().filter(|_| event.op == ReportOp::Close) {
            let known = ["confirmed", "false", "duplicate"];
            set(&mut self.outcome, event, || {
                if known.contains(&outcome) {
                    outcome.to_owned()
                } else {
                    "unknown".to_owned()
                }
            });
        }
    }

    /// `open` or `closed`; `unknown` when neither its opening nor its closing was seen.
    pub fn status(&self) -> &'static str {
        match &self.closed {
            Some(stamped) if stamped.value => "closed",
            Some(_) => "open",
            None => "unknown",
        }
    }

    /// When it was closed, if it is.
    pub fn closed_at(&self) -> Option<EventTime> {
        self.closed
            .as_ref()
            .filter(|stamped| stamped.value)
            .map(|stamped| stamped.time)
    }

    /// Takes over what `other`, of another partition, knows better.
    pub fn merge(&mut self, other: &Self) {
        set_merged(&mut self.layer, other.layer.as_ref());
        set_merged(&mut self.severity, other.severity.as_ref());
        set_merged(&mut self.place, other.place.as_ref());
        set_merged(&mut self.closed, other.closed.as_ref());
        set_merged(&mut self.outcome, other.outcome.as_ref());
        set_merged(&mut self.channel, other.channel.as_ref());
        self.updated = self.updated.max(other.updated);
        self.opened = match (self.opened, other.opened) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }
}

/// A response unit; the key's scope is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponseUnit {
    /// Where it is.
    pub place: Option<Stamped<Place>>,
    /// What it is doing.
    pub status: Option<Stamped<String>>,
    /// What it can do.
    pub skills: Option<Stamped<Vec<String>>>,
}

impl ResponseUnit {
    pub(crate) fn apply(&mut self, event: &Event<'_>) {
        if let Some(place) = Place::of(event) {
            set(&mut self.place, event, || place);
        }
        if let Some(status) = event.status.as_deref() {
            set(&mut self.status, event, || status.to_owned());
        }
        if !event.skills.is_empty() {
            set(&mut self.skills, event, || {
                event
                    .skills
                    .iter()
                    .map(|skill| skill.clone().into_owned())
                    .collect()
            });
        }
    }

    /// Time of the newest event that told of it.
    pub fn last_time(&self) -> Option<EventTime> {
        let place = self.place.as_ref().map(|place| place.time);
        let status = self.status.as_ref().map(|status| status.time);
        place
            .max(status)
            .max(self.skills.as_ref().map(|skills| skills.time))
    }

    /// Takes over what `other`, of another partition, knows better.
    pub fn merge(&mut self, other: &Self) {
        set_merged(&mut self.place, other.place.as_ref());
        set_merged(&mut self.status, other.status.as_ref());
        set_merged(&mut self.skills, other.skills.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(time: i64, hash: u128, value: i64) -> Stamped<(Place, i64)> {
        let place = Place {
            lon: 0.0,
            lat: 0.0,
            cell: 0,
        };
        Stamped {
            time: EventTime::from_micros(time),
            hash,
            value: (place, value),
        }
    }

    proptest! {
        #[test]
        fn a_sensor_knows_its_newest_readings_whatever_the_order_and_the_partition(
            times in prop::collection::vec((0..30_i64, any::<bool>()), 1..20),
            at in 0..40_i64,
        ) {
            let all: Vec<_> = times.iter().zip(0_u8..).map(|((time, _), hash)| reading(*time, hash.into(), hash.into())).collect();
            let mut two = [Sensor::default(), Sensor::default()];
            for (reading, (_, second)) in all.iter().zip(&times) {
                two[usize::from(*second)].take(reading);
            }
            let [mut merged, other] = two;
            merged.merge(&other);
            // One that comes again changes nothing.
            merged.merge(&other);
            let mut expected: Vec<_> = all.iter().map(Stamped::stamp).collect();
            expected.sort_unstable();
            let newest = expected.into_iter().rev().take(5);
            let expected: Vec<_> = newest
                .filter(|(time, _)| time.micros() < at)
                .map(|(time, hash)| (time, hash as i64))
                .collect();
            prop_assert_eq!(merged.readings_before(EventTime::from_micros(at)).collect::<Vec<_>>(), expected);
        }
    }
}
