//! `/v1/mode`: which areas are in emergency.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::permission::Permission;
use riskgrid_ingest::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::read_text;
use crate::access::{Caller, Reads};
use crate::alerts::Alerting;
use crate::alerts::store::{Mode, rfc3339};
use crate::http::extract::JsonBody;
use crate::problem::Problem;

/// How far ahead a mode may end, µs.
const LONGEST: i64 = 30 * 24 * 3_600 * 1_000_000;

/// The routes of `/v1/mode`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/mode", get(show).put(set))
        .with_state(state)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    mode: String,
    area: String,
    until: Option<String>,
    reason: Option<String>,
}

async fn show(State(alerting): State<Arc<Alerting>>, Reads(seen): Reads) -> Result<Json<Value>, Problem> {
    shown(&alerting, &seen).await
}

/// The modes of the areas that are seen; an area that is not among them is normal.
async fn shown(alerting: &Alerting, seen: &Permission) -> Result<Json<Value>, Problem> {
    let mut modes = alerting.decisions.modes((alerting.clock)()).await?;
    modes.retain(|mode| seen.admits_area(&mode.area));
    let is_emergency = modes.iter().any(|mode| mode.mode == "emergency");
    let mode = if is_emergency { "emergency" } else { "normal" };
    Ok(Json(json!({ "mode": mode, "areas": modes })))
}

async fn set(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    JsonBody(body): JsonBody<ModeBody>,
) -> Result<Json<Value>, Problem> {
    let now = (alerting.clock)();
    if !matches!(body.mode.as_str(), "normal" | "emergency") {
        let found: String = body.mode.chars().take(40).collect();
        return Err(Problem::unprocessable(format!(
            "`mode` is \"{found}\"; allowed: normal, emergency"
        )));
    }
    let is_known = alerting.decisions.places().areas.get(&body.area).is_some();
    if !is_known || !seen.admits_area(&body.area) {
        let found: String = body.area.chars().take(80).collect();
        return Err(Problem::unprocessable(format!(
            "`area` is \"{found}\", and no area of this id is loaded; GET /v1/areas lists them"
        )));
    }
    let until = body
        .until
        .as_deref()
        .map(|text| read_until(text, now))
        .transpose()?;
    let deed = caller.deed("mode.set");
    let mode = Mode {
        area: body.area,
        mode: body.mode,
        until,
        reason: read_text("reason", body.reason, 2_000)?,
        by: deed.who.clone(),
        since: now,
    };
    alerting.decisions.set_mode(&mode, &deed).await?;
    shown(&alerting, &seen).await
}

fn read_until(text: &str, now: i64) -> Result<i64, Problem> {
    let latest = now.saturating_add(LONGEST);
    let until = EventTime::parse_rfc3339(text).map(EventTime::micros);
    until.filter(|until| (now..=latest).contains(until)).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Problem::unprocessable(format!(
            "`until` is \"{shown}\"; allowed: a time as {}, not past and at most 30 days ahead, or nothing",
            rfc3339(latest)
        ))
    })
}
