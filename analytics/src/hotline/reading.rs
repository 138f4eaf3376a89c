//! Reading data that people wrote, member by member, so that each complaint names the key, what stands there and what may.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::rules::FieldProblem;

/// How many problems of one text are told.
const MOST_PROBLEMS: usize = 50;
/// How many characters of what was found a problem quotes.
const LONGEST_QUOTE: usize = 80;

/// Why data was not accepted: its problems, each with the key that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.joined())]
pub struct InvalidData {
    /// Never empty.
    pub problems: Vec<FieldProblem>,
}

impl InvalidData {
    fn joined(&self) -> String {
        let texts: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        texts.join("; ")
    }
}

/// The complaints about one text.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<FieldProblem>);

impl Problems {
    pub(super) fn complain(&mut self, key: &str, found: &str, allowed: &str) {
        if self.0.len() < MOST_PROBLEMS {
            self.0.push(FieldProblem {
                field: key.to_owned(),
                found: found.to_owned(),
                allowed: allowed.to_owned(),
            });
        }
    }

    /// `made` where nothing was complained of.
    pub(super) fn finish<T>(self, made: Option<T>) -> Result<T, InvalidData> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(InvalidData { problems: self.0 }),
        }
    }
}

/// What stands there, as a problem quotes it.
pub(super) fn quoted(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "missing".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_QUOTE) {
        None => text,
        Some((end, _)) => {
            let mut cut = text.get(..end).unwrap_or_default().to_owned();
            let _ = write!(cut, "…");
            cut
        }
    }
}

/// `a.b`, or `b` at the top.
pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// An object whose members are taken out one after the other; what nobody took is a problem.
pub(super) struct Members<'a, 'p> {
    path: String,
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: &'p mut Problems,
}

impl<'a, 'p> Members<'a, 'p> {
    /// Of the object at `path`; anything else is a problem.
    pub(super) fn of(value: &'a Value, path: &str, problems: &'p mut Problems) -> Option<Self> {
        let Some(object) = value.as_object() else {
            let name = if path.is_empty() { "(the whole)" } else { path };
            problems.complain(name, &quoted(Some(value)), "an object");
            return None;
        };
        Some(Self {
            path: path.to_owned(),
            object,
            known: Vec::new(),
            problems,
        })
    }

    pub(super) fn key(&self, name: &str) -> String {
        joined(&self.path, name)
    }

    pub(super) fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// The member's value; `null` is none.
    pub(super) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn complain(&mut self, name: &'static str, allowed: &str) {
        let found = quoted(self.object.get(name));
        let key = self.key(name);
        self.problems.complain(&key, &found, allowed);
    }

    /// Through `read`, which answers `None` for what it does not accept.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let accepted = read(value);
        if accepted.is_none() {
            self.complain(name, allowed);
        }
        accepted
    }

    /// As [`Members::optional`], and a missing member is a problem.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.complain(name, allowed);
            return None;
        }
        self.optional(name, allowed, read)
    }

    /// `false` where it is not given.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.optional(name, "true or false", Value::as_bool)
            .unwrap_or(false)
    }

    /// A word of 1 to `longest` characters, if it is given.
    pub(super) fn word(&mut self, name: &'static str, longest: usize) -> Option<String> {
        let allowed = format!("a text of 1 to {longest} characters");
        self.optional(name, &allowed, |value| word(value, longest))
    }

    /// The list under this name; empty where it is not given.
    pub(super) fn list(&mut self, name: &'static str, longest: usize) -> &'a [Value] {
        let allowed = format!("a list of at most {longest}");
        self.optional(name, &allowed, |value| {
            value.as_array().filter(|list| list.len() <= longest)
        })
        .map_or(&[], Vec::as_slice)
    }

    /// Complains of each member that nobody asked for.
    pub(super) fn finish(self) {
        for (name, value) in self.object {
            if !self.known.contains(&name.as_str()) {
                let allowed = format!("one of {}", self.known.join(", "));
                self.problems.complain(
                    &joined(&self.path, name),
                    &format!("{}, an unknown member", quoted(Some(value))),
                    &allowed,
                );
            }
        }
    }
}

/// A text of 1 to `longest` characters without control characters.
pub(super) fn word(value: &Value, longest: usize) -> Option<String> {
    let text = value.as_str()?;
    let is_short = (1..=longest).contains(&text.chars().count());
    (is_short && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
