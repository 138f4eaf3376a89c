//! CloudEvents 1.0 JSON, structured and binary mode, into [`Candidate`]s.
//!
//! One pass with one struct that knows the fields of all three kinds reads what producers send. Only what that pass
//! cannot read is looked at again, to tell an unknown type or a stray field from a malformed event.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::event::{Candidate, CandidateTime, EventKind, Number};
use crate::refusal::{Refusal, RefusalReason};

/// Attributes of an event in binary mode: the `ce_` headers of Kafka, the `ce-` headers of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinaryAttributes<'a> {
    /// `specversion`.
    pub specversion: Option<Cow<'a, str>>,
    /// `id`.
    pub id: Option<Cow<'a, str>>,
    /// `source`.
    pub source: Option<Cow<'a, str>>,
    /// `type`.
    pub kind: Option<Cow<'a, str>>,
    /// `time`.
    pub time: Option<Cow<'a, str>>,
}

impl<'a> BinaryAttributes<'a> {
    /// Sets the attribute `name` (without its prefix); attributes that riskgrid does not know are ignored.
    pub fn set(&mut self, name: &str, value: Cow<'a, str>) {
        let slot = match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "time" => &mut self.time,
            _ => return,
        };
        *slot = Some(value);
    }

    /// Whether any attribute was there: then the message is in binary mode.
    pub fn is_present(&self) -> bool {
        self.specversion.is_some() || self.id.is_some() || self.source.is_some() || self.kind.is_some()
    }
}

/// A text that borrows from the payload unless it holds an escape. Serde borrows a `Cow` only where it stands alone,
/// never inside an `Option`, hence the type.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A JSON object read as `T`. Serde's derived readers would take an array of the fields' values as well.
struct Object<T>(T);

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

#[derive(Deserialize)]
struct Envelope<'a, D> {
    #[serde(borrow, default)]
    specversion: Option<Text<'a>>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    time: Option<Text<'a>>,
    #[serde(default = "Option::default")]
    data: Option<D>,
    #[serde(borrow, default)]
    data_base64: Option<Text<'a>>,
}

/// The fields of all kinds of `data`.
#[derive(Deserialize, Default)]
struct AnyData<'a> {
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
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    skills: Option<Vec<Text<'a>>>,
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

/// Reads one event in structured mode.
///
/// # Errors
/// `malformed` when it is not JSON, not CloudEvents 1.0 or has a field of the wrong type; `unknown_type`.
pub fn decode_structured(payload: &[u8]) -> Result<Candidate<'_>, Refusal> {
    if let Ok(Object(envelope)) = serde_json::from_slice::<Object<Envelope<'_, Object<AnyData<'_>>>>>(payload)
        && envelope.data_base64.is_none()
    {
        let (attributes, data) = split(envelope);
        let kind = check_attributes(&attributes)?;
        return Ok(candidate(
            kind,
            attributes,
            data.map(|data| data.0).unwrap_or_default(),
        ));
    }
    // The unusual: an unknown type, a stray field, data in base64, or a malformed event; told apart at leisure.
    let Object(envelope) = serde_json::from_slice::<Object<Envelope<'_, &RawValue>>>(payload)
        .map_err(|error| malformed(&error))?;
    let base64 = envelope.data_base64.clone();
    let (attributes, data) = split(envelope);
    let kind = check_attributes(&attributes)?;
    match (data, base64) {
        (Some(data), _) => Ok(candidate(
            kind,
            attributes,
            decode_data(kind, data.get().as_bytes())?,
        )),
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text.0.as_bytes())
                .map_err(|error| Refusal::new(RefusalReason::Malformed, format!("data_base64: {error}")))?;
            let data = decode_data(kind, &bytes)?.into_owned();
            Ok(candidate(kind, attributes, data))
        }
        (None, None) => Ok(candidate(kind, attributes, AnyData::default())),
    }
}

/// Reads one event in binary mode: attributes apart, `payload` is the JSON of `data`.
///
/// # Errors
/// As [`decode_structured`].
pub fn decode_binary<'a>(
    attributes: BinaryAttributes<'a>,
    payload: &'a [u8],
) -> Result<Candidate<'a>, Refusal> {
    let kind = check_attributes(&attributes)?;
    let data = if payload.is_empty() {
        AnyData::default()
    } else {
        decode_data(kind, payload)?
    };
    Ok(candidate(kind, attributes, data))
}

fn split<D>(envelope: Envelope<'_, D>) -> (BinaryAttributes<'_>, Option<D>) {
    let Envelope {
        specversion,
        id,
        source,
        kind,
        time,
        data,
        data_base64: _,
    } = envelope;
    let attributes = BinaryAttributes {
        specversion: plain(specversion),
        id: plain(id),
        source: plain(source),
        kind: plain(kind),
        time: plain(time),
    };
    (attributes, data)
}

fn plain(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0)
}

fn check_attributes(attributes: &BinaryAttributes<'_>) -> Result<EventKind, Refusal> {
    if let Some(version) = attributes.specversion.as_deref()
        && version != "1.0"
    {
        let shown: String = version.chars().take(16).collect();
        let detail = format!("specversion is `{shown}`, riskgrid reads CloudEvents `1.0`");
        return Err(Refusal::new(RefusalReason::Malformed, detail));
    }
    let Some(name) = attributes.kind.as_deref() else {
        return Err(Refusal::missing("type"));
    };
    let Some(kind) = EventKind::from_type_name(name) else {
        let shown: String = name.chars().take(80).collect();
        let detail = format!(
            "type `{shown}` is none of riskgrid.observation.v1, riskgrid.report.v1, riskgrid.position.v1"
        );
        return Err(Refusal::new(RefusalReason::UnknownType, detail));
    };
    if attributes.specversion.is_none() {
        return Err(Refusal::missing("specversion"));
    }
    Ok(kind)
}

fn decode_data(kind: EventKind, json: &[u8]) -> Result<AnyData<'_>, Refusal> {
    let data = match kind {
        EventKind::Observation => {
            serde_json::from_slice::<Object<ObservationData<'_>>>(json).map(|Object(data)| AnyData {
                sensor: data.sensor,
                property: data.property,
                value: data.value,
                unit: data.unit,
                lon: data.lon,
                lat: data.lat,
                ..AnyData::default()
            })
        }
        EventKind::Report => {
            serde_json::from_slice::<Object<ReportData<'_>>>(json).map(|Object(data)| AnyData {
                report: data.report,
                op: data.op,
                category: data.category,
                severity: data.severity,
                channel: data.channel,
                reporter: data.reporter,
                outcome: data.outcome,
                lon: data.lon,
                lat: data.lat,
                ..AnyData::default()
            })
        }
        EventKind::Position => {
            serde_json::from_slice::<Object<PositionData<'_>>>(json).map(|Object(data)| AnyData {
                unit: data.unit,
                lon: data.lon,
                lat: data.lat,
                status: data.status,
                skills: data.skills,
                ..AnyData::default()
            })
        }
    };
    data.map_err(|error| malformed(&error))
}

impl AnyData<'_> {
    fn into_owned(self) -> AnyData<'static> {
        let own_text = |text: Text<'_>| Text(Cow::Owned(text.0.into_owned()));
        let own = |text: Option<Text<'_>>| text.map(own_text);
        AnyData {
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

fn candidate<'a>(kind: EventKind, attributes: BinaryAttributes<'a>, data: AnyData<'a>) -> Candidate<'a> {
    let number = |value: Option<f64>| value.map_or(Number::Missing, Number::Value);
    let (value_unit, unit) = match kind {
        EventKind::Observation => (plain(data.unit), None),
        EventKind::Report => (None, None),
        EventKind::Position => (None, plain(data.unit)),
    };
    Candidate {
        kind,
        id: attributes.id,
        source: attributes.source,
        time: attributes
            .time
            .map_or(CandidateTime::Missing, CandidateTime::Rfc3339),
        lon: number(data.lon),
        lat: number(data.lat),
        name: if kind == EventKind::Observation {
            plain(data.property)
        } else {
            plain(data.category)
        },
        value: number(data.value),
        value_unit,
        sensor: plain(data.sensor),
        report: plain(data.report),
        op: plain(data.op),
        severity: number(data.severity),
        channel: plain(data.channel),
        reporter: plain(data.reporter),
        outcome: plain(data.outcome),
        unit,
        status: plain(data.status),
        skills: data
            .skills
            .unwrap_or_default()
            .into_iter()
            .map(|skill| skill.0)
            .collect(),
        lookup_missed: None,
    }
}

/// serde_json's message names what was expected and the column; it may quote a short scalar, never a whole payload.
fn malformed(error: &serde_json::Error) -> Refusal {
    let text: String = error.to_string().chars().take(200).collect();
    Refusal::new(RefusalReason::Malformed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBSERVATION: &str = r#"{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.observation.v1",
        "time":"2026-11-22T08:00:00Z","data":{"sensor":"river-7","property":"water_level","value":3.42,"unit":"m","lon":113.93,"lat":22.53}}"#;

    fn reason(payload: &str) -> RefusalReason {
        decode_structured(payload.as_bytes()).unwrap_err().reason
    }

    #[test]
    fn an_observation_is_read_without_copying() {
        let candidate = decode_structured(OBSERVATION.as_bytes()).unwrap();
        assert_eq!(candidate.value, Number::Value(3.42));
        assert!(matches!(candidate.sensor, Some(Cow::Borrowed("river-7"))));
        assert_eq!(candidate.name.as_deref(), Some("water_level"));
    }

    #[test]
    fn reasons_are_told_apart() {
        assert_eq!(reason("not json"), RefusalReason::Malformed);
        assert_eq!(
            reason(&OBSERVATION.replace("3.42", "NaN")),
            RefusalReason::Malformed
        );
        assert_eq!(
            reason(&OBSERVATION.replace("3.42", "\"3.42\"")),
            RefusalReason::Malformed
        );
        assert_eq!(
            reason(&OBSERVATION.replace("\"id\":\"1\"", "\"id\":1")),
            RefusalReason::Malformed
        );
        assert_eq!(
            reason(&OBSERVATION.replace("observation.v1", "observation.v9")),
            RefusalReason::UnknownType
        );
        assert_eq!(
            reason(r#"{"specversion":"1.0","id":"1","source":"s","type":"x","data":"text"}"#),
            RefusalReason::UnknownType
        );
        assert_eq!(
            reason(r#"{"specversion":"1.0","id":"1","source":"s"}"#),
            RefusalReason::MissingField
        );
        assert_eq!(
            reason(&OBSERVATION.replace("\"1.0\"", "\"0.3\"")),
            RefusalReason::Malformed
        );
        assert_eq!(reason("[]"), RefusalReason::Malformed);
    }

    #[test]
    fn null_is_missing_and_foreign_fields_do_not_matter() {
        let candidate_of = |text: String| {
            decode_structured(text.as_bytes())
                .map(Candidate::into_static)
                .unwrap()
        };
        assert_eq!(
            candidate_of(OBSERVATION.replace("3.42", "null")).value,
            Number::Missing
        );
        let stray = OBSERVATION.replace("\"sensor\"", "\"status\":5,\"extra\":{\"a\":[1]},\"sensor\"");
        assert_eq!(candidate_of(stray).value, Number::Value(3.42));
    }

    #[test]
    fn base64_data_and_binary_mode_equal_structured_mode() {
        let data = r#"{"sensor":"river-7","property":"water_level","value":3.42,"unit":"m","lon":113.93,"lat":22.53}"#;
        let encoded = base64::engine::general_purpose::STANDARD.encode(data);
        let text = format!(
            r#"{{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.observation.v1","time":"2026-11-22T08:00:00Z","data_base64":"{encoded}"}}"#
        );
        let plain = decode_structured(OBSERVATION.as_bytes()).unwrap();
        assert_eq!(decode_structured(text.as_bytes()).unwrap(), plain);
        let mut attributes = BinaryAttributes::default();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "//s"),
            ("type", "riskgrid.observation.v1"),
            ("time", "2026-11-22T08:00:00Z"),
            ("traceparent", "x"),
        ] {
            attributes.set(name, value.into());
        }
        assert_eq!(decode_binary(attributes, data.as_bytes()).unwrap(), plain);
    }
}
