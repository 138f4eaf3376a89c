//! CloudEvents 1.0 JSON, structured and binary mode, into [`Candidate`]s.
//!
//! `plain` reads in one pass what producers send. Only what that pass gives up on is read thoroughly, by serde: to
//! decode base64, to pass over fields that mean nothing for the event's kind, and to say what is malformed.

mod fields;
mod plain;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::fields::{Fields, Object, Text, candidate, decode_data};
pub use crate::words::BinaryAttributes;
use crate::words::{Candidate, EventKind, Refusal, RefusalReason, text_limits};

#[derive(Deserialize)]
struct Envelope<'a> {
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
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data_base64: Option<Text<'a>>,
}

/// Reads one event in structured mode.
///
/// # Errors
/// `malformed` when it is not JSON, not CloudEvents 1.0 or has a field of the wrong type; `unknown_type`.
pub fn decode_structured(payload: &[u8]) -> Result<Candidate<'_>, Refusal> {
    let plain = plain::scan(payload);
    // Nearly every event goes this way: what is small, plain and of a known type has no text that is too long to read.
    if payload.len() <= text_limits::TEXT
        && let Some((attributes, _)) = &plain
        && let Ok(kind) = check_attributes(attributes)
        && let Some((attributes, fields)) = plain
    {
        return Ok(candidate(kind, attributes, fields));
    }
    decode_large_or_odd(payload, plain)
}

/// What is refused for another reason, and what may hold a `text` that is too long, is looked at once more.
#[cold]
fn decode_large_or_odd<'a>(
    payload: &'a [u8],
    plain: Option<(BinaryAttributes<'a>, Fields<'a>)>,
) -> Result<Candidate<'a>, Refusal> {
    let decoded = match plain {
        Some((attributes, fields)) => {
            check_attributes(&attributes).map(|kind| candidate(kind, attributes, fields))
        }
        None => decode_thoroughly(payload),
    };
    if decoded.is_err() || payload.len() > text_limits::TEXT {
        text_limits::check_json(payload)?;
    }
    decoded
}

fn decode_thoroughly(payload: &[u8]) -> Result<Candidate<'_>, Refusal> {
    text_limits::check_levels(payload)?;
    let Object(envelope) =
        serde_json::from_slice::<Object<Envelope<'_>>>(payload).map_err(|error| malformed(&error))?;
    fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
        text.map(|text| text.0)
    }
    let attributes = BinaryAttributes {
        specversion: text(envelope.specversion),
        id: text(envelope.id),
        source: text(envelope.source),
        kind: text(envelope.kind),
        time: text(envelope.time),
    };
    let kind = check_attributes(&attributes)?;
    let fields = match (envelope.data, envelope.data_base64) {
        (Some(data), _) => decode_data(kind, data.get().as_bytes())?,
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text.0.as_bytes())
                .map_err(|error| Refusal::new(RefusalReason::Malformed, format!("data_base64: {error}")))?;
            let fields = decode_data(kind, &bytes);
            if fields.is_err() || bytes.len() > text_limits::TEXT {
                text_limits::check_data(&bytes, Some(kind))?;
            }
            fields?.into_owned()
        }
        (None, None) => Fields::default(),
    };
    Ok(candidate(kind, attributes, fields))
}

/// Reads one event in binary mode: attributes apart, `payload` is the JSON of `data`.
///
/// # Errors
/// As [`decode_structured`].
pub fn decode_binary<'a>(
    attributes: BinaryAttributes<'a>,
    payload: &'a [u8],
) -> Result<Candidate<'a>, Refusal> {
    let named = attributes.kind.as_deref().and_then(EventKind::from_type_name);
    let decoded = check_attributes(&attributes).and_then(|kind| {
        if payload.is_empty() {
            return Ok((kind, Fields::default()));
        }
        let fields = if let Some(fields) = plain::scan_data(payload) {
            fields
        } else {
            text_limits::check_levels(payload)?;
            decode_data(kind, payload)?
        };
        Ok((kind, fields))
    });
    if decoded.is_err() || payload.len() > text_limits::TEXT {
        text_limits::check_attributes(&attributes)?;
        text_limits::check_data(payload, named)?;
    }
    decoded.map(|(kind, fields)| candidate(kind, attributes, fields))
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

/// serde_json's message names what was expected and the column; it may quote a short scalar, never a whole payload.
fn malformed(error: &serde_json::Error) -> Refusal {
    let text: String = error.to_string().chars().take(200).collect();
    Refusal::new(RefusalReason::Malformed, text)
}
