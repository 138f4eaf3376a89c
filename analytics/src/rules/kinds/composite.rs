//! Alerts of other rules together: all or any of them, at one cell, in one area, or anywhere.

use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde_json::Value;

use super::super::fields::Fields;
use super::super::printed::as_humantime;
use super::super::read::{read_name, read_names, read_optional_hold, read_resolution};
use super::super::rule::RuleBounds;
use super::What;

/// Which of the rules must have an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Each of these.
    All(Vec<String>),
    /// One of these.
    Any(Vec<String>),
}

impl Members {
    /// Their names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::All(names) | Self::Any(names) => names,
        }
    }
}

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::All(names) => map.serialize_entry("all", names)?,
            Self::Any(names) => map.serialize_entry("any", names)?,
        }
        map.end()
    }
}

/// What an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A cell of a resolution.
    Cell,
    /// An area of a level.
    Area,
    /// There is one.
    None,
}

/// Alerts of other rules together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Composite {
    /// Of which rules.
    #[serde(flatten)]
    pub members: Members,
    /// What an instance is.
    pub by: By,
    /// Of the cells; `None` is the grid's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u8>,
    /// Of the areas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// How long after its end an alert still counts.
    #[serde(serialize_with = "as_humantime")]
    pub within: Duration,
}

pub(super) fn read(fields: &mut Fields<'_>, bounds: &RuleBounds, _: bool) -> Option<What> {
    let allowed = "a list of 2 to 16 names of rules, each once";
    let names = |value: &Value| read_names(value, 16).filter(|names| names.len() >= 2);
    let all = fields.optional("all", allowed, names);
    let any = fields.optional("any", allowed, names);
    let members = match (fields.value("all").is_some(), fields.value("any").is_some()) {
        (true, true) => {
            fields.complain("any", "either `all` or `any`, not both");
            None
        }
        (false, false) => {
            fields.complain("all", "a list of 2 to 16 names of rules, in `all` or in `any`");
            None
        }
        _ => all.map(Members::All).or(any.map(Members::Any)),
    };
    let by = fields.required("by", "cell, area, none", |value| match value.as_str()? {
        "cell" => Some(By::Cell),
        "area" => Some(By::Area),
        "none" => Some(By::None),
        _ => None,
    });
    let resolution = read_resolution(fields, bounds);
    let level = fields.optional("level", "the name of a level of areas, as district", read_name);
    match by {
        Some(By::Area) if fields.value("level").is_none() => {
            fields.complain("level", "the name of a level of areas, as district");
        }
        Some(By::Cell | By::None) if level.is_some() => {
            fields.complain("level", "none, but where `by` is area");
        }
        _ => {}
    }
    if matches!(by, Some(By::Area | By::None)) && resolution.is_some() {
        fields.complain("resolution", "none, but where `by` is cell");
    }
    let within = read_optional_hold(fields, "within").unwrap_or_default();
    Some(What::Composite(Composite {
        members: members?,
        by: by?,
        resolution,
        level: level.map(str::to_owned),
        within,
    }))
}
