//! Silences: which alerts somebody wants to hear nothing of for a while. Pure: what is compared comes from the caller.

use std::collections::BTreeMap;
use std::time::Duration;

use h3o::{CellIndex, LatLng};
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::rules::Severity;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::places::{Places, Ring, Shape};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest silence: what is to be quiet for longer is to be changed.
const LONGEST: Duration = Duration::from_hours(30 * 24);
/// Most entries of one list.
const MOST_NAMES: usize = 64;
const MOST_CELLS: usize = 4_096;
const MOST_LABELS: usize = 16;
/// Bytes of a polygon as it was sent.
const LONGEST_POLYGON: usize = 64 << 10;
const LONGEST_COMMENT: usize = 2_000;
const LONGEST_BY: usize = 128;

/// The body of `POST /v1/silences`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceRequest {
    r#match: Option<Matches>,
    place: Option<Place>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    by: Option<String>,
    comment: Option<String>,
}

/// What an alert must be: of each list that is not empty, one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matches {
    /// Names or ids of rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<String>,
    /// Ids of layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<String>,
    /// Kinds of rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
    /// Severities; critical alerts are hidden only where this names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Severity>,
    /// Labels of rules: each must be there with its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The kinds that rules can be of.
pub const fn known_kinds() -> &'static [&'static str] {
    &[
        "threshold",
        "sql",
        "burst",
        "trend",
        "clusters",
        "risk",
        "geofence",
        "no_data",
        "composite",
    ]
}

impl Matches {
    /// Whether it is about what an alert is, wherever that is.
    pub fn admits(&self, subject: &Subject<'_>) -> bool {
        let has = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        let is_severe = |severity: &Severity| severity.name() == subject.severity;
        (has(&self.rule, subject.rule) || has(&self.rule, subject.rule_id))
            && has(&self.layer, subject.layer)
            && has(&self.kind, subject.kind)
            && (self.severity.is_empty() || self.severity.iter().any(is_severe))
            && self
                .labels
                .iter()
                .all(|(name, value)| subject.labels.get(name) == Some(value))
    }
}

/// Where an alert must lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the area of this id.
    Area(String),
    /// In a `GeoJSON` polygon or multi-polygon.
    Polygon(Value),
    /// In one of these H3 cells.
    Cells(Vec<String>),
}

/// A place ready to be asked.
#[derive(Clone, Debug)]
enum Ground {
    Area(String),
    Polygon(Box<Shape>),
    Cells(Vec<CellIndex>),
}

/// A silence that was checked.
#[derive(Clone, Debug)]
pub struct Silence {
    /// What it hides.
    pub matches: Matches,
    /// Where; everywhere when it is not said.
    pub place: Option<Place>,
    ground: Option<Ground>,
    /// From when on.
    pub starts_at: EventTime,
    /// Until when, itself not.
    pub ends_at: EventTime,
    /// Who made it.
    pub by: String,
    /// Why.
    pub comment: String,
}

/// Why a silence was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}; allowed: {allowed}")]
pub struct InvalidSilence {
    /// Of the request.
    pub field: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What would be accepted.
    pub allowed: String,
}

/// What a silence looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name of the rule.
    pub rule: &'a str,
    /// Its id.
    pub rule_id: &'a str,
    /// Its layer.
    pub layer: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// How grave the alert is, by name.
    pub severity: &'a str,
    /// Where it lies: an H3 cell.
    pub cell: Option<u64>,
}

fn invalid(field: &'static str, problem: impl Into<String>, allowed: impl Into<String>) -> InvalidSilence {
    InvalidSilence {
        field,
        problem: problem.into(),
        allowed: allowed.into(),
    }
}

impl SilenceRequest {
    /// Checks it at `now`, as one of `author` where it does not say whose it is.
    ///
    /// # Errors
    /// The first field that cannot be, with what it may be.
    pub fn accept(self, author: &str, now: EventTime, places: &Places) -> Result<Silence, InvalidSilence> {
        let matches = self.r#match.unwrap_or_default();
        check_names("match.rule", &matches.rule)?;
        check_names("match.layer", &matches.layer)?;
        if let Some(kind) = matches
            .kind
            .iter()
            .find(|kind| !known_kinds().contains(&kind.as_str()))
        {
            let shown: String = kind.chars().take(40).collect();
            return Err(invalid(
                "match.kind",
                format!("has \"{shown}\""),
                known_kinds().join(", "),
            ));
        }
        if matches.labels.len() > MOST_LABELS {
            let problem = format!("has {} labels", matches.labels.len());
            return Err(invalid("match.labels", problem, "at most 16"));
        }
        if matches == Matches::default() && self.place.is_none() {
            let allowed =
                "at least one of match.rule, match.layer, match.kind, match.severity, match.labels and place";
            return Err(invalid(
                "match",
                "and `place` say nothing, which would hide everything",
                allowed,
            ));
        }
        let starts_at = read_time("starts_at", self.starts_at.as_deref())?.unwrap_or(now);
        let needed = "a time as 2026-11-22T10:00:00Z, after `starts_at` and at most 30 days after it";
        let ends_at = read_time("ends_at", self.ends_at.as_deref())?
            .ok_or_else(|| invalid("ends_at", "is missing", needed))?;
        if ends_at <= starts_at || ends_at.since(starts_at) > LONGEST.as_micros() as i64 {
            return Err(invalid(
                "ends_at",
                format!("is {ends_at}, `starts_at` {starts_at}"),
                needed,
            ));
        }
        if ends_at <= now {
            return Err(invalid(
                "ends_at",
                format!("is {ends_at}, which is past"),
                "a time to come",
            ));
        }
        let comment = text("comment", self.comment, LONGEST_COMMENT)?
            .ok_or_else(|| invalid("comment", "is missing", "why, in 1 to 2000 characters"))?;
        let by = text("by", self.by, LONGEST_BY)?.unwrap_or_else(|| author.to_owned());
        let ground = self.place.as_ref().map(Ground::read).transpose()?;
        if let Some(Ground::Area(id)) = &ground
            && places.areas.get(id).is_none()
        {
            let problem = format!("is \"{id}\", and no area of this id is loaded");
            return Err(invalid("place.area", problem, "an id that GET /v1/areas lists"));
        }
        Ok(Silence {
            matches,
            place: self.place,
            ground,
            starts_at,
            ends_at,
            by,
            comment,
        })
    }
}

fn check_names(field: &'static str, names: &[String]) -> Result<(), InvalidSilence> {
    let is_good = |name: &String| (1..=256).contains(&name.len());
    if names.len() <= MOST_NAMES && names.iter().all(is_good) {
        return Ok(());
    }
    let problem = format!("has {} entries, or one that is empty or too long", names.len());
    Err(invalid(field, problem, "at most 64, each of 1 to 256 bytes"))
}

fn text(field: &'static str, text: Option<String>, most: usize) -> Result<Option<String>, InvalidSilence> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim();
    let length = text.chars().count();
    if (1..=most).contains(&length) {
        return Ok(Some(text.to_owned()));
    }
    Err(invalid(
        field,
        format!("has {length} characters"),
        format!("1 to {most} characters"),
    ))
}

fn read_time(field: &'static str, text: Option<&str>) -> Result<Option<EventTime>, InvalidSilence> {
    let Some(text) = text else { return Ok(None) };
    let shown: String = text.chars().take(80).collect();
    EventTime::parse_rfc3339(text)
        .map(Some)
        .ok_or_else(|| invalid(field, format!("is \"{shown}\""), "a time as 2026-11-22T10:00:00Z"))
}

impl Ground {
    fn read(place: &Place) -> Result<Self, InvalidSilence> {
        match place {
            Place::Area(id) => Ok(Self::Area(id.clone())),
            Place::Polygon(json) => read_polygon(json).map(|shape| Self::Polygon(Box::new(shape))),
            Place::Cells(cells) => {
                let allowed = "1 to 4096 H3 cells as text, like 88411ca1b7fffff";
                if !(1..=MOST_CELLS).contains(&cells.len()) {
                    return Err(invalid(
                        "place.cells",
                        format!("has {} cells", cells.len()),
                        allowed,
                    ));
                }
                let read = |text: &String| {
                    let shown: String = text.chars().take(40).collect();
                    let cell = text.parse::<CellIndex>();
                    cell.map_err(|_| invalid("place.cells", format!("has \"{shown}\""), allowed))
                };
                Ok(Self::Cells(cells.iter().map(read).collect::<Result<_, _>>()?))
            }
        }
    }

    fn holds(&self, cell: CellIndex, places: &Places) -> bool {
        let centre = LatLng::from(cell);
        let holds = |shape: &Shape| shape.contains([centre.lng(), centre.lat()]);
        match self {
            Self::Area(id) => places.areas.get(id).is_some_and(|area| holds(&area.shape)),
            Self::Polygon(shape) => holds(shape),
            // By the centre: a child of a cell may lie beside it.
            Self::Cells(cells) => cells
                .iter()
                .any(|held| centre.to_cell(held.resolution()) == *held),
        }
    }
}

fn read_polygon(json: &Value) -> Result<Shape, InvalidSilence> {
    const ALLOWED: &str = "a GeoJSON Polygon or MultiPolygon of at most 64 KiB, positions as [lon, lat]";
    let problem = |what: String| invalid("place.polygon", what, ALLOWED);
    if json.to_string().len() > LONGEST_POLYGON {
        return Err(problem("is too large".to_owned()));
    }
    let coordinates = json.get("coordinates").cloned().unwrap_or_default();
    let unreadable = |error: serde_json::Error| problem(format!("cannot be read: {error}"));
    let polygons: Vec<Vec<Ring>> = match json.get("type").and_then(Value::as_str) {
        Some("Polygon") => vec![serde_json::from_value(coordinates).map_err(unreadable)?],
        Some("MultiPolygon") => serde_json::from_value(coordinates).map_err(unreadable)?,
        _ => return Err(problem("is of another type".to_owned())),
    };
    Shape::new(polygons).map_err(|error| problem(format!("is not one: {error}")))
}

impl Silence {
    /// One that is stored.
    ///
    /// # Errors
    /// Its place is none.
    pub fn stored(
        matches: Matches,
        place: Option<Place>,
        (starts_at, ends_at): (EventTime, EventTime),
        (by, comment): (String, String),
    ) -> Result<Self, InvalidSilence> {
        let ground = place.as_ref().map(Ground::read).transpose()?;
        Ok(Self {
            matches,
            place,
            ground,
            starts_at,
            ends_at,
            by,
            comment,
        })
    }

    /// Whether it is in force at a time.
    pub fn is_in_force(&self, at: EventTime) -> bool {
        (self.starts_at..self.ends_at).contains(&at)
    }

    /// Whether it is about an alert, whenever that was.
    pub fn is_about(&self, subject: &Subject<'_>, places: &Places) -> bool {
        let is_named = !self.matches.severity.is_empty();
        let is_critical = subject.severity == Severity::Critical.name();
        let is_there = self.ground.as_ref().is_none_or(|ground| {
            let cell = subject.cell.and_then(|cell| CellIndex::try_from(cell).ok());
            cell.is_some_and(|cell| ground.holds(cell, places))
        });
        self.matches.admits(subject) && (is_named || !is_critical) && is_there
    }

    /// Whether it hides nothing but what `seen` shows: only such a one may be made, seen and ended with those rights.
    pub fn is_within(&self, seen: &Permission) -> bool {
        let layers = &self.matches.layer;
        let has_layers = seen.has_all_layers()
            || (!layers.is_empty() && layers.iter().all(|layer| seen.admits_layer(Some(layer))));
        let has_place = seen.has_all_areas()
            || match &self.ground {
                Some(Ground::Area(id)) => seen.admits_area(id),
                // A polygon or a cell may reach over the border.
                Some(Ground::Polygon(_) | Ground::Cells(_)) | None => false,
            };
        has_layers && has_place
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
