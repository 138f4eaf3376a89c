//! What `data` may hold, for all three kinds of event, and how it becomes a [`Candidate`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::BinaryAttributes;
use super::malformed;
use crate::words::{Candidate, CandidateTime, EventKind, Number, Refusal};

/// A text that borrows from the payload unless it holds an escape. Serde borrows a `Cow` only where it stands alone,
/// never inside an `Option`, hence the type.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A JSON object read as `T`. Serde's derived readers would take an array of the fields' values as well.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// The fields of all kinds of `data`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields<'a> {
    pub(super) sensor: Option<Text<'a>>,
    pub(super) property: Option<Text<'a>>,
    pub(super) value: Option<f64>,
    pub(super) unit: Option<Text<'a>>,
    pub(super) lon: Option<f64>,
    pub(super) lat: Option<f64>,
    pub(super) report: Option<Text<'a>>,
    pub(super) op: Option<Text<'a>>,
    pub(super) category: Option<Text<'a>>,
    pub(super) severity: Option<f64>,
    pub(super) channel: Option<Text<'a>>,
    pub(super) reporter: Option<Text<'a>>,
    pub(super) outcome: Option<Text<'a>>,
    pub(super) status: Option<Text<'a>>,
    pub(super) skills: Option<Vec<Text<'a>>>,
}

/// What `data` of one kind may hold: only its own fields are read, whatever else is there.
#[derive(Deserialize)]
struct ObservationData<'a> {
    #[serde(borrow, default)]
    sensor: Option<Text<'a>>,
    #[serde(borrow, default)]
    property: Option<Text<'a>>,
    #[serde(default)]
    value: Option<f64>,
    #[serde(borrow, default)]
    unit: Option<Text<'a>>,
    #[serde(default)]
    lon: Option<f64>,
    #[serde(default)]
    lat: Option<f64>,
}

/// As [`ObservationData`], of a report.
#[derive(Deserialize)]
struct ReportData<'a> {
    #[serde(borrow, default)]
    report: Option<Text<'a>>,
    #[serde(borrow, default)]
    op: Option<Text<'a>>,
    #[serde(borrow, default)]
    category: Option<Text<'a>>,
    #[serde(default)]
    severity: Option<f64>,
    #[serde(borrow, default)]
    channel: Option<Text<'a>>,
    #[serde(borrow, default)]
    reporter: Option<Text<'a>>,
    #[serde(borrow, default)]
    outcome: Option<Text<'a>>,
    #[serde(default)]
    lon: Option<f64>,
    #[serde(default)]
    lat: Option<f64>,
}

/// As [`ObservationData`], of a position.
#[derive(Deserialize)]
struct PositionData<'a> {
    #[serde(borrow, default)]
    unit: Option<Text<'a>>,
    #[serde(default)]
    lon: Option<f64>,
    #[serde(default)]
    lat: Option<f64>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    skills: Option<Vec<Text<'a>>>,
}

/// Reads the fields of one kind.
pub(super) fn decode_data(kind: EventKind, json: &[u8]) -> Result<Fields<'_>, Refusal> {
    let data = match kind {
        EventKind::Observation => {
            serde_json::from_slice::<Object<ObservationData<'_>>>(json).map(|Object(data)| Fields {
                sensor: data.sensor,
                property: data.property,
                value: data.value,
                unit: data.unit,
                lon: data.lon,
                lat: data.lat,
                ..Fields::default()
            })
        }
        EventKind::Report => {
            serde_json::from_slice::<Object<ReportData<'_>>>(json).map(|Object(data)| Fields {
                report: data.report,
                op: data.op,
                category: data.category,
                severity: data.severity,
                channel: data.channel,
                reporter: data.reporter,
                outcome: data.outcome,
                lon: data.lon,
                lat: data.lat,
                ..Fields::default()
            })
        }
        EventKind::Position => {
            serde_json::from_slice::<Object<PositionData<'_>>>(json).map(|Object(data)| Fields {
                unit: data.unit,
                lon: data.lon,
                lat: data.lat,
                status: data.status,
                skills: data.skills,
                ..Fields::default()
            })
        }
    };
    data.map_err(|error| malformed(&error))
}

impl Fields<'_> {
    pub(super) fn into_owned(self) -> Fields<'static> {
        let own_text = |text: Text<'_>| Text(Cow::Owned(text.0.into_owned()));
        let own = |text: Option<Text<'_>>| text.map(own_text);
        Fields {
            sensor: own(self.sensor),
            property: own(self.property),
            value: self.value,
            unit: own(self.unit),
            lon: self.lon,
            lat: self.lat,
            report: own(self.report),
            op: own(self.op),
            category: own(self.category),
            severity: self.severity,
            channel: own(self.channel),
            reporter: own(self.reporter),
            outcome: own(self.outcome),
            status: own(self.status),
            skills: self
                .skills
                .map(|skills| skills.into_iter().map(own_text).collect()),
        }
    }
}

/// The event that attributes and data make. What belongs to another kind is left out: it may be there, and means nothing.
pub(super) fn candidate<'a>(
    kind: EventKind,
    attributes: BinaryAttributes<'a>,
    fields: Fields<'a>,
) -> Candidate<'a> {
    let text = |text: Option<Text<'a>>| text.map(|text| text.0);
    let number = |value: Option<f64>| value.map_or(Number::Missing, Number::Value);
    let common = Candidate {
        id: attributes.id,
        source: attributes.source,
        time: attributes
            .time
            .map_or(CandidateTime::Missing, CandidateTime::Rfc3339),
        lon: number(fields.lon),
        lat: number(fields.lat),
        ..Candidate::empty(kind)
    };
    match kind {
        EventKind::Observation => Candidate {
            name: text(fields.property),
            value: number(fields.value),
            value_unit: text(fields.unit),
            sensor: text(fields.sensor),
            ..common
        },
        EventKind::Report => Candidate {
            name: text(fields.category),
            report: text(fields.report),
            op: text(fields.op),
            severity: number(fields.severity),
            channel: text(fields.channel),
            reporter: text(fields.reporter),
            outcome: text(fields.outcome),
            ..common
        },
        EventKind::Position => Candidate {
            unit: text(fields.unit),
            status: text(fields.status),
            skills: fields
                .skills
                .unwrap_or_default()
                .into_iter()
                .map(|skill| skill.0)
                .collect(),
            ..common
        },
    }
}
