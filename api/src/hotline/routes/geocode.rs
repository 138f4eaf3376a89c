//! `/v1/geocode`: which places of the table an address may mean.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use crate::hotline::desk::{Desk, Officer};
use crate::http::extract::Parameters;
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new().route("/v1/geocode", get(find)).with_state(desk)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    q: String,
}

async fn find(
    State(desk): State<Arc<Desk>>,
    _officer: Officer,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Value>, Problem> {
    if asked.q.trim().is_empty() {
        return Err(Problem::bad_request("`q` is empty; send an address in it"));
    }
    // In a URL it is part of how the question is put.
    let found = desk.geocode(&asked.q);
    found
        .map(Json)
        .map_err(|problem| Problem::bad_request(format!("`q`: {}", problem.detail())))
}
