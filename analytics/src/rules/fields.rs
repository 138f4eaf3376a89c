//! Reading a rule's JSON field by field, so that each complaint names the field, its value and what is allowed.

use std::fmt;

use serde_json::{Map, Value};

/// One field of a rule that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field's name as the client wrote it.
    pub field: String,
    /// What was found, as JSON, or `missing`.
    pub found: String,
    /// What would be accepted.
    pub allowed: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}; allowed: {}", self.field, self.found, self.allowed)
    }
}

/// Why a rule was not accepted: all its problems at once, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.joined())]
pub struct InvalidRule {
    /// Never empty.
    pub problems: Vec<FieldProblem>,
}

impl InvalidRule {
    fn joined(&self) -> String {
        self.problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Takes fields out of a JSON object and keeps the complaints.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Where the object stands, as `emergency`; empty for the rule itself.
    place: String,
    known: Vec<&'static str>,
    problems: Vec<FieldProblem>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            place: String::new(),
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Reads the members of an object, whose complaints name them as `place.member`. `None` where there is no such field,
    /// or it is no object.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let object = self.optional(name, allowed, Value::as_object)?;
        let mut within = Self {
            place: self.full_name(name),
            ..Self::new(object)
        };
        let found = read(&mut within);
        self.problems.extend(within.finish());
        Some(found)
    }

    fn full_name(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// The field's value; JSON `null` is a missing field.
    pub(super) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The field through `read`, which answers `None` for what it does not accept; absent gives `None` too.
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

    /// As [`Fields::optional`], and a missing field is a problem.
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

    pub(super) fn complain(&mut self, name: &str, allowed: impl Into<String>) {
        let found = match self.object.get(name) {
            None | Some(Value::Null) => "missing".to_owned(),
            Some(value) => shortened(&value.to_string()),
        };
        self.problems.push(FieldProblem {
            field: self.full_name(name),
            found,
            allowed: allowed.into(),
        });
    }

    /// The complaints so far.
    pub(super) fn problems(self) -> Vec<FieldProblem> {
        self.problems
    }

    /// Complains of fields that nobody asked for, and answers all complaints.
    pub(super) fn finish(mut self) -> Vec<FieldProblem> {
        self.known.sort_unstable();
        self.known.dedup();
        let unknown: Vec<&String> = self
            .object
            .keys()
            .filter(|key| !self.known.contains(&key.as_str()))
            .collect();
        let what = if self.place.is_empty() {
            "a rule".to_owned()
        } else {
            format!("`{}`", self.place)
        };
        let allowed = format!("no such field; {what} has {}", self.known.join(", "));
        for name in unknown {
            self.complain(name, allowed.clone());
        }
        self.problems
    }
}

const LONGEST_FOUND_CHARS: usize = 80;

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_FOUND_CHARS {
        return text.to_owned();
    }
    text.chars().take(LONGEST_FOUND_CHARS).chain(['…']).collect()
}
