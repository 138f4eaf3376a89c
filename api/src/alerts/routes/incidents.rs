//! `/v1/incidents`: list and show incidents with their history, and take all of one that fires.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use riskgrid_analytics::permission::Permission;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::{TermsBody, is_seen, read_terms};
use crate::access::{Caller, Reads};
use crate::alerts::Alerting;
use crate::alerts::store::{Incident, IncidentPlace, IncidentQuery, IncidentReader, IncidentState};
use crate::alerts::table::is_layer_and_cell_seen;
use crate::http::extract::{OptionalJsonBody, Parameters};
use crate::http::forwarded::External;
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The routes under `/v1/incidents`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/incidents", get(list))
        .route("/v1/incidents/{id}", get(show))
        .route("/v1/incidents/{id}/ack", post(acknowledge))
        .with_state(state)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    state: Option<String>,
    group: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

async fn list(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let state = parameters.state.as_deref().map(read_state).transpose()?;
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    let after = parameters.after.as_deref().map(read_token).transpose()?;
    let mut query = IncidentQuery {
        state,
        group: parameters.group,
        limit,
        after,
    };
    let now = (alerting.clock)();
    let sees = |layer: &str, cell| is_layer_and_cell_seen(&seen, layer, cell);
    let reader = IncidentReader {
        sees: &sees,
        sees_all: seen.has_all_layers() && seen.has_all_areas(),
        now,
    };
    let mut incidents: Vec<Incident> = Vec::new();
    let next = loop {
        query.limit = limit - u32::try_from(incidents.len()).unwrap_or(limit);
        let (page, next) = alerting.decisions.incidents(&query, reader).await?;
        incidents.extend(page);
        match next {
            Some(next) if incidents.len() < limit as usize => query.after = Some(next),
            next => break next,
        }
    };
    let next = next.map(|(opened_at, id)| format!("{opened_at}.{id}"));
    Ok(Json(json!({ "incidents": incidents, "next": next })))
}

async fn show(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    external: External,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let incident = seen_incident(&alerting, &seen, &id).await?;
    if let Some(heir) = &incident.merged_into {
        return Ok(moved(&format!("{}/v1/incidents/{heir}", external.base)));
    }
    shown(&alerting, &seen, &incident).await
}

/// Takes all of its alerts that fire.
async fn acknowledge(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    external: External,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<TermsBody>,
) -> Result<Response, Problem> {
    let incident = seen_incident(&alerting, &seen, &id).await?;
    if let Some(heir) = &incident.merged_into {
        return Ok(moved(&format!("{}/v1/incidents/{heir}/ack", external.base)));
    }
    let deed = caller.deed("alerts.ack");
    let terms = read_terms(body.unwrap_or_default(), &deed.who, (alerting.clock)())?;
    if incident.open == 0 {
        return Err(Problem::conflict(
            "no alert of the incident is open any more; what has ended stays as it is",
        ));
    }
    alerting
        .acknowledge_incident(&id, |alert| is_seen(&seen, alert), &terms, &deed)
        .await?;
    let incident = seen_incident(&alerting, &seen, &id).await?;
    shown(&alerting, &seen, &incident).await
}

fn moved(to: &str) -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to.to_owned())]).into_response()
}

async fn shown(alerting: &Alerting, seen: &Permission, incident: &Incident) -> Result<Response, Problem> {
    let sees = |layer: &str, cell| is_layer_and_cell_seen(seen, layer, cell);
    let now = (alerting.clock)();
    let reader = IncidentReader {
        sees: &sees,
        sees_all: seen.has_all_layers() && seen.has_all_areas(),
        now,
    };
    let lineage = alerting.decisions.lineage(&incident.id, reader).await?;
    let mut shown = serde_json::to_value(incident).map_err(|error| Problem::internal(&error))?;
    shown["lineage"] = json!(lineage);
    Ok(Json(shown).into_response())
}

/// The incident of an id, if any of it is seen.
async fn seen_incident(alerting: &Alerting, seen: &Permission, id: &str) -> Result<Incident, Problem> {
    let sees = |layer: &str, cell| is_layer_and_cell_seen(seen, layer, cell);
    let now = (alerting.clock)();
    let reader = IncidentReader {
        sees: &sees,
        sees_all: seen.has_all_layers() && seen.has_all_areas(),
        now,
    };
    let incident = alerting.decisions.incident(id, reader).await?;
    incident
        .ok_or_else(|| Problem::not_found("there is no incident of this id; GET /v1/incidents lists them"))
}

fn read_state(name: &str) -> Result<IncidentState, Problem> {
    IncidentState::from_name(name)
        .ok_or_else(|| Problem::bad_request(format!("`state` is \"{name}\"; allowed: open, closed, merged")))
}

fn read_token(token: &str) -> Result<IncidentPlace, Problem> {
    token
        .split_once('.')
        .and_then(|(opened_at, id)| Some((opened_at.parse().ok()?, id.to_owned())))
        .ok_or_else(|| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
}
