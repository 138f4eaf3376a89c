//! One `[[feeds]]` table, as it is written in the configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::field_spec::{FieldSpec, IdSettings, TimeSettings};
use crate::words::Bounds;
use crate::words::EventKind;

/// A feed. Where a key takes a [`FieldSpec`], a bare text names a column (CSV), a top-level field (JSON) or, when it
/// starts with `/`, a JSON pointer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// Unique name, `[a-z0-9_]{1,64}`; the clock domain of a historic feed. Not `live`.
    pub name: String,
    /// `{ kafka = "topic" }` or `{ file = "path", speed = 60 }`.
    pub from: FeedOrigin,
    /// `csv`, `json` or `cloudevents`.
    pub format: FeedFormat,
    /// Names of the columns of a CSV topic, in order: a message has no header line. Files have one, and no `columns`.
    pub columns: Option<Vec<String>>,
    /// One ASCII character between the fields of CSV. Default `,`.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,

    /// `observation`, `report` or `position`; every row is one. Needed except with `cloudevents`.
    pub event: Option<EventKind>,
    /// Who sent it, usually `{ const = "//city/feed" }`. Needed except with `cloudevents`.
    pub source: Option<FieldSpec>,
    /// `["field", …]`, joined by `:`, or `{ hash = "row" }` for rows that have no id. Needed except with `cloudevents`.
    pub id: Option<IdSettings>,
    /// `{ field, format, zone }`; a bare text is a field with RFC 3339. Needed except with `cloudevents`.
    pub time: Option<TimeSettings>,
    /// Degrees east; from here or from `lookup`.
    pub lon: Option<FieldSpec>,
    /// Degrees north; from here or from `lookup`.
    pub lat: Option<FieldSpec>,

    /// Report: its category, the layer. Needed unless `op` is there.
    pub category: Option<FieldSpec>,
    /// Report: 0 unknown to 4 critical. Default: unknown.
    pub severity: Option<FieldSpec>,
    /// Report: which one it is about. Default: the event's id.
    pub report: Option<FieldSpec>,
    /// Report: `open`, `update` or `close`. Default `open`. A value outside `map` is left as it is, and so refused by
    /// the edge, where other fields would be missing: missing means `open`, and nothing opens a report by mistake.
    pub op: Option<FieldSpec>,
    /// Report: `sensor`, `field_officer`, `camera`, `phone`, `app`, `web`, `social` or `other`. Default `other`.
    pub channel: Option<FieldSpec>,
    /// Report: who reported; only a keyed hash of it is kept. Default: nobody.
    pub reporter: Option<FieldSpec>,
    /// Report: how it turned out, `confirmed`, `false`, `duplicate` or `unknown`. Default: not said.
    pub outcome: Option<FieldSpec>,

    /// Report whose case another system decides: by when, `{ field, format, zone }`. An empty one is none. Default: not said.
    pub due: Option<TimeSettings>,
    /// Report whose case another system decides: whose it is there. Default: not said.
    pub office: Option<FieldSpec>,

    /// Observation: which sensor. Needed, from here or from `lookup`.
    pub sensor: Option<FieldSpec>,
    /// Observation: what was measured, the layer. Needed unless `values` is there.
    pub property: Option<FieldSpec>,
    /// Observation: the reading. Needed unless `values` is there.
    pub value: Option<FieldSpec>,
    /// Observation: UCUM code of `value`, default the layer's. Position: which response unit, needed.
    pub unit: Option<FieldSpec>,
    /// Observation: several readings in one row, each an event of its own whose id ends in `:` and its property.
    /// An empty one is no event. Default: none.
    #[serde(default)]
    pub values: Vec<ValueSettings>,

    /// Position: what the unit is doing. Default: not said.
    pub status: Option<FieldSpec>,
    /// Position: what the unit can do: a JSON array of texts, or one text with `;` between. Default: nothing.
    pub skills: Option<FieldSpec>,

    /// A CSV file that adds fields by key and date. Default: none.
    pub lookup: Option<LookupSettings>,
    /// Points `[lon, lat]` that stand for "no place known". Default: none.
    #[serde(default)]
    pub null_points: Vec<[f64; 2]>,
    /// `[west, south, east, north]` in degrees; places outside are refused. Default: none.
    pub bounds: Option<Bounds>,
    /// `live`, or `event` for a historic feed with a clock of its own. Default `live`.
    #[serde(default)]
    pub clock: FeedClock,
    /// RFC 3339; earlier events of a historic feed are too late. Needed with `clock = "event"`, and only there.
    pub valid_from: Option<String>,
    /// RFC 3339; later events of a historic feed are in the future. Needed with `clock = "event"`, and only there.
    pub valid_to: Option<String>,
    /// Whether a report without reporter counts as a source of its own: `source` (no) or `distinct`. Default `source`.
    #[serde(default)]
    pub anonymous: AnonymousSources,
    /// Whether a replay of this feed wakes people. Default `false`.
    #[serde(default)]
    pub notify: bool,
}

const fn default_delimiter() -> char {
    ','
}

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OriginTable", into = "OriginTable")]
pub enum FeedOrigin {
    /// A Kafka topic: one row a message.
    Kafka {
        /// Its name.
        topic: String,
    },
    /// A file, plain or gzip: CSV with a header line, or one JSON object a line.
    File {
        /// Its path; a relative one starts at the configuration file's folder.
        path: PathBuf,
        /// Event seconds played in one second; `None` plays as fast as it goes.
        speed: Option<f64>,
    },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
}

impl TryFrom<OriginTable> for FeedOrigin {
    type Error = &'static str;

    fn try_from(table: OriginTable) -> Result<Self, Self::Error> {
        match (table.kafka, table.file, table.speed) {
            (Some(topic), None, None) => Ok(Self::Kafka { topic }),
            (None, Some(path), speed) => Ok(Self::File { path, speed }),
            _ => Err("`from` is { kafka = \"topic\" } or { file = \"path\", speed = 60 }"),
        }
    }
}

impl From<FeedOrigin> for OriginTable {
    fn from(origin: FeedOrigin) -> Self {
        match origin {
            FeedOrigin::Kafka { topic } => Self {
                kafka: Some(topic),
                file: None,
                speed: None,
            },
            FeedOrigin::File { path, speed } => Self {
                kafka: None,
                file: Some(path),
                speed,
            },
        }
    }
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedFormat {
    /// One record of RFC 4180.
    Csv,
    /// One JSON object.
    Json,
    /// One `CloudEvent` in structured mode; nothing is mapped.
    CloudEvents,
}

/// Which clock a feed follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedClock {
    /// The wall clock, shared with all live feeds.
    #[default]
    Live,
    /// Its own event time.
    Event,
}

/// What a report without reporter counts as in the number of distinct sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnonymousSources {
    /// Its feed.
    #[default]
    Source,
    /// A source of its own.
    Distinct,
}

/// One of several readings in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueSettings {
    /// The field that holds the reading.
    pub field: String,
    /// What was measured: the word itself, not a field.
    pub property: String,
    /// Its UCUM code: the code itself, not a field. Default: the layer's unit.
    pub unit: Option<String>,
}

/// A CSV file with a header line, plain or gzip, whose rows hold for one key from one date to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupSettings {
    /// Its path; a relative one starts at the configuration file's folder.
    pub file: PathBuf,
    /// The field of the feed, and the column of the file, that must be equal.
    pub key: String,
    /// Column of the first instant for which a row holds, read like the feed's `time`. Default: from ever; so an empty one.
    pub from: Option<String>,
    /// Column of the last instant, included. Default: for ever; so an empty one.
    pub to: Option<String>,
    /// Which column of the file gives which field: `lon`, `lat`, `category`, `property`, `sensor`, `unit`, `channel`, `status`.
    pub fields: BTreeMap<String, String>,
}
