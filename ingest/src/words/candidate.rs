//! An event as a decoder read it. It borrows from the payload.

use std::borrow::Cow;

use super::event::Mirrored;
use super::event_kind::EventKind;
use super::time::EventTime;

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
    /// What another system says of the case of the report, if its feed maps that.
    pub mirrored: Option<Box<Mirrored>>,
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
            mirrored: None,
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
            mirrored: self.mirrored,
            lookup_missed: self.lookup_missed,
        }
    }
}
