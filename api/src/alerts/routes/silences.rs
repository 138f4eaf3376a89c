//! `/v1/silences`: make, list, show and end silences, and look at what one would hide.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::permission::Permission;
use riskgrid_ingest::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::is_seen;
use crate::access::{Caller, Reads};
use crate::alerts::Alerting;
use crate::alerts::silence::{InvalidSilence, SilenceRequest};
use crate::alerts::store::{SilencePlace, StoredSilence};
use crate::http::extract::{JsonBody, Parameters};
use crate::http::forwarded::External;
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The routes under `/v1/silences`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/silences", get(list).post(create))
        .route("/v1/silences/{id}", get(show).delete(end))
        .with_state(state)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateParameters {
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    limit: Option<u32>,
    after: Option<String>,
}

async fn create(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    external: External,
    Parameters(parameters): Parameters<CreateParameters>,
    JsonBody(request): JsonBody<SilenceRequest>,
) -> Result<Response, Problem> {
    let (now, deed) = ((alerting.clock)(), caller.deed("silences.create"));
    let silence = request
        .accept(
            &deed.who,
            EventTime::from_micros(now),
            alerting.decisions.places(),
        )
        .map_err(|invalid| invalid_silence(&invalid))?;
    if !silence.is_within(&seen) {
        return Err(Problem::forbidden(
            "the silence would hide what is not yours to see; name in `match.layer` layers of your scope, and in \
             `place.area` an area of it",
        ));
    }
    if parameters.dry_run == Some(true) {
        let preview = alerting
            .decisions
            .preview_silence(&silence, now, |alert| is_seen(&seen, alert))
            .await?;
        return Ok(Json(preview).into_response());
    }
    let stored = alerting.decisions.create_silence(silence, now, &deed).await?;
    let location: [(HeaderName, String); 1] = [(
        header::LOCATION,
        format!("{}/v1/silences/{}", external.base, stored.id),
    )];
    let shown = Json(stored.shown(EventTime::from_micros(now)));
    Ok((StatusCode::CREATED, location, shown).into_response())
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
    let mut after = parameters.after.as_deref().map(read_token).transpose()?;
    let now = EventTime::from_micros((alerting.clock)());
    let mut shown: Vec<StoredSilence> = Vec::new();
    let more = loop {
        let (silences, next) = alerting.decisions.silences(after.as_ref(), limit).await?;
        let seen_ones = silences
            .into_iter()
            .filter(|stored| stored.silence.is_within(&seen));
        shown.extend(seen_ones);
        match next {
            Some(next) if shown.len() < limit as usize => after = Some(next),
            next => break next.is_some(),
        }
    };
    let is_cut = shown.len() > limit as usize;
    shown.truncate(limit as usize);
    let last = shown.last().filter(|_| more || is_cut);
    let next = last.map(|stored| format!("{}.{}", stored.created_at, stored.id));
    let shown: Vec<Value> = shown.iter().map(|stored| stored.shown(now)).collect();
    Ok(Json(json!({ "silences": shown, "next": next })))
}

async fn show(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now = EventTime::from_micros((alerting.clock)());
    seen_silence(&alerting, &seen, &id)
        .await
        .map(|stored| Json(stored.shown(now)))
}

async fn end(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    seen_silence(&alerting, &seen, &id).await?;
    let (now, deed) = ((alerting.clock)(), caller.deed("silences.delete"));
    if alerting.decisions.end_silence(&id, now, &deed).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_silence())
    }
}

async fn seen_silence(alerting: &Alerting, seen: &Permission, id: &str) -> Result<StoredSilence, Problem> {
    let silence = alerting.decisions.silence(id).await?;
    silence
        .filter(|stored| stored.silence.is_within(seen))
        .ok_or_else(no_such_silence)
}

fn no_such_silence() -> Problem {
    Problem::not_found("there is no silence of this id; GET /v1/silences lists them")
}

fn invalid_silence(invalid: &InvalidSilence) -> Problem {
    let InvalidSilence {
        field,
        problem,
        allowed,
    } = invalid;
    let errors = vec![json!({"field": field, "found": problem, "allowed": allowed})];
    Problem::unprocessable(invalid.to_string()).with("errors", errors)
}

fn read_token(token: &str) -> Result<SilencePlace, Problem> {
    token
        .split_once('.')
        .and_then(|(created_at, id)| Some((created_at.parse().ok()?, id.to_owned())))
        .ok_or_else(|| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
}
