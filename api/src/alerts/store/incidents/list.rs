//! Incidents as they are read: what is counted follows from their alerts as they are now.

use h3o::{CellIndex, LatLng};
use riskgrid_analytics::incidents::Spot;
use riskgrid_analytics::rules::Severity;
use riskgrid_ingest::places::Places;
use serde::Serialize;

use super::super::alerts::{Alert, AlertRow, as_optional_rfc3339, as_rfc3339};
use super::super::{Decisions, DecisionsError};
use crate::database::read_from_row;

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Something of it is active.
    Open,
    /// Nothing of it is active any more.
    Closed,
    /// Another one absorbed it.
    Merged,
}

impl IncidentState {
    /// The names in JSON.
    pub const ALL: [(&'static str, Self); 3] = [
        ("open", Self::Open),
        ("closed", Self::Closed),
        ("merged", Self::Merged),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, state)| *state == self)
            .map_or("", |(name, _)| name)
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, state)| *state)
    }
}

/// One incident as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// What its alerts have in common.
    pub group: String,
    /// Where it stands.
    pub state: IncidentState,
    /// The highest of its open alerts.
    pub severity: Option<String>,
    /// When it began.
    #[serde(serialize_with = "as_rfc3339")]
    pub opened_at: i64,
    /// When the last of its alerts ended; none while one is open.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub ended_at: Option<i64>,
    /// When it closed, or was absorbed.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub closed_at: Option<i64>,
    /// How many alerts it has.
    pub alerts: i64,
    /// How many of them are open, acknowledged ones too.
    pub open: i64,
    /// How many of them somebody has taken.
    pub acknowledged: i64,
    /// Its places at the incidents' resolution, ascending.
    #[serde(serialize_with = "as_h3_list")]
    pub cells: Vec<u64>,
    /// Ids of the areas that hold one of its alerts, ascending.
    pub areas: Vec<String>,
    /// The incident that absorbed it.
    pub merged_into: Option<String>,
    /// The incident of several installations that it is part of.
    pub joint: Option<String>,
}

fn as_h3_list<S: serde::Serializer>(cells: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cells.iter().map(|cell| format!("{cell:x}")))
}

/// A place in the list, newest first.
pub type IncidentPlace = (i64, String);

/// Which incidents to list.
#[derive(Clone, Debug, Default)]
pub struct IncidentQuery {
    /// Only those that stand so.
    pub state: Option<IncidentState>,
    /// Only those of this group.
    pub group: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// After this one.
    pub after: Option<IncidentPlace>,
}

struct IncidentRow {
    id: String,
    group_name: String,
    state: String,
    opened_at: i64,
    closed_at: Option<i64>,
    merged_into: Option<String>,
}

read_from_row!(IncidentRow {
    id,
    group_name,
    state,
    opened_at,
    closed_at,
    merged_into
});

/// Alerts of an incident that lie alike.
struct AlikeRow {
    layer: String,
    rule_id: String,
    cell: Option<i64>,
    severity: String,
    state: String,
    alerts: i64,
    first_at: i64,
    ended_at: Option<i64>,
}

read_from_row!(AlikeRow {
    layer,
    rule_id,
    cell,
    severity,
    state,
    alerts,
    first_at,
    ended_at
});

struct PlaceRow {
    layer: String,
    cell: Option<i64>,
}

read_from_row!(PlaceRow { layer, cell });

/// Who reads incidents.
#[derive(Clone, Copy)]
pub struct IncidentReader<'a> {
    /// Whether they see alerts of a layer in a cell.
    pub sees: &'a (dyn Fn(&str, Option<u64>) -> bool + Sync),
    /// Whether they see all alerts.
    pub sees_all: bool,
    /// When, µs.
    pub now: i64,
}

impl IncidentReader<'_> {
    pub(super) fn sees(&self, layer: &str, cell: Option<i64>) -> bool {
        (self.sees)(layer, cell.map(i64::cast_unsigned))
    }
}

impl Decisions {
    /// Incidents, newest first, each as far as its alerts are seen, and none of which no alert is; with the place of the last
    /// when there may be more.
    ///
    /// # Errors
    /// The database's.
    pub async fn incidents(
        &self,
        query: &IncidentQuery,
        reader: IncidentReader<'_>,
    ) -> Result<(Vec<Incident>, Option<IncidentPlace>), DecisionsError> {
        let (opened_at, id) = query
            .after
            .as_ref()
            .map_or((i64::MAX, ""), |(at, id)| (*at, id.as_str()));
        // Whether it is open depends on which of its alerts are seen.
        let is_by_rights = !reader.sees_all && !matches!(query.state, None | Some(IncidentState::Merged));
        let rows: Vec<IncidentRow> = sqlx::query_as(
            "SELECT id, group_name, state, opened_at, closed_at, merged_into FROM incidents
                WHERE (opened_at < $1 OR (opened_at = $1 AND id < $2))
                    AND (state = $3 OR $3 = '' OR ($6 = 1 AND state <> 'merged')) AND (group_name = $4 OR $4 = '')
                ORDER BY opened_at DESC, id DESC LIMIT $5",
        )
        .bind(opened_at)
        .bind(id)
        .bind(query.state.map_or("", IncidentState::name))
        .bind(query.group.as_deref().unwrap_or_default())
        .bind(i64::from(query.limit))
        .bind(i64::from(is_by_rights))
        .fetch_all(self.readers())
        .await?;
        let is_whole = rows.len() == query.limit as usize;
        let next = rows
            .last()
            .filter(|_| is_whole)
            .map(|row| (row.opened_at, row.id.clone()));
        let mut incidents = Vec::with_capacity(rows.len());
        for row in rows {
            let shown = self.shown(row, reader).await?;
            incidents
                .extend(shown.filter(|incident| query.state.is_none_or(|state| state == incident.state)));
        }
        Ok((incidents, next))
    }

    /// One incident, as far as its alerts are seen; `None` when none is, or there is no such incident.
    ///
    /// # Errors
    /// The database's.
    pub async fn incident(
        &self,
        id: &str,
        reader: IncidentReader<'_>,
    ) -> Result<Option<Incident>, DecisionsError> {
        let row: Option<IncidentRow> = sqlx::query_as(
            "SELECT id, group_name, state, opened_at, closed_at, merged_into FROM incidents WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(self.readers())
        .await?;
        match row {
            Some(row) => self.shown(row, reader).await,
            None => Ok(None),
        }
    }

    /// The open alerts of an incident that nobody has taken, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn firing_of_incident(&self, id: &str) -> Result<Vec<Alert>, DecisionsError> {
        let rows: Vec<AlertRow> = sqlx::query_as(
            "SELECT * FROM alerts WHERE incident = $1 AND state = 'firing' ORDER BY fired_at, id",
        )
        .bind(id)
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(AlertRow::into_alert).collect()
    }

    async fn shown(
        &self,
        row: IncidentRow,
        reader: IncidentReader<'_>,
    ) -> Result<Option<Incident>, DecisionsError> {
        let state = IncidentState::from_name(&row.state)
            .ok_or_else(|| DecisionsError::unreadable("incident", &format!("state {}", row.state)))?;
        let mut incident = Incident {
            id: row.id,
            group: row.group_name,
            state,
            severity: None,
            opened_at: row.opened_at,
            ended_at: None,
            closed_at: row.closed_at,
            alerts: 0,
            open: 0,
            acknowledged: 0,
            cells: Vec::new(),
            areas: Vec::new(),
            merged_into: row.merged_into,
            joint: None,
        };
        let is_seen = if state == IncidentState::Merged {
            self.has_joined_seen(&incident.id, reader).await?
        } else {
            let alike: Vec<AlikeRow> = sqlx::query_as(
                "SELECT layer, rule_id, cell, severity, state, COUNT(*) AS alerts, MIN(fired_at) AS first_at,
                    MAX(resolved_at) AS ended_at
                   FROM alerts WHERE incident = $1 GROUP BY layer, rule_id, cell, severity, state",
            )
            .bind(&incident.id)
            .fetch_all(self.readers())
            .await?;
            self.count(&mut incident, alike, reader)
        };
        Ok(is_seen.then_some(incident))
    }

    /// Whether an alert that joined an incident is seen: those of one that was absorbed are its heir's now.
    async fn has_joined_seen(
        &self,
        incident: &str,
        reader: IncidentReader<'_>,
    ) -> Result<bool, DecisionsError> {
        let joined: Vec<PlaceRow> = sqlx::query_as(
            "SELECT DISTINCT alerts.layer, alerts.cell FROM incident_lineage JOIN alerts ON alerts.id = incident_lineage.about
                WHERE incident_lineage.incident = $1 AND incident_lineage.kind = 'join'",
        )
        .bind(incident)
        .fetch_all(self.readers())
        .await?;
        Ok(joined.iter().any(|row| reader.sees(&row.layer, row.cell)))
    }

    /// Counts the alerts that are seen; whether there is any. Where some are not, its times are those of what is seen.
    fn count(&self, incident: &mut Incident, alike: Vec<AlikeRow>, reader: IncidentReader<'_>) -> bool {
        let settings = self.incident_settings();
        let (mut severity, mut first_at): (Option<Severity>, i64) = (None, i64::MAX);
        let mut hides = false;
        for row in alike {
            let cell = row.cell.map(i64::cast_unsigned);
            if !reader.sees(&row.layer, row.cell) {
                hides = true;
                continue;
            }
            incident.alerts += row.alerts;
            first_at = first_at.min(row.first_at);
            incident.ended_at = incident.ended_at.max(row.ended_at);
            if matches!(row.state.as_str(), "firing" | "acknowledged") {
                incident.open += row.alerts;
                severity = severity.max(Severity::from_name(&row.severity));
            }
            if row.state == "acknowledged" {
                incident.acknowledged += row.alerts;
            }
            let cover = settings.cover_of(&row.rule_id, cell, self.places());
            incident
                .cells
                .extend(cover.spots().iter().filter_map(|spot| match spot {
                    Spot::Cell(cell) => Some(u64::from(*cell)),
                    Spot::Area(_) | Spot::Rule(_) => None,
                }));
            incident.areas.extend(areas_of_cell(cell, self.places()));
        }
        incident.cells.sort_unstable();
        incident.cells.dedup();
        incident.areas.sort_unstable();
        incident.areas.dedup();
        incident.severity = severity.map(|severity| severity.name().to_owned());
        if incident.open > 0 {
            incident.ended_at = None;
        }
        if hides {
            let gap = i64::try_from(settings.reach.gap.as_micros()).unwrap_or(i64::MAX);
            incident.opened_at = first_at;
            // Open or closed as if what is hidden were not there: a closed one closed when what is seen was over.
            let over_at = incident.ended_at.map(|ended_at| ended_at.saturating_add(gap));
            incident.state = match over_at {
                Some(over_at) if incident.closed_at.is_some() || over_at <= reader.now => {
                    IncidentState::Closed
                }
                _ => IncidentState::Open,
            };
            incident.closed_at = over_at.filter(|_| incident.state == IncidentState::Closed);
        }
        incident.alerts > 0
    }
}

/// Ids of the areas that hold the centre of a cell.
pub(in super::super) fn areas_of_cell(cell: Option<u64>, places: &Places) -> Vec<String> {
    let Some(cell) = cell.and_then(|cell| CellIndex::try_from(cell).ok()) else {
        return Vec::new();
    };
    let centre = LatLng::from(cell);
    let areas = places.areas.areas_of([centre.lng(), centre.lat()]);
    areas.iter().map(|area| area.id.to_string()).collect()
}
