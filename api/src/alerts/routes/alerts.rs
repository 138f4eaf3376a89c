//! `/v1/alerts`: list and show alerts, take them and give them back.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_ingest::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{Caller, Reads};
use crate::alerts::Alerting;
use crate::alerts::store::{Alert, AlertQuery, AlertState, PublicAlert, Terms, rfc3339};
use crate::alerts::table::is_alert_seen;
use crate::http::extract::{OptionalJsonBody, Parameters};
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;
/// How far ahead an acknowledgement may end, µs: nobody takes an alert for a holiday.
const LONGEST_ACKNOWLEDGEMENT: i64 = 7 * 24 * 3_600 * 1_000_000;

/// The routes under `/v1/alerts`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/alerts", get(list))
        .route("/v1/alerts/{id}", get(show))
        .route("/v1/alerts/{id}/ack", post(acknowledge))
        .route("/v1/alerts/{id}/unack", post(unacknowledge))
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
    Reads(seen): Reads,
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
    let mut query = AlertQuery {
        state,
        is_public: seen.role() == Role::Public,
        limit,
        after,
    };
    let mut alerts: Vec<Alert> = Vec::new();
    let more = loop {
        let page = alerting.decisions.alerts(&query).await?;
        alerts.extend(page.alerts.into_iter().filter(|alert| is_seen(&seen, alert)));
        match page.next {
            Some(next) if alerts.len() < limit as usize => query.after = Some(next),
            next => break next.is_some(),
        }
    };
    let is_cut = alerts.len() > limit as usize;
    alerts.truncate(limit as usize);
    let last = alerts.last().filter(|_| more || is_cut);
    let next = last.map(|alert| format!("{}.{}", alert.fired_at, alert.id));
    let alerts = alerts.iter().map(|alert| shown(&seen, alert));
    let alerts: Vec<Value> = alerts.collect::<Result<_, _>>()?;
    Ok(Json(json!({ "alerts": alerts, "next": next })))
}

pub(super) fn is_seen(seen: &Permission, alert: &Alert) -> bool {
    is_alert_seen(seen, (alert.layer.as_deref(), alert.cell), alert.audience)
}

/// What of an alert is shown to who sees it.
fn shown(seen: &Permission, alert: &Alert) -> Result<Value, Problem> {
    let shown = if seen.role() == Role::Public {
        serde_json::to_value(PublicAlert::from(alert))
    } else {
        serde_json::to_value(alert)
    };
    shown.map_err(|error| Problem::internal(&error))
}

/// The alert of an id, if it is seen.
async fn seen_alert(alerting: &Alerting, seen: &Permission, id: &str) -> Result<Alert, Problem> {
    let alert = alerting.decisions.alert(id).await?;
    alert
        .filter(|alert| is_seen(seen, alert))
        .ok_or_else(no_such_alert)
}

async fn show(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let alert = seen_alert(&alerting, &seen, &id).await?;
    shown(&seen, &alert).map(Json)
}

/// On which terms somebody takes an alert or gives it back; a request without a body says nothing of it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TermsBody {
    by: Option<String>,
    comment: Option<String>,
    until: Option<String>,
}

async fn acknowledge(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<TermsBody>,
) -> Result<Json<Alert>, Problem> {
    seen_alert(&alerting, &seen, &id).await?;
    let deed = caller.deed("alert.ack");
    let terms = read_terms(body.unwrap_or_default(), &deed.who, (alerting.clock)())?;
    alerting
        .acknowledge(&id, &terms, &deed)
        .await?
        .map(Json)
        .ok_or_else(no_such_alert)
}

async fn unacknowledge(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<TermsBody>,
) -> Result<Json<Alert>, Problem> {
    seen_alert(&alerting, &seen, &id).await?;
    let body = body.unwrap_or_default();
    if body.until.is_some() {
        return Err(Problem::unprocessable(
            "`until` means nothing here; allowed: `by`, `comment`",
        ));
    }
    let deed = caller.deed("alert.unack");
    let terms = read_terms(body, &deed.who, (alerting.clock)())?;
    alerting
        .unacknowledge(&id, &terms, &deed)
        .await?
        .map(Json)
        .ok_or_else(no_such_alert)
}

pub(super) fn read_terms(body: TermsBody, author: &str, now: i64) -> Result<Terms, Problem> {
    let until = body
        .until
        .as_deref()
        .map(|text| read_until(text, now))
        .transpose()?;
    Ok(Terms {
        by: read_text("by", body.by, 128)?.unwrap_or_else(|| author.to_owned()),
        comment: read_text("comment", body.comment, 2_000)?,
        until,
    })
}

fn read_text(field: &str, text: Option<String>, most: usize) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim();
    let length = text.chars().count();
    if (1..=most).contains(&length) {
        return Ok(Some(text.to_owned()));
    }
    Err(Problem::unprocessable(format!(
        "`{field}` has {length} characters; allowed: 1 to {most}"
    )))
}

fn read_until(text: &str, now: i64) -> Result<i64, Problem> {
    let latest = now.saturating_add(LONGEST_ACKNOWLEDGEMENT);
    let until = EventTime::parse_rfc3339(text).map(EventTime::micros);
    until.filter(|until| (now..=latest).contains(until)).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Problem::unprocessable(format!(
            "`until` is \"{shown}\"; allowed: a time as {}, not past and at most 7 days ahead, or nothing",
            rfc3339(latest)
        ))
    })
}

fn no_such_alert() -> Problem {
    Problem::not_found("there is no alert of this id; GET /v1/alerts lists them")
}

fn read_state(name: &str) -> Result<AlertState, Problem> {
    AlertState::from_name(name).ok_or_else(|| {
        Problem::bad_request(format!(
            "`state` is \"{name}\"; allowed: pending, firing, acknowledged, resolved, expired"
        ))
    })
}

fn read_token(token: &str) -> Result<(i64, String), Problem> {
    token
        .split_once('.')
        .and_then(|(fired_at, id)| Some((fired_at.parse().ok()?, id.to_owned())))
        .ok_or_else(|| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
}
