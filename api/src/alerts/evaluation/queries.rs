//! Rules of kind `sql`: the rows of a query, each an instance known by its key columns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::rules::{InstanceKey, Judged, MAX_ROWS, Row, RowPlace, Rule, SqlWatch, Verdict};
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{Asker, SqlError, SqlRequest, at_time};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;
use serde_json::{Map, Value};

use super::sight::Sight;
use super::sums::is_in;

/// Bytes of one answer.
const MAX_ANSWER: usize = 16 << 20;

/// Why a query decided nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryFailure {
    /// What the statement says, or its answer, is not what a rule can use: the field, what was found, what is allowed.
    #[error("`{field}`: {found}; {allowed}")]
    Unusable {
        /// Of the rule.
        field: &'static str,
        /// What was found.
        found: String,
        /// What to do.
        allowed: String,
    },
    /// It took longer than it may.
    #[error("it ran longer than {}", humantime::format_duration(*.0))]
    TooLong(Duration),
    /// The engine could not answer now.
    #[error("{0}")]
    NotNow(String),
}

fn unusable(field: &'static str, found: impl Into<String>, allowed: impl Into<String>) -> QueryFailure {
    QueryFailure::Unusable {
        field,
        found: found.into(),
        allowed: allowed.into(),
    }
}

/// The rows of a rule's query as of `at`.
pub(crate) async fn rows_of(
    sight: &Sight,
    snapshot: &Arc<GridSnapshot>,
    rule: &Rule,
    watch: &SqlWatch,
    at: EventTime,
) -> Result<Vec<Row>, QueryFailure> {
    let sql = at_time(&watch.sql, at).map_err(|error| {
        unusable(
            "sql",
            error.to_string(),
            "one SELECT; $1 is the time of which it asks",
        )
    })?;
    let permission = rule.seen.permission().cloned();
    let request = SqlRequest {
        sql,
        params: Vec::new(),
        timeout: Some(watch.timeout),
        limit: Some(MAX_ROWS + 1),
        query_id: None,
        now: chrono::DateTime::from_timestamp_micros(at.micros()).unwrap_or_default(),
        asker: Asker {
            who: format!("rule:{}", rule.id).into(),
            via: "rule",
            turn: "rules".into(),
            permission: permission.unwrap_or_else(|| Arc::new(Permission::admin())),
            ..Asker::system()
        },
    };
    let answer = (sight.ask)(request, Arc::clone(snapshot))
        .await
        .map_err(|error| failure(error, watch))?;
    let names: Vec<String> = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    check_columns(watch, &names)?;
    let encoded = encode(answer, AnswerFormat::NdJson)
        .await
        .map_err(|error| failure(error, watch))?;
    let mut bytes = Vec::new();
    let mut body = encoded.body;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| QueryFailure::NotNow(error.to_string()))?;
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_ANSWER {
            return Err(unusable(
                "sql",
                format!("more than {MAX_ANSWER} bytes"),
                "ask for fewer or shorter columns",
            ));
        }
    }
    let mut found = Vec::new();
    let mut keys = BTreeSet::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if found.len() >= MAX_ROWS {
            return Err(unusable(
                "sql",
                format!("more than {MAX_ROWS} rows"),
                "ask for fewer rows",
            ));
        }
        let row: Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| QueryFailure::NotNow(error.to_string()))?;
        let Some(row) = read_row(watch, &row, snapshot.resolution)? else {
            continue;
        };
        let is_within = row.cell.map_or(rule.areas.is_empty(), |cell| {
            is_in(&snapshot.places, &rule.areas, cell)
        });
        if !is_within {
            continue;
        }
        if !keys.insert(row.key.clone()) {
            return Err(unusable(
                "keys",
                format!("two rows have {}", row.key.text()),
                "columns that tell each row from all others",
            ));
        }
        found.push(row);
    }
    Ok(found)
}

/// The rows of somebody's query, each as an object.
pub(super) async fn objects_of(
    sight: &Sight,
    snapshot: &Arc<GridSnapshot>,
    (permission, who): (&Arc<Permission>, &str),
    sql: &str,
) -> Result<Vec<Map<String, Value>>, QueryFailure> {
    let request = SqlRequest {
        sql: sql.to_owned(),
        params: Vec::new(),
        timeout: None,
        limit: None,
        query_id: None,
        now: chrono::Utc::now(),
        asker: Asker {
            who: who.into(),
            via: "rule",
            turn: who.into(),
            permission: Arc::clone(permission),
            ..Asker::system()
        },
    };
    let failed =
        |error: SqlError| unusable("truth", error.to_string(), "a query of the columns time and cell");
    let answer = (sight.ask)(request, Arc::clone(snapshot)).await.map_err(failed)?;
    let mut body = encode(answer, AnswerFormat::NdJson).await.map_err(failed)?.body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| QueryFailure::NotNow(error.to_string()))?);
        if bytes.len() > MAX_ANSWER {
            return Err(unusable(
                "truth",
                format!("more than {MAX_ANSWER} bytes"),
                "a shorter span",
            ));
        }
    }
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).map_err(|error| QueryFailure::NotNow(error.to_string())))
        .collect()
}

fn failure(error: SqlError, watch: &SqlWatch) -> QueryFailure {
    match error {
        SqlError::TimedOut { .. } => QueryFailure::TooLong(watch.timeout),
        SqlError::QueueFull { .. } | SqlError::Cancelled | SqlError::Internal { .. } => {
            QueryFailure::NotNow(error.to_string())
        }
        error => unusable(
            "sql",
            error.to_string(),
            "one SELECT; $1 is the time of which it asks",
        ),
    }
}

/// The columns that the rule names are there.
fn check_columns(watch: &SqlWatch, names: &[String]) -> Result<(), QueryFailure> {
    let place: Vec<(&'static str, &String)> = match &watch.place {
        Some(RowPlace::Cell { cell }) => vec![("cell", cell)],
        Some(RowPlace::Point { lon, lat }) => vec![("lon", lon), ("lat", lat)],
        None => Vec::new(),
    };
    let keys = watch.keys.iter().map(|key| ("keys", key));
    let all = keys
        .chain(watch.value.iter().map(|value| ("value", value)))
        .chain(place);
    for (field, name) in all {
        if !names.contains(name) {
            return Err(unusable(
                field,
                format!("the answer has no column \"{name}\""),
                format!("columns of the answer: {}", names.join(", ")),
            ));
        }
    }
    Ok(())
}

/// `None` where a key is NULL.
fn read_row(
    watch: &SqlWatch,
    row: &Map<String, Value>,
    resolution: Resolution,
) -> Result<Option<Row>, QueryFailure> {
    let mut keys = Vec::with_capacity(watch.keys.len());
    for name in &watch.keys {
        let key = row.get(name).cloned().unwrap_or_default();
        match &key {
            Value::Null => return Ok(None),
            Value::String(_) | Value::Bool(_) => {}
            Value::Number(number) if !number.is_f64() => {}
            other => {
                return Err(unusable(
                    "keys",
                    format!("`{name}` is {other}"),
                    "columns of texts, whole numbers, booleans or cells",
                ));
            }
        }
        keys.push(key);
    }
    let number = |name: &str| row.get(name).and_then(as_number);
    let cell = match &watch.place {
        Some(RowPlace::Cell { cell }) => {
            let text = row.get(cell).and_then(Value::as_str);
            text.and_then(|text| text.parse::<CellIndex>().ok())
        }
        Some(RowPlace::Point { lon, lat }) => {
            let point = number(lat)
                .zip(number(lon))
                .and_then(|(lat, lon)| LatLng::new(lat, lon).ok());
            point.map(|point| point.to_cell(resolution))
        }
        None => None,
    };
    let value = match &watch.value {
        Some(name) => number(name),
        None => Some(1.0),
    };
    let judged = value.map(|value| Judged {
        verdict: watch.limit.map_or(Verdict::Over, |limit| limit.judge(value)),
        value,
    });
    Ok(Some(Row {
        key: InstanceKey::Text(Value::Array(keys).to_string().into()),
        cell: cell.map(u64::from),
        judged,
    }))
}

/// A number; whole ones past 2^53 are texts.
fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
