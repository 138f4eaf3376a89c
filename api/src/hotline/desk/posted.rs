//! A case as somebody posts it: what its form must be, and what it may say.

use riskgrid_ingest::Channel;
use serde_json::{Map, Value};

use super::Desk;
use super::answers::answers_of;
use super::body::{LONGEST_TEXT, check_text, members};
use super::layers::CaseLayer;
use super::making::OWN_SOURCE;
use super::place::Placed;
use crate::problem::Problem;

/// What a case may be.
pub(super) const KINDS: [&str; 6] = ["inquiry", "help", "suggestion", "complaint", "tip_off", "other"];
/// Through what one may come.
const CHANNELS: [&str; 8] = [
    "sensor",
    "field_officer",
    "camera",
    "phone",
    "app",
    "web",
    "social",
    "other",
];

/// A case as somebody posts it.
#[derive(Clone, Debug)]
pub struct NewCase {
    /// Who it is from, as the log names it.
    pub source: String,
    /// One of the kinds.
    pub kind: String,
    /// One whose cases are this hotline's.
    pub layer: String,
    /// 0 to 4.
    pub severity: i64,
    /// Through what it came.
    pub channel: String,
    /// Where.
    pub placed: Placed,
    /// What was said.
    pub text: Option<String>,
    /// Answers to what the layer asks, but for free text.
    pub attributes: Map<String, Value>,
    /// Answers in free text.
    pub answers: Vec<(String, String)>,
    /// Whom to call back.
    pub contact: Option<Map<String, Value>>,
    /// Its report, where a client's key does not name it.
    pub report: Option<String>,
}

/// The members of a posted case.
const MEMBERS: [&str; 11] = [
    "kind",
    "layer",
    "severity",
    "channel",
    "text",
    "attributes",
    "contact",
    "lon",
    "lat",
    "address",
    "place",
];

/// A posted case whose form is right.
pub struct PostedCase(Map<String, Value>);

impl PostedCase {
    /// Reads the body.
    ///
    /// # Errors
    /// 400: it cannot be understood.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let members_of_case = members(body, "a case", &MEMBERS)?;
        if let Some(contact) = members_of_case.get("contact") {
            members(contact, "`contact`", &["phone", "email", "name", "confidential"])?;
        }
        Ok(Self(members_of_case))
    }
}

impl Desk {
    /// Looks at what a posted case says.
    ///
    /// # Errors
    /// 422: what of it cannot be.
    pub fn check_case(&self, posted: PostedCase) -> Result<NewCase, Problem> {
        let PostedCase(mut given) = posted;
        let text = |given: &Map<String, Value>, name: &str| {
            given.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        let layer = text(&given, "layer").unwrap_or_default();
        let layer = self.own_layer(&layer)?;
        let said = text(&given, "text");
        if let Some(said) = &said {
            check_text("text", said, LONGEST_TEXT)?;
        }
        let attributes = match given.remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        let (attributes, answers) = answers_of(layer, attributes).map_err(Problem::unprocessable)?;
        let contact = match given.remove("contact") {
            Some(Value::Object(contact)) => Some(check_contact(contact)?),
            _ => None,
        };
        Ok(NewCase {
            source: OWN_SOURCE.to_owned(),
            kind: one_of("kind", &given, &KINDS, None)?,
            layer: layer.id.clone(),
            severity: severity(&given)?,
            channel: one_of("channel", &given, &CHANNELS, Some("other"))?,
            placed: self.place_of(&given)?,
            text: said,
            attributes,
            answers,
            contact,
            report: None,
        })
    }

    /// The layer of an id, whose cases are this hotline's.
    ///
    /// # Errors
    /// 422: it is none.
    pub fn own_layer(&self, id: &str) -> Result<&CaseLayer, Problem> {
        self.layers.own(id).ok_or_else(|| {
            let own: Vec<&str> = self
                .layers
                .all()
                .map(|layer| layer.id.as_str())
                .filter(|id| self.layers.own(id).is_some())
                .collect();
            let known = if own.is_empty() {
                "no layer has `cases = \"own\"`".to_owned()
            } else {
                format!("those are {}", own.join(", "))
            };
            let shown: String = id.chars().take(64).collect();
            Problem::unprocessable(format!(
                "`layer` is \"{shown}\", which is no layer of this hotline's cases; {known}"
            ))
        })
    }
}

/// A member that is one of some words.
pub(super) fn one_of(
    name: &str,
    given: &Map<String, Value>,
    words: &[&str],
    otherwise: Option<&str>,
) -> Result<String, Problem> {
    let said = given.get(name).and_then(Value::as_str).or(otherwise);
    match said {
        Some(word) if words.contains(&word) => Ok(word.to_owned()),
        said => {
            let shown: String = said.unwrap_or("").chars().take(64).collect();
            Err(Problem::unprocessable(format!(
                "`{name}` is \"{shown}\"; allowed: {}",
                words.join(", ")
            )))
        }
    }
}

fn severity(given: &Map<String, Value>) -> Result<i64, Problem> {
    let severity = given.get("severity").map_or(Some(0), Value::as_i64);
    severity
        .filter(|severity| (0..=4).contains(severity))
        .ok_or_else(|| Problem::unprocessable("`severity` is 0 (unknown) to 4 (critical)"))
}

/// How a channel of the grid is called.
pub(crate) const fn channel_name(channel: Channel) -> &'static str {
    CHANNELS[channel as usize]
}

fn check_contact(contact: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    for name in ["phone", "email", "name"] {
        if let Some(text) = contact.get(name).and_then(Value::as_str) {
            check_text(name, text, 256)?;
        }
    }
    Ok(contact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_called_as_events_call_them() {
        for name in CHANNELS {
            assert_eq!(channel_name(Channel::parse(name)), name);
        }
    }
}
