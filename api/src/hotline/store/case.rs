//! Rows of `cases`.

use riskgrid_analytics::hotline::moves::State;

use super::{Connection, StoreError, read_json};
use crate::database::read_from_row;

/// A case, as it is stored: lists and objects are JSON, times microseconds.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the columns of the contract, by their names")]
pub struct CaseRow {
    pub id: String,
    pub number: String,
    pub version: i64,
    pub state: String,
    pub mode: String,
    pub source: String,
    pub report: String,
    pub kind: String,
    pub layer: String,
    pub severity: i64,
    pub channel: String,
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub cell: Option<i64>,
    pub place: Option<String>,
    pub place_quality: String,
    pub areas: String,
    pub attributes: String,
    pub labels: String,
    pub office: Option<String>,
    pub duty_version: Option<i64>,
    pub duty_rule: Option<String>,
    pub why: String,
    pub excluded: String,
    pub returns: i64,
    pub parent: Option<String>,
    pub split_of: Option<String>,
    pub round: i64,
    pub paused_at: Option<i64>,
    pub result: Option<String>,
    pub public_text: Option<String>,
    pub observed: String,
    pub opened_at: i64,
    pub updated_at: i64,
    pub closed_at: Option<i64>,
}

read_from_row!(CaseRow {
    id,
    number,
    version,
    state,
    mode,
    source,
    report,
    kind,
    layer,
    severity,
    channel,
    lon,
    lat,
    cell,
    place,
    place_quality,
    areas,
    attributes,
    labels,
    office,
    duty_version,
    duty_rule,
    why,
    excluded,
    returns,
    parent,
    split_of,
    round,
    paused_at,
    result,
    public_text,
    observed,
    opened_at,
    updated_at,
    closed_at
});

impl CaseRow {
    /// Where it stands.
    pub fn state(&self) -> Result<State, StoreError> {
        State::from_name(&self.state)
            .ok_or_else(|| StoreError::unreadable("case", &format!("its state is `{}`", self.state)))
    }

    /// Whether another system decides it.
    pub fn is_mirrored(&self) -> bool {
        self.mode == "mirror"
    }

    /// Longitude and latitude, where it has some.
    pub fn position(&self) -> Option<[f64; 2]> {
        Some([self.lon?, self.lat?])
    }

    /// The ids of its areas.
    pub fn area_ids(&self) -> Result<Vec<String>, StoreError> {
        read_json("case", &self.areas)
    }

    /// What was said of it at its dispatch.
    pub fn label_list(&self) -> Result<Vec<String>, StoreError> {
        read_json("case", &self.labels)
    }

    /// The offices that returned it.
    pub fn excluded_offices(&self) -> Result<Vec<String>, StoreError> {
        read_json("case", &self.excluded)
    }
}

/// The case of an id.
///
/// # Errors
/// The database's.
pub async fn case(connection: &mut Connection, id: &str) -> Result<Option<CaseRow>, StoreError> {
    let row = sqlx::query_as("SELECT * FROM cases WHERE id = $1").bind(id);
    Ok(row.fetch_optional(connection).await?)
}

/// The case of a report.
///
/// # Errors
/// The database's.
pub async fn case_of_report(
    connection: &mut Connection,
    source: &str,
    report: &str,
) -> Result<Option<CaseRow>, StoreError> {
    let row = sqlx::query_as("SELECT * FROM cases WHERE source = $1 AND report = $2")
        .bind(source)
        .bind(report);
    Ok(row.fetch_optional(connection).await?)
}

/// The cases that are merged into this one, by their ids.
///
/// # Errors
/// The database's.
pub async fn children(connection: &mut Connection, id: &str) -> Result<Vec<CaseRow>, StoreError> {
    let rows = sqlx::query_as("SELECT * FROM cases WHERE parent = $1 ORDER BY id").bind(id);
    Ok(rows.fetch_all(connection).await?)
}

/// Whether any is.
///
/// # Errors
/// The database's.
pub async fn has_children(connection: &mut Connection, id: &str) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM cases WHERE parent = $1 LIMIT 1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// How many cases were split off this one.
///
/// # Errors
/// The database's.
pub async fn splits_of(connection: &mut Connection, id: &str) -> Result<i64, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT COUNT(*) FROM cases WHERE split_of = $1")
            .bind(id)
            .fetch_one(connection)
            .await?,
    )
}

/// Cases that others may be merged into, within some degrees (west, south, east, north) or at a place of the table, opened between
/// two times.
///
/// # Errors
/// The database's.
pub async fn cases_around(
    connection: &mut Connection,
    [west, south, east, north]: [f64; 4],
    place: Option<&str>,
    (from, to): (i64, i64),
) -> Result<Vec<CaseRow>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT * FROM cases WHERE lat BETWEEN $1 AND $2 AND lon BETWEEN $3 AND $4 AND opened_at BETWEEN $5 AND $6
            AND parent IS NULL AND mode = 'own' AND state IN ('new', 'accepted', 'dispatched', 'handling', 'replied')
         UNION SELECT * FROM cases WHERE place = $7 AND opened_at BETWEEN $5 AND $6
            AND parent IS NULL AND mode = 'own' AND state IN ('new', 'accepted', 'dispatched', 'handling', 'replied')",
    )
    .bind(south)
    .bind(north)
    .bind(west)
    .bind(east)
    .bind(from)
    .bind(to)
    .bind(place);
    Ok(rows.fetch_all(connection).await?)
}

/// Stores a new case.
///
/// # Errors
/// The database's; there is one of that report already.
pub async fn insert_case(connection: &mut Connection, row: &CaseRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO cases (id, number, version, state, mode, source, report, kind, layer, severity, channel, lon, lat, cell,
            place, place_quality, areas, attributes, office, duty_version, duty_rule, why, excluded, returns, parent, split_of,
            round, paused_at, result, public_text, observed, opened_at, updated_at, closed_at, labels)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)",
    )
    .bind(&row.id)
    .bind(&row.number)
    .bind(row.version)
    .bind(&row.state)
    .bind(&row.mode)
    .bind(&row.source)
    .bind(&row.report)
    .bind(&row.kind)
    .bind(&row.layer)
    .bind(row.severity)
    .bind(&row.channel)
    .bind(row.lon)
    .bind(row.lat)
    .bind(row.cell)
    .bind(&row.place)
    .bind(&row.place_quality)
    .bind(&row.areas)
    .bind(&row.attributes)
    .bind(&row.office)
    .bind(row.duty_version)
    .bind(&row.duty_rule)
    .bind(&row.why)
    .bind(&row.excluded)
    .bind(row.returns)
    .bind(&row.parent)
    .bind(&row.split_of)
    .bind(row.round)
    .bind(row.paused_at)
    .bind(&row.result)
    .bind(&row.public_text)
    .bind(&row.observed)
    .bind(row.opened_at)
    .bind(row.updated_at)
    .bind(row.closed_at)
    .bind(&row.labels)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a case as it is now, if it is still at `version`: whether it was. Whether its event is in the log is no decision, and is
/// written apart.
///
/// # Errors
/// The database's.
pub async fn update_case(
    connection: &mut Connection,
    row: &CaseRow,
    version: i64,
) -> Result<bool, StoreError> {
    let updated = sqlx::query(
        "UPDATE cases SET version = $3, state = $4, kind = $5, lon = $6, lat = $7, cell = $8, place = $9, place_quality = $10,
            areas = $11, attributes = $12, office = $13, duty_version = $14, duty_rule = $15, why = $16, excluded = $17,
            returns = $18, parent = $19, round = $20, paused_at = $21, result = $22, public_text = $23,
            updated_at = $24, closed_at = $25, labels = $26 WHERE id = $1 AND version = $2",
    )
    .bind(&row.id)
    .bind(version)
    .bind(row.version)
    .bind(&row.state)
    .bind(&row.kind)
    .bind(row.lon)
    .bind(row.lat)
    .bind(row.cell)
    .bind(&row.place)
    .bind(&row.place_quality)
    .bind(&row.areas)
    .bind(&row.attributes)
    .bind(&row.office)
    .bind(row.duty_version)
    .bind(&row.duty_rule)
    .bind(&row.why)
    .bind(&row.excluded)
    .bind(row.returns)
    .bind(&row.parent)
    .bind(row.round)
    .bind(row.paused_at)
    .bind(&row.result)
    .bind(&row.public_text)
    .bind(row.updated_at)
    .bind(row.closed_at)
    .bind(&row.labels)
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}
