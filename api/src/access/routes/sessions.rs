//! `/v1/sessions`: list the browsers that are signed in, and end a session.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::State;
use crate::access::Caller;
use crate::access::access::Access;
use crate::problem::Problem;

/// The routes under `/v1/sessions`.
pub(super) fn routes(access: Arc<Access>) -> Router {
    Router::new()
        .route("/v1/sessions", get(list))
        .route("/v1/sessions/{id}", delete(end))
        .with_state(access)
}

async fn list(access: State) -> Json<Value> {
    let sessions = access.sessions.open(access.now());
    let time = |micros| EventTime::from_micros(micros).to_string();
    let shown = sessions.iter().map(|session| {
        json!({
            "id": session.id,
            "who": session.who,
            "role": session.role,
            "layers": session.scope.layers,
            "areas": session.scope.areas,
            "address": session.address,
            "created": time(session.created_at),
            "last_used": time(session.seen_at()),
            "expires": time(session.ends_at()),
        })
    });
    Json(json!({ "sessions": shown.collect::<Vec<_>>() }))
}

async fn end(access: State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let open = access.sessions.open(access.now());
    let session = open.iter().find(|session| session.id == id).ok_or_else(|| {
        Problem::not_found("there is no open session of this id; GET /v1/sessions lists them")
    })?;
    let deed = caller
        .deed("sessions.end")
        .to(&id)
        .with(json!({"who": session.who}));
    access.end_session(session, &deed).await?;
    Ok(StatusCode::NO_CONTENT)
}
