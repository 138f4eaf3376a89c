//! What an event is, before and after the edge: [`Candidate`] is what a decoder read, [`Event`] is what was accepted.
//!
//! Both borrow from the payload, so an event that only adds to the grid costs no allocation.

use std::borrow::Cow;
use std::hash::Hasher;

use h3o::CellIndex;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::layer::LayerIndex;
use crate::places::AreaIds;
use crate::time::EventTime;

/// The three kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A sensor's reading of one property.
    Observation,
    /// A hotline call, an incident, a finding: opened, updated or closed.
    Report,
    /// Where a response unit is. Never counted in cells.
    Position,
}

impl EventKind {
    /// The CloudEvents `type` of this kind.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Observation => "riskgrid.observation.v1",
            Self::Report => "riskgrid.report.v1",
            Self::Position => "riskgrid.position.v1",
        }
    }

    /// The kind that a CloudEvents `type` names.
    pub fn from_type_name(name: &str) -> Option<Self> {
        [Self::Observation, Self::Report, Self::Position]
            .into_iter()
            .find(|kind| kind.type_name() == name)
    }
}

/// What a report event does to its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportOp {
    /// Opens it, and counts once in `cells`.
    #[default]
    Open,
    /// Changes it.
    Update,
    /// Ends it.
    Close,
}

impl ReportOp {
    /// The operation that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "update" => Some(Self::Update),
            "close" => Some(Self::Close),
            _ => None,
        }
    }

    /// Its name in events and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Close => "close",
        }
    }
}

/// Through what a report came; the number is its class in the `channels` bitmap (risk model, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Channel {
    /// A device.
    Sensor = 0,
    /// A field officer.
    FieldOfficer = 1,
    /// A camera.
    Camera = 2,
    /// A telephone call.
    Phone = 3,
    /// An app.
    App = 4,
    /// A web form.
    Web = 5,
    /// Social media.
    Social = 6,
    /// Anything else, and what did not say.
    Other = 7,
}

impl Channel {
    /// The channel that `text` names; every unknown name is [`Channel::Other`].
    pub fn parse(text: &str) -> Self {
        match text {
            "sensor" => Self::Sensor,
            "field_officer" | "officer" | "field" => Self::FieldOfficer,
            "camera" => Self::Camera,
            "phone" => Self::Phone,
            "app" => Self::App,
            "web" => Self::Web,
            "social" => Self::Social,
            _ => Self::Other,
        }
    }
}

/// A stable 128-bit hash of source, id and time: two events with the same hash are the same event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventHash(pub u128);

impl EventHash {
    /// XXH3-128 over the lengths and bytes of `source` and `id`, and the microseconds of `time`.
    /// The lengths keep `("ab", "c")` and `("a", "bc")` apart.
    pub fn new(source: &str, id: &str, time: EventTime) -> Self {
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

/// A number as it was written: absent, a number (which may be NaN when it came from CSV), or text that is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Number<'a> {
    /// Not there, null, or an empty CSV field.
    #[default]
    Missing,
    /// A number.
    Value(f64),
    /// Text that is not a number (CSV only; in JSON it is malformed).
    Text(Cow<'a, str>),
}

impl Number<'_> {
    fn into_static(self) -> Number<'static> {
        match self {
            Number::Missing => Number::Missing,
            Number::Value(value) => Number::Value(value),
            Number::Text(text) => Number::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// The time of a candidate: as text, or already resolved by a feed's format and zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CandidateTime<'a> {
    /// Not there.
    #[default]
    Missing,
    /// RFC 3339, still to be read.
    Rfc3339(Cow<'a, str>),
    /// Read by a feed mapping.
    Resolved(EventTime),
    /// Read by a feed mapping and found not to be a time; says why.
    Invalid(String),
}

/// One event as a decoder read it: the right JSON types, nothing else checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// What it claims to be.
    pub kind: EventKind,
    /// CloudEvents `id`.
    pub id: Option<Cow<'a, str>>,
    /// CloudEvents `source`.
    pub source: Option<Cow<'a, str>>,
    /// CloudEvents `time`.
    pub time: CandidateTime<'a>,
    /// Degrees east.
    pub lon: Number<'a>,
    /// Degrees north.
    pub lat: Number<'a>,
    /// `property` of an observation, `category` of a report.
    pub name: Option<Cow<'a, str>>,
    /// The reading.
    pub value: Number<'a>,
    /// UCUM code of `value`.
    pub value_unit: Option<Cow<'a, str>>,
    /// Who measured.
    pub sensor: Option<Cow<'a, str>>,
    /// Which report.
    pub report: Option<Cow<'a, str>>,
    /// `open`, `update` or `close`.
    pub op: Option<Cow<'a, str>>,
    /// 0 to 4.
    pub severity: Number<'a>,
    /// How it came.
    pub channel: Option<Cow<'a, str>>,
    /// Who reported; only its keyed hash goes on.
    pub reporter: Option<Cow<'a, str>>,
    /// How a closed report turned out.
    pub outcome: Option<Cow<'a, str>>,
    /// Which response unit.
    pub unit: Option<Cow<'a, str>>,
    /// What the unit is doing.
    pub status: Option<Cow<'a, str>>,
    /// What the unit can do.
    pub skills: Vec<Cow<'a, str>>,
    /// A feed's lookup had no row for this event: the key that was looked for.
    pub lookup_missed: Option<String>,
}

impl Candidate<'_> {
    /// A candidate of which nothing is known but its kind.
    pub fn empty(kind: EventKind) -> Self {
        Self {
            kind,
            id: None,
            source: None,
            time: CandidateTime::Missing,
            lon: Number::Missing,
            lat: Number::Missing,
            name: None,
            value: Number::Missing,
            value_unit: None,
            sensor: None,
            report: None,
            op: None,
            severity: Number::Missing,
            channel: None,
            reporter: None,
            outcome: None,
            unit: None,
            status: None,
            skills: Vec::new(),
            lookup_missed: None,
        }
    }

    /// The same candidate, owning its texts.
    pub fn into_static(self) -> Candidate<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Candidate {
            kind: self.kind,
            id: own(self.id),
            source: own(self.source),
            time: match self.time {
                CandidateTime::Missing => CandidateTime::Missing,
                CandidateTime::Rfc3339(text) => CandidateTime::Rfc3339(Cow::Owned(text.into_owned())),
                CandidateTime::Resolved(time) => CandidateTime::Resolved(time),
                CandidateTime::Invalid(why) => CandidateTime::Invalid(why),
            },
            lon: self.lon.into_static(),
            lat: self.lat.into_static(),
            name: own(self.name),
            value: self.value.into_static(),
            value_unit: own(self.value_unit),
            sensor: own(self.sensor),
            report: own(self.report),
            op: own(self.op),
            severity: self.severity.into_static(),
            channel: own(self.channel),
            reporter: own(self.reporter),
            outcome: own(self.outcome),
            unit: own(self.unit),
            status: own(self.status),
            skills: self
                .skills
                .into_iter()
                .map(|skill| Cow::Owned(skill.into_owned()))
                .collect(),
            lookup_missed: self.lookup_missed,
        }
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

    #[test]
    fn the_event_hash_is_stable_and_keeps_its_parts_apart() {
        let time = EventTime::from_micros(1);
        assert_ne!(EventHash::new("ab", "c", time), EventHash::new("a", "bc", time));
        assert_ne!(
            EventHash::new("a", "b", time),
            EventHash::new("a", "b", EventTime::from_micros(2))
        );
        let long = "x".repeat(1000);
        assert_eq!(EventHash::new(&long, "c", time), EventHash::new(&long, "c", time));
        // Written into checkpoints: must never change between versions.
        assert_eq!(
            EventHash::new("//a", "1", time).0,
            233_866_682_753_761_235_848_222_191_648_509_484_333
        );
    }
}
