//! An event that was accepted. It borrows from the payload, so that one that only adds to the grid costs no allocation.

use std::borrow::Cow;
use std::hash::Hasher;
use std::sync::Arc;

use h3o::CellIndex;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use super::event_kind::{Channel, EventKind, ReportOp};
use super::layer::LayerIndex;
use super::time::EventTime;

/// The ids of some areas, ascending.
pub type AreaIds = Arc<[Arc<str>]>;

/// What CloudEvents knows an event by.
#[derive(Clone, Copy, Debug)]
pub struct EventName<'a> {
    /// Who sent it.
    pub source: &'a str,
    /// What it is called there.
    pub id: &'a str,
}

/// A stable 128-bit hash of source, id and time: two events with the same hash are the same event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventHash(pub u128);

impl EventHash {
    /// XXH3-128 over the lengths and bytes of `source` and `id`, and the microseconds of `time`.
    /// The lengths keep `("ab", "c")` and `("a", "bc")` apart.
    pub fn new(EventName { source, id }: EventName<'_>, time: EventTime) -> Self {
        let mut buffer = [0_u8; 256];
        let needed = 24 + source.len() + id.len();
        let write = |out: &mut [u8]| {
            let (head, tail) = out.split_at_mut(24);
            head[..8].copy_from_slice(&(source.len() as u64).to_le_bytes());
            head[8..16].copy_from_slice(&(id.len() as u64).to_le_bytes());
            head[16..].copy_from_slice(&time.micros().to_le_bytes());
            tail[..source.len()].copy_from_slice(source.as_bytes());
            tail[source.len()..].copy_from_slice(id.as_bytes());
        };
        if let Some(out) = buffer.get_mut(..needed) {
            write(out);
            return Self(XxHash3_128::oneshot(out));
        }
        let mut long = vec![0; needed];
        write(&mut long);
        Self(XxHash3_128::oneshot(&long))
    }
}

/// A 64-bit keyed hash of who or what reported, for the bitmaps that count distinct sources.
/// The key is secret and lives with the checkpoints, so that the hash tells nobody who it was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SourceKey(pub [u8; 16]);

impl SourceKey {
    /// SipHash-1-3 (Aumasson and Bernstein 2012) of `text` under this key.
    pub fn hash(&self, text: &str) -> u64 {
        let mut hasher = siphasher::sip::SipHasher13::new_with_key(&self.0);
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

/// A place: degrees, finite, longitude in ±180 and latitude in ±90, and the cell that holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// The base-resolution cell.
    pub cell: CellIndex,
}

/// An event that passed the edge.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// What it is.
    pub kind: EventKind,
    /// CloudEvents `id`.
    pub id: Cow<'a, str>,
    /// CloudEvents `source`.
    pub source: Cow<'a, str>,
    /// Event time.
    pub time: EventTime,
    /// What moves clocks: the event time, in live feeds no later than `received`. An event of a clock that is fast counts
    /// where it says, and brings nothing to an end before its time.
    pub clock: EventTime,
    /// When the log received it.
    pub received: EventTime,
    /// Its identity.
    pub hash: EventHash,
    /// The layer it belongs to; none for positions and for updates that name no category.
    pub layer: Option<LayerIndex>,
    /// Where; updates and closes may have none.
    pub position: Option<Position>,
    /// The areas that hold its place; none without a place, and where no areas are loaded.
    pub areas: Option<AreaIds>,
    /// The reading in whole units of the layer's resolution.
    pub value: Option<i64>,
    /// 0 unknown to 4 critical, as written.
    pub severity: u8,
    /// What it weighs in `weight`: severity, or the layer's default where unknown; 1 for observations.
    pub weight: u8,
    /// What it does to its report.
    pub op: ReportOp,
    /// Sensor, report or unit: the entity that it is about.
    pub entity: Cow<'a, str>,
    /// How it came.
    pub channel: Channel,
    /// Keyed hash of reporter, else sensor, else report or source.
    pub source_hash: u64,
    /// How a closed report turned out.
    pub outcome: Option<Cow<'a, str>>,
    /// What a unit is doing.
    pub status: Option<Cow<'a, str>>,
    /// What a unit can do.
    pub skills: Vec<Cow<'a, str>>,
    /// What another system says of the case of the report.
    pub mirrored: Option<Box<Mirrored>>,
}

/// What another system says of a case that it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// By when it means to be done.
    pub due: Option<EventTime>,
    /// Whose it is there.
    pub office: Option<String>,
}

impl Event<'_> {
    /// Whether this event adds to `cells`: observations and opened reports do.
    pub const fn counts(&self) -> bool {
        match self.kind {
            EventKind::Observation => true,
            EventKind::Report => matches!(self.op, ReportOp::Open),
            EventKind::Position => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(source: &str, id: &str, time: EventTime) -> EventHash {
        EventHash::new(EventName { source, id }, time)
    }

    #[test]
    fn the_event_hash_is_stable_and_keeps_its_parts_apart() {
        let time = EventTime::from_micros(1);
        assert_ne!(hash("ab", "c", time), hash("a", "bc", time));
        assert_ne!(hash("a", "b", time), hash("a", "b", EventTime::from_micros(2)));
        let long = "x".repeat(1000);
        assert_eq!(hash(&long, "c", time), hash(&long, "c", time));
        // Written into checkpoints: must never change between versions.
        assert_eq!(
            hash("//a", "1", time).0,
            233_866_682_753_761_235_848_222_191_648_509_484_333
        );
    }
}
