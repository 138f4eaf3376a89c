//! The rows of a query: each an instance, known by its key columns.

use std::time::Duration;

use riskgrid_ingest::LIVE_DOMAIN;
use serde::Serialize;

use super::super::fields::Fields;
use super::super::printed::{as_humantime, as_window};
use super::super::read::{Numbers, read_duration, read_every, read_limit, read_name, read_names};
use super::super::rule::RuleBounds;
use super::super::words::Limit;
use super::What;

/// Rows of one answer; more decide nothing.
pub const MAX_ROWS: usize = 10_000;
const MAX_KEYS: usize = 8;
const MAX_STATEMENT_BYTES: usize = 64 << 10;

/// The rows of a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SqlWatch {
    /// One statement that reads; `$1` is the time of which it asks.
    pub sql: String,
    /// The columns that a row is known by.
    pub keys: Vec<String>,
    /// The column that is compared, where there is a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where a row is.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<RowPlace>,
    /// The clock domain whose times it is judged at.
    pub domain: String,
    /// The time that it may take.
    #[serde(serialize_with = "as_humantime")]
    pub timeout: Duration,
    /// How often it is judged; `None` is at the end of each bucket.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub every: Option<Duration>,
    /// With what the value is compared; without, every row is over.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// The columns that say where a row is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RowPlace {
    /// An H3 cell.
    Cell {
        /// Its column.
        cell: String,
    },
    /// A point.
    Point {
        /// Column of degrees east.
        lon: String,
        /// Column of degrees north.
        lat: String,
    },
}

pub(super) fn read(fields: &mut Fields<'_>, bounds: &RuleBounds, _: bool) -> Option<What> {
    let allowed = "one SELECT of at most 64 KiB; $1 is the time of which it asks";
    let sql = fields.required("sql", allowed, |value| {
        let sql = value.as_str().filter(|sql| !sql.trim().is_empty())?;
        (sql.len() <= MAX_STATEMENT_BYTES).then_some(sql)
    });
    let keys = fields.required(
        "keys",
        "a list of 1 to 8 columns of the answer, each once",
        |value| read_names(value, MAX_KEYS).filter(|keys| !keys.is_empty()),
    );
    let limit = read_limit(fields, Numbers::Any);
    let value = fields.optional("value", "a column of the answer that is a number", read_name);
    if limit.is_some() && fields.value("value").is_none() {
        fields.complain(
            "value",
            "the column of the answer that is compared with the limit",
        );
    }
    let [cell, lon, lat] =
        ["cell", "lon", "lat"].map(|name| fields.optional(name, "a column of the answer", read_name));
    let place = match (cell, lon, lat) {
        (Some(cell), None, None) => Some(RowPlace::Cell {
            cell: cell.to_owned(),
        }),
        (None, Some(lon), Some(lat)) => Some(RowPlace::Point {
            lon: lon.to_owned(),
            lat: lat.to_owned(),
        }),
        (None, None, None) => None,
        (Some(_), ..) => {
            fields.complain("cell", "either `cell`, or `lon` and `lat`");
            None
        }
        (None, None, Some(_)) => {
            fields.complain("lon", "a column of the answer, with `lat`");
            None
        }
        (None, Some(_), None) => {
            fields.complain("lat", "a column of the answer, with `lon`");
            None
        }
    };
    let domain = fields.optional("domain", "live, or the name of a historic feed", read_name);
    let timeout = read_duration(
        fields,
        "timeout",
        "a duration from 100ms to 60s, like 10s",
        Duration::from_millis(100)..=Duration::from_mins(1),
    );
    let every = read_every(fields, bounds);
    Some(What::Sql(SqlWatch {
        sql: sql?.to_owned(),
        keys: keys?,
        value: value.map(str::to_owned),
        place,
        domain: domain.unwrap_or(LIVE_DOMAIN).to_owned(),
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        every,
        limit,
    }))
}
