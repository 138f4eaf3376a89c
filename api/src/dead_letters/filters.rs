//! Which dead letters are meant: read from the parameters of a request, or from the members of its body.

use riskgrid_ingest::dead_letter::{DeadLetter, DeadLetterError, DeadLetterStore, LetterKey};
use riskgrid_ingest::{EventTime, RefusalReason};
use serde_json::{Map, Value, json};

use super::Looking;
use crate::problem::Problem;

/// Rows of a page, unless asked for.
const DEFAULT_LIMIT: usize = 100;
/// Rows of a page at most.
const MAX_LIMIT: usize = 1_000;
/// Letters that one request replays, at most and unless asked for.
const MAX_REPLAYED: usize = 10_000;

/// Conditions that a dead letter meets, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    reason: Option<RefusalReason>,
    topic: Option<String>,
    /// Received from here on.
    since: Option<EventTime>,
    /// Received before.
    until: Option<EventTime>,
    key: Option<LetterKey>,
}

/// A page of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which ones.
    pub filters: Filters,
    /// How many at most.
    pub limit: usize,
    /// After which one.
    pub after: Option<LetterKey>,
    /// With their raw bytes.
    pub raw: bool,
}

/// What a request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    default_limit: usize,
    max_limit: usize,
    raw: bool,
}

impl Allowed {
    /// To be shown.
    pub const LIST: Self = Self {
        default_limit: DEFAULT_LIMIT,
        max_limit: MAX_LIMIT,
        raw: true,
    };
    /// To be replayed.
    pub const REPLAY: Self = Self {
        default_limit: MAX_REPLAYED,
        max_limit: MAX_REPLAYED,
        raw: false,
    };
}

impl Choice {
    /// From the parameters of a query, or the members of a body as text.
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub fn read(pairs: &[(String, String)], allowed: Allowed) -> Result<Self, Problem> {
        let mut choice = Self {
            filters: Filters::default(),
            limit: allowed.default_limit,
            after: None,
            raw: false,
        };
        for (number, (name, value)) in pairs.iter().enumerate() {
            if pairs.iter().take(number).any(|(other, _)| other == name) {
                return Err(Problem::bad_request(format!("`{name}` is given twice")));
            }
            choice.set(name, value, allowed)?;
        }
        Ok(choice)
    }

    /// From a JSON body.
    ///
    /// # Errors
    /// 400 that names the member.
    pub fn read_body(body: &Value, allowed: Allowed) -> Result<Self, Problem> {
        let Value::Object(members) = body else {
            return Err(Problem::bad_request(
                "the body must be a JSON object of filters; {} replays all",
            ));
        };
        Self::read(&as_text(members)?, allowed)
    }

    fn set(&mut self, name: &str, value: &str, allowed: Allowed) -> Result<(), Problem> {
        let wrong = |form: String| {
            let shown: String = value.chars().take(80).collect();
            Problem::bad_request(format!("`{name}` is \"{shown}\"; {form}"))
        };
        let time = || {
            EventTime::parse_rfc3339(value)
                .ok_or_else(|| wrong("it must be RFC 3339, for example 2026-11-24T08:00:00Z".to_owned()))
        };
        let key = || {
            value
                .parse::<LetterKey>()
                .map_err(|error| wrong(error.to_string()))
        };
        match name {
            "reason" => {
                let reason = RefusalReason::ALL
                    .into_iter()
                    .find(|reason| reason.as_str() == value);
                self.filters.reason = Some(reason.ok_or_else(|| {
                    let names = RefusalReason::ALL.map(RefusalReason::as_str);
                    wrong(format!("allowed: {}", names.join(", ")))
                })?);
            }
            "topic" => self.filters.topic = Some(value.to_owned()),
            "since" => self.filters.since = Some(time()?),
            "until" => self.filters.until = Some(time()?),
            "key" => self.filters.key = Some(key()?),
            "after" => self.after = Some(key()?),
            "limit" => {
                let limit = value.parse().ok();
                let limit = limit.filter(|limit| (1..=allowed.max_limit).contains(limit));
                self.limit = limit.ok_or_else(|| wrong(format!("allowed: 1 to {}", allowed.max_limit)))?;
            }
            "raw" if allowed.raw => {
                self.raw = value
                    .parse()
                    .map_err(|_| wrong("allowed: true, false".to_owned()))?;
            }
            _ => {
                let raw = if allowed.raw { ", raw" } else { "" };
                return Err(Problem::bad_request(format!(
                    "there is no parameter `{name}`; known are: reason, topic, since, until, key, limit, after{raw}"
                )));
            }
        }
        Ok(())
    }

    /// The letters of this page, in order of their keys; `next` when there are more, or may be: a look that is over answers
    /// with what it has found. `is_wanted` decides beside the filters.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn take(
        &self,
        store: &DeadLetterStore,
        is_wanted: impl Fn(&DeadLetter) -> bool,
        looking: &mut Looking,
    ) -> Result<(Vec<DeadLetter>, Option<LetterKey>), DeadLetterError> {
        if let Some(key) = &self.filters.key {
            let letter = store.get(key)?;
            let letter = letter.filter(|letter| self.filters.hold(letter) && is_wanted(letter));
            return Ok((letter.into_iter().collect(), None));
        }
        let mut letters: Vec<DeadLetter> = Vec::new();
        // A look is not over before it has seen some.
        let mut seen = None;
        for letter in store.iter_after(self.after.as_ref()) {
            let letter = letter?;
            if looking.is_over() {
                return Ok((letters, seen));
            }
            seen = Some(letter.key());
            if !self.filters.hold(&letter) || !is_wanted(&letter) {
                continue;
            }
            if letters.len() == self.limit {
                let next = letters.last().map(DeadLetter::key);
                return Ok((letters, next));
            }
            letters.push(letter);
        }
        Ok((letters, None))
    }

    /// For the audit.
    pub fn to_json(&self) -> Value {
        let filters = &self.filters;
        let mut json = json!({
            "reason": filters.reason,
            "topic": filters.topic,
            "since": filters.since.map(|time| time.to_string()),
            "until": filters.until.map(|time| time.to_string()),
            "key": filters.key.as_ref().map(LetterKey::to_string),
            "after": self.after.as_ref().map(LetterKey::to_string),
            "limit": self.limit,
        });
        if let Value::Object(members) = &mut json {
            members.retain(|_, value| !value.is_null());
        }
        json
    }
}

impl Filters {
    fn hold(&self, letter: &DeadLetter) -> bool {
        self.reason.is_none_or(|reason| letter.reason == reason)
            && self.topic.as_ref().is_none_or(|topic| *topic == *letter.topic)
            && self.since.is_none_or(|since| letter.time >= since)
            && self.until.is_none_or(|until| letter.time < until)
    }
}

/// Members as parameters have them; one that is null is absent.
fn as_text(members: &Map<String, Value>) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs = Vec::new();
    for (name, value) in members {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Problem::bad_request(format!("`{name}` must be text or a number")));
            }
        };
        pairs.push((name.clone(), text));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    fn detail(result: Result<Choice, Problem>) -> String {
        let problem = result.unwrap_err();
        assert_eq!(problem.clone().into_response().status(), 400);
        problem.detail().to_owned()
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said_with_its_name() {
        for (name, value) in [
            ("reason", "because"),
            ("since", "yesterday"),
            ("until", "2026-11-24T08:00:00"),
            ("key", "journal/0"),
            ("after", "7"),
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "many"),
            ("raw", "yes"),
            ("resaon", "malformed"),
        ] {
            let pairs = [(name.to_owned(), value.to_owned())];
            let said = detail(Choice::read(&pairs, Allowed::LIST));
            assert!(said.contains(&format!("`{name}`")), "{name}={value}: {said}");
        }
        for body in [
            json!({"reason": 7}),
            json!({"reason": ["malformed"]}),
            json!({"raw": true}),
            json!({"raw": "true"}),
        ] {
            let name = body.as_object().unwrap().keys().next().unwrap().clone();
            let said = detail(Choice::read_body(&body, Allowed::REPLAY));
            assert!(said.contains(&format!("`{name}`")), "{body}: {said}");
        }
        detail(Choice::read_body(&json!([]), Allowed::REPLAY));
        let twice = ["malformed", "malformed"].map(|reason| ("reason".to_owned(), reason.to_owned()));
        assert!(detail(Choice::read(&twice, Allowed::LIST)).contains("`reason` is given twice"));
    }

    #[test]
    fn a_choice_is_the_same_from_a_query_and_from_a_body() {
        let body = json!({"reason": "too_late", "topic": "t", "since": "2026-11-24T08:00:00Z", "until": null, "limit": 3});
        let from_body = Choice::read_body(&body, Allowed::REPLAY).unwrap();
        let pairs = [
            ("reason", "too_late"),
            ("topic", "t"),
            ("since", "2026-11-24T08:00:00Z"),
            ("limit", "3"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Choice::read(&pairs, Allowed::REPLAY).unwrap(), from_body);
        assert_eq!(from_body.to_json()["reason"], "too_late");
        assert_eq!(Choice::read(&[], Allowed::REPLAY).unwrap().limit, MAX_REPLAYED);
    }
}
