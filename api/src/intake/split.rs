//! The events of a body, one after the other.

use std::fmt;

use riskgrid_ingest::decode::cloudevent::BinaryAttributes;
use riskgrid_ingest::{Refusal, RefusalReason};
use serde::Serialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How a request holds its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestForm {
    /// One event, structured mode.
    Structured,
    /// One event, binary mode: its attributes, the body being its data.
    Binary(BinaryAttributes<'static>),
    /// A JSON array of events.
    Batch,
    /// One event a line.
    Lines,
}

/// Gives each event of a body, as bytes of structured JSON.
///
/// # Errors
/// The body cannot be told into events: a batch that is not a JSON array, data that are not JSON. What was given until then
/// is not meant.
pub fn for_each_event(form: &RequestForm, body: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Refusal> {
    match form {
        RequestForm::Structured => take(body),
        RequestForm::Binary(attributes) => take(&structured_from_binary(attributes, body)?),
        RequestForm::Lines => lines(body).for_each(take),
        RequestForm::Batch => {
            let mut reader = serde_json::Deserializer::from_slice(body);
            (&mut reader)
                .deserialize_seq(Batch(take))
                .and_then(|()| reader.end())
                .map_err(|error| {
                    Refusal::new(
                        RefusalReason::Malformed,
                        format!("the batch is not a JSON array of events: {error}"),
                    )
                })?;
        }
    }
    Ok(())
}

/// Lines that hold anything.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

/// Takes the elements of an array as they are read, so that no list of them is made.
struct Batch<F>(F);

impl<'de, F: FnMut(&[u8])> Visitor<'de> for Batch<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut events: A) -> Result<(), A::Error> {
        while let Some(event) = events.next_element::<&RawValue>()? {
            (self.0)(event.get().as_bytes());
        }
        Ok(())
    }
}

/// The structured form of an event in binary mode.
fn structured_from_binary(attributes: &BinaryAttributes<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    #[derive(Serialize)]
    struct Structured<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        specversion: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
    }
    let malformed = |error: serde_json::Error| Refusal::new(RefusalReason::Malformed, error.to_string());
    let data = if body.trim_ascii().is_empty() {
        None
    } else {
        Some(serde_json::from_slice(body).map_err(malformed)?)
    };
    serde_json::to_vec(&Structured {
        specversion: attributes.specversion.as_deref(),
        id: attributes.id.as_deref(),
        source: attributes.source.as_deref(),
        r#type: attributes.kind.as_deref(),
        time: attributes.time.as_deref(),
        data,
    })
    .map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(form: &RequestForm, body: &str) -> Result<Vec<String>, Refusal> {
        let mut events = Vec::new();
        for_each_event(form, body.as_bytes(), |event| {
            events.push(String::from_utf8_lossy(event).into_owned());
        })?;
        Ok(events)
    }

    #[test]
    fn a_body_falls_into_its_events() {
        let events = split(&RequestForm::Lines, "{\"a\":1}\r\n\n  {\"b\":2}\n").unwrap();
        assert_eq!(events, ["{\"a\":1}", "{\"b\":2}"]);
        let events = split(&RequestForm::Batch, "[ {\"a\": [1, 2]} , 5] ").unwrap();
        assert_eq!(events, ["{\"a\": [1, 2]}", "5"]);
        assert!(split(&RequestForm::Batch, "[]").unwrap().is_empty());
        for body in ["{}", "[1", "[1,]", "[1] 2", "[] []", "", "1", "\"[]\""] {
            let refusal = split(&RequestForm::Batch, body).unwrap_err();
            assert_eq!(refusal.reason, RefusalReason::Malformed, "{body}");
        }
    }

    #[test]
    fn binary_mode_becomes_structured() {
        let mut attributes = BinaryAttributes::default();
        attributes.set("id", "a\"b".into());
        attributes.set("type", "t".into());
        let form = RequestForm::Binary(attributes);
        let json = split(&form, " {\"x\": 1.50} ").unwrap();
        assert_eq!(json, [r#"{"id":"a\"b","type":"t","data":{"x": 1.50}}"#]);
        assert!(split(&form, "not json").is_err());
    }
}
