//! `/v1/alerts`: list, show and acknowledge alerts.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::alerts::Alerting;
use crate::alerts::store::{Alert, AlertQuery, AlertState};
use crate::http::extract::Parameters;
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The routes under `/v1/alerts`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/alerts", get(list))
        .route("/v1/alerts/{id}", get(show))
        .route("/v1/alerts/{id}/ack", post(acknowledge))
        .with_state(state)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    state: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

async fn list(
    State(alerting): State<Arc<Alerting>>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    // Pending instances are the evaluators' own until they fire: none is an alert yet.
    let is_pending = parameters.state.as_deref() == Some("pending");
    let state = parameters
        .state
        .as_deref()
        .filter(|_| !is_pending)
        .map(read_state)
        .transpose()?;
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    let after = parameters.after.as_deref().map(read_token).transpose()?;
    if is_pending {
        return Ok(Json(json!({ "alerts": [], "next": null })));
    }
    let page = alerting
        .decisions
        .alerts(&AlertQuery { state, limit, after })
        .await?;
    let next = page.next.map(|(fired_at, id)| format!("{fired_at}.{id}"));
    Ok(Json(json!({ "alerts": page.alerts, "next": next })))
}

async fn show(State(alerting): State<Arc<Alerting>>, Path(id): Path<String>) -> Result<Json<Alert>, Problem> {
    alerting
        .decisions
        .alert(&id)
        .await?
        .map(Json)
        .ok_or_else(no_such_alert)
}

async fn acknowledge(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Alert>, Problem> {
    alerting
        .acknowledge(&id, &caller.deed("alerts.ack"))
        .await?
        .map(Json)
        .ok_or_else(no_such_alert)
}

fn no_such_alert() -> Problem {
    Problem::not_found("there is no alert of this id; GET /v1/alerts lists them")
}

fn read_state(name: &str) -> Result<AlertState, Problem> {
    AlertState::from_name(name).ok_or_else(|| {
        Problem::bad_request(format!(
            "`state` is \"{name}\"; allowed: pending, firing, acknowledged, resolved"
        ))
    })
}

fn read_token(token: &str) -> Result<(i64, String), Problem> {
    token
        .split_once('.')
        .and_then(|(fired_at, id)| Some((fired_at.parse().ok()?, id.to_owned())))
        .ok_or_else(|| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
}
