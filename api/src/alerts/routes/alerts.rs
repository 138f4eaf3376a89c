//! `/v1/alerts`: list and show alerts, take them and give them back.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use h3o::{CellIndex, Resolution};
use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_analytics::rules::{Audience, Pending, Severity};
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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    state: Option<String>,
    severity: Option<String>,
    rule: Option<String>,
    layer: Option<String>,
    kind: Option<String>,
    group: Option<String>,
    incident: Option<String>,
    area: Option<String>,
    sensor: Option<String>,
    cell: Option<String>,
    from: Option<String>,
    to: Option<String>,
    held: Option<bool>,
    limit: Option<u32>,
    after: Option<String>,
}

impl ListParameters {
    fn into_query(self, seen: &Permission, limit: u32) -> Result<AlertQuery, Problem> {
        let states = self.state.as_deref().map(|names| each(names, read_state));
        let severities = self.severity.as_deref().map(|names| each(names, read_severity));
        let time = |name: &str, text: Option<String>| {
            text.map(|text| {
                let time = EventTime::parse_rfc3339(&text).map(EventTime::micros);
                time.ok_or_else(|| wrong(name, &text, "a time as 2026-11-22T08:00:00Z"))
            })
            .transpose()
        };
        Ok(AlertQuery {
            states: states.transpose()?.unwrap_or_default(),
            is_public: seen.role() == Role::Public,
            severities: severities.transpose()?.unwrap_or_default(),
            rule: self.rule,
            layer: self.layer,
            kind: self.kind,
            group: self.group,
            incident: self.incident,
            area: self.area,
            sensor: self.sensor,
            cells: self.cell.as_deref().map(cells_within).transpose()?,
            from: time("from", self.from)?,
            to: time("to", self.to)?,
            held: self.held,
            limit,
            after: self.after.as_deref().map(read_token).transpose()?,
        })
    }
}

/// Each of some names with commas between.
fn each<T>(names: &str, read: fn(&str) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    names.split(',').map(|name| read(name.trim())).collect()
}

fn wrong(name: &str, found: &str, allowed: &str) -> Problem {
    let found: String = found.chars().take(80).collect();
    Problem::bad_request(format!("`{name}` is \"{found}\"; allowed: {allowed}"))
}

fn read_severity(name: &str) -> Result<String, Problem> {
    let known = Severity::from_name(name).map(|severity| severity.name().to_owned());
    known.ok_or_else(|| wrong("severity", name, "minor, moderate, major, critical"))
}

/// The indexes of a cell and of all cells within, by resolution: those of one resolution are one range.
fn cells_within(text: &str) -> Result<Vec<(u64, u64)>, Problem> {
    let cell: CellIndex = text
        .parse()
        .map_err(|_| wrong("cell", text, "an H3 cell as 89411ca1b27ffff"))?;
    let resolutions = Resolution::range(cell.resolution(), Resolution::Fifteen);
    let ranges = resolutions.map(|resolution| {
        let children = riskgrid_ingest::grid::children_range(cell, resolution);
        (children.start, children.end - 1)
    });
    Ok(ranges.collect())
}

async fn list(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    // Pending instances are the evaluators' own until they fire: none is an alert yet.
    if parameters.state.as_deref() == Some("pending") {
        let of_others = ListParameters {
            state: None,
            ..parameters
        };
        let query = of_others.into_query(&seen, limit)?;
        let pending = alerting.pending.all();
        let pending = pending.iter().filter(|one| is_pending_wanted(one, &query, &seen));
        let pending: Vec<Value> = pending.take(limit as usize).map(pending_shown).collect();
        return Ok(Json(json!({ "alerts": pending, "next": null })));
    }
    let mut query = parameters.into_query(&seen, limit)?;
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

fn is_pending_wanted(pending: &Pending, query: &AlertQuery, seen: &Permission) -> bool {
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
    };
    let severity = pending.severity.name();
    let of_rule = query
        .rule
        .as_deref()
        .is_none_or(|rule| rule == pending.rule || rule == pending.rule_id);
    let in_cell = query.cells.as_ref().is_none_or(|ranges| {
        let cell = pending.cell;
        cell.is_some_and(|cell| {
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&cell))
        })
    });
    is_alert_seen(seen, (pending.layer.as_deref(), pending.cell), Audience::Staff)
        && of_rule
        && in_cell
        && is(&query.layer, pending.layer.as_deref())
        && is(&query.kind, Some(pending.kind))
        && is(&query.sensor, pending.sensor.as_deref())
        && (query.severities.is_empty() || query.severities.iter().any(|wanted| wanted == severity))
}

fn pending_shown(pending: &Pending) -> Value {
    json!({"id": null, "rule": pending.rule, "rule_id": pending.rule_id, "state": "pending",
        "severity": pending.severity, "layer": pending.layer, "kind": pending.kind, "instance": pending.instance,
        "sensor": pending.sensor, "cell": pending.cell.map(|cell| format!("{cell:x}")), "value": pending.value,
        "at": pending.at.to_string(), "since": pending.since.to_string(), "due": pending.due.to_string()})
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

pub(super) fn read_text(field: &str, text: Option<String>, most: usize) -> Result<Option<String>, Problem> {
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
