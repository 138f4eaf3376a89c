//! `/v1/keys`: make, list and revoke keys.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::{delete, get};
use axum::{Json, Router};
use riskgrid_ingest::grid::GridReader;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::access::access::Access;
use crate::access::new_key::{NewKey, Rights};
use crate::access::store::KeyError;
use crate::http::extract::{JsonBody, Parameters};
use crate::http::forwarded::External;
use crate::problem::Problem;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// The routes under `/v1/keys`.
pub(super) fn routes(access: Arc<Access>, reader: GridReader) -> Router {
    Router::new()
        .route("/v1/keys", get(list).post(create))
        .route("/v1/keys/{id}", delete(revoke))
        .with_state(Shared { access, reader })
}

/// Keys, and the grid that tells which layers and areas there are.
#[derive(Clone)]
struct Shared {
    access: Arc<Access>,
    reader: GridReader,
}

type Created = (StatusCode, [(HeaderName, String); 1], Json<Value>);

async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    external: External,
    JsonBody(new): JsonBody<NewKey>,
) -> Result<Created, Problem> {
    let draft = new.check().map_err(|unfit| {
        let errors = json!([{"field": unfit.member, "problem": unfit.problem}]);
        Problem::unprocessable(unfit.to_string()).with("errors", errors)
    })?;
    if let Rights::Given(grant) = &draft.rights {
        let snapshot = shared.reader.snapshot();
        let known = grant.scope.check(&snapshot.layers, &snapshot.places.areas);
        known.map_err(|unknown| Problem::unprocessable(unknown.to_string()))?;
    }
    let made = shared.access.create_key(draft, &caller.deed("keys.create")).await;
    let (key, made) = made.map_err(|error| match error {
        // There it is what was sent that names none.
        KeyError::Unknown(_) => Problem::unprocessable(format!("`replaces`: {error}")),
        other => other.into(),
    })?;
    let mut body = made.row.shown(made.last_used());
    body["key"] = json!(key.reveal());
    let location = [(
        header::LOCATION,
        format!("{}/v1/keys/{}", external.base, key.id()),
    )];
    Ok((StatusCode::CREATED, location, Json(body)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    limit: Option<usize>,
    after: Option<String>,
}

async fn list(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    let keys = shared.access.keys.all();
    let begin = match &parameters.after {
        None => 0,
        Some(after) => keys
            .iter()
            .position(|key| key.row.id == *after)
            .map(|place| place + 1)
            .ok_or_else(|| {
                Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged")
            })?,
    };
    let page: Vec<_> = keys.iter().skip(begin).take(limit).collect();
    let next = page
        .last()
        .filter(|_| begin + page.len() < keys.len())
        .map(|key| key.row.id.clone());
    let page: Vec<Value> = page
        .into_iter()
        .map(|key| key.row.shown(key.last_used()))
        .collect();
    Ok(Json(json!({ "keys": page, "next": next })))
}

async fn revoke(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.access.revoke_key(&id, &caller.deed("keys.revoke")).await?;
    Ok(StatusCode::NO_CONTENT)
}
