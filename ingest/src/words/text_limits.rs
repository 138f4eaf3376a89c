//! How long the texts of an event may be. They become keys of tables, labels and columns of batches, whose sizes follow
//! from these limits; and all events are judged by them, in whatever form they come.

use std::borrow::Cow;

use serde_json::Value;

use super::binary_attributes::BinaryAttributes;
use super::candidate::{Candidate, CandidateTime, Number};
use super::event_kind::EventKind;
use super::refusal::{Refusal, RefusalReason};

/// Bytes of what names one thing: `id`, `source`, `sensor`, `report`, a response unit, `reporter`.
const IDENTIFIER: usize = 1024;
/// Bytes of the name of a layer, which becomes its label: `property`, `category`.
const NAME: usize = 512;
/// Bytes of a word out of a list, or of a number or time as text.
const WORD: usize = 128;
/// Skills of a response unit.
const SKILLS: usize = 32;
/// Bytes of a skill.
const SKILL: usize = 64;
/// Bytes of a report's `text`, which is read and dropped.
pub(crate) const TEXT: usize = 64 << 10;
/// Levels of objects and lists in each other.
const LEVELS: usize = 64;

/// # Errors
/// `too_large`, with the field and its limit.
pub(crate) fn check(candidate: &Candidate<'_>) -> Result<(), Refusal> {
    // Nearly every event has no skills, and each of its texts in its limit: nothing is kept of what is looked at.
    let mut is_within = candidate.skills.is_empty();
    for_each_text(candidate, |_, length, most| is_within &= length <= most);
    if is_within {
        Ok(())
    } else {
        find_too_long(candidate)
    }
}

#[cold]
fn find_too_long(candidate: &Candidate<'_>) -> Result<(), Refusal> {
    let mut found = Ok(());
    for_each_text(candidate, |field, length, most| {
        if found.is_ok() && length > most {
            found = Err(too_long(field, length, most));
        }
    });
    found?;
    skills(
        candidate.skills.len(),
        candidate.skills.iter().map(|skill| skill.len()),
    )
}

/// Gives each text's field, its bytes and the most that it may have. Inlined, it comes down to comparisons with nearly
/// every event.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "events are judged a tenth slower by a list in its place"
)]
fn for_each_text(candidate: &Candidate<'_>, mut look: impl FnMut(&'static str, usize, usize)) {
    fn text(text: Option<&Cow<'_, str>>) -> usize {
        text.map_or(0, |text| text.len())
    }
    fn number(number: &Number<'_>) -> usize {
        match number {
            Number::Text(text) => text.len(),
            Number::Missing | Number::Value(_) => 0,
        }
    }
    let time = match &candidate.time {
        CandidateTime::Rfc3339(text) => text.len(),
        _ => 0,
    };
    let name = if candidate.kind == EventKind::Observation {
        "property"
    } else {
        "category"
    };
    let missed = candidate.lookup_missed.as_deref().map_or(0, str::len);
    look("id", text(candidate.id.as_ref()), IDENTIFIER);
    look("source", text(candidate.source.as_ref()), IDENTIFIER);
    look("sensor", text(candidate.sensor.as_ref()), IDENTIFIER);
    look("report", text(candidate.report.as_ref()), IDENTIFIER);
    look("unit", text(candidate.unit.as_ref()), IDENTIFIER);
    look("reporter", text(candidate.reporter.as_ref()), IDENTIFIER);
    look("key of the look-up file", missed, IDENTIFIER);
    look(name, text(candidate.name.as_ref()), NAME);
    look("time", time, WORD);
    look("unit", text(candidate.value_unit.as_ref()), WORD);
    look("op", text(candidate.op.as_ref()), WORD);
    look("channel", text(candidate.channel.as_ref()), WORD);
    look("outcome", text(candidate.outcome.as_ref()), WORD);
    look("status", text(candidate.status.as_ref()), WORD);
    look("lon", number(&candidate.lon), WORD);
    look("lat", number(&candidate.lat), WORD);
    look("value", number(&candidate.value), WORD);
    look("severity", number(&candidate.severity), WORD);
}

/// Whether a word is no longer than one may be.
///
/// # Errors
/// `too_large`.
pub(crate) fn check_word(field: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > WORD {
        return Err(too_long(field, text.len(), WORD));
    }
    Ok(())
}

fn skills(number: usize, mut lengths: impl Iterator<Item = usize>) -> Result<(), Refusal> {
    if number > SKILLS {
        let detail = format!("`skills` has {number} entries, at most {SKILLS} are taken");
        return Err(Refusal::new(RefusalReason::TooLarge, detail));
    }
    match lengths.find(|length| *length > SKILL) {
        Some(length) => Err(too_long("skills", length, SKILL)),
        None => Ok(()),
    }
}

#[cold]
fn too_long(field: &str, length: usize, most: usize) -> Refusal {
    let detail = format!("`{field}` has {length} bytes, at most {most} are taken");
    Refusal::new(RefusalReason::TooLarge, detail)
}

/// What of a CloudEvent in JSON is too long or too deep, where it could not be read as an event, or is large enough for a
/// `text` that is too long: `too_large` comes before every other reason. What is no JSON has no fields.
///
/// # Errors
/// `too_large`, with the field and its limit.
#[cold]
pub(crate) fn check_json(payload: &[u8]) -> Result<(), Refusal> {
    check_levels(payload)?;
    // Shorter than every limit: nothing in it is too long.
    if payload.len() <= SKILL {
        return Ok(());
    }
    let Ok(Value::Object(event)) = serde_json::from_slice::<Value>(payload) else {
        return Ok(());
    };
    let text = |field: &str| event.get(field).and_then(Value::as_str);
    for (field, most) in [("id", IDENTIFIER), ("source", IDENTIFIER), ("time", WORD)] {
        if let Some(length) = text(field).map(str::len).filter(|length| *length > most) {
            return Err(too_long(field, length, most));
        }
    }
    let kind = text("type").and_then(EventKind::from_type_name);
    match event.get("data") {
        Some(data) => check_fields(data, kind),
        None => Ok(()),
    }
}

/// The same of the attributes of an event in binary mode.
///
/// # Errors
/// `too_large`, with the attribute and its limit.
#[cold]
pub(crate) fn check_attributes(attributes: &BinaryAttributes<'_>) -> Result<(), Refusal> {
    let all = [
        ("id", &attributes.id, IDENTIFIER),
        ("source", &attributes.source, IDENTIFIER),
        ("time", &attributes.time, WORD),
    ];
    for (field, text, most) in all {
        let length = text.as_deref().map_or(0, str::len);
        if length > most {
            return Err(too_long(field, length, most));
        }
    }
    Ok(())
}

/// The same of the `data` of an event.
///
/// # Errors
/// `too_large`, with the field and its limit.
#[cold]
pub(crate) fn check_data(data: &[u8], kind: Option<EventKind>) -> Result<(), Refusal> {
    check_levels(data)?;
    if data.len() <= SKILL {
        return Ok(());
    }
    serde_json::from_slice::<Value>(data).map_or(Ok(()), |data| check_fields(&data, kind))
}

/// `kind` is what the event claims to be; of an unknown one all fields are looked at.
fn check_fields(data: &Value, kind: Option<EventKind>) -> Result<(), Refusal> {
    use EventKind::{Observation, Position, Report};
    let unit = if kind == Some(Observation) {
        WORD
    } else {
        IDENTIFIER
    };
    let fields: [(&str, &[EventKind], usize); 11] = [
        ("sensor", &[Observation], IDENTIFIER),
        ("property", &[Observation], NAME),
        ("unit", &[Observation, Position], unit),
        ("report", &[Report], IDENTIFIER),
        ("op", &[Report], WORD),
        ("category", &[Report], NAME),
        ("channel", &[Report], WORD),
        ("reporter", &[Report], IDENTIFIER),
        ("outcome", &[Report], WORD),
        ("text", &[Report], TEXT),
        ("status", &[Position], WORD),
    ];
    for (field, kinds, most) in fields {
        let is_of_kind = kind.is_none_or(|kind| kinds.contains(&kind));
        let length = data.get(field).and_then(Value::as_str).map_or(0, str::len);
        if is_of_kind && length > most {
            return Err(too_long(field, length, most));
        }
    }
    match data.get("skills").and_then(Value::as_array) {
        Some(all) if kind.is_none_or(|kind| kind == Position) => skills(
            all.len(),
            all.iter().map(|skill| skill.as_str().map_or(0, str::len)),
        ),
        _ => Ok(()),
    }
}

/// Whether objects and lists are nested deeper than is read. No JSON is told by others.
///
/// # Errors
/// `too_large`.
pub(crate) fn check_levels(json: &[u8]) -> Result<(), Refusal> {
    // Nearly nothing has so many of them at all.
    if json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= LEVELS {
        return Ok(());
    }
    let (mut level, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut before = b' ';
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            // Where a name should be: it is no JSON, as whoever reads it says.
            b'{' | b'[' if !is_text && before == b'{' => return Ok(()),
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => {
                level += 1;
                if level > LEVELS {
                    let detail = format!("objects and lists are nested deeper than {LEVELS} levels");
                    return Err(Refusal::new(RefusalReason::TooLarge, detail));
                }
            }
            b'}' | b']' if !is_text => level = level.saturating_sub(1),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
    }
    Ok(())
}
