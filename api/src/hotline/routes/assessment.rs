//! `/v1/assessment/{month}`, and what of it everybody may know.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::hotline::assessment::Month;
use serde::Deserialize;
use serde_json::Value;

use crate::hotline::desk::{Desk, Officer};
use crate::http::extract::Parameters;
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/assessment/{month}", get(assessment))
        .route("/v1/public/rates/{month}", get(public_rates))
        .with_state(desk)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    restated: bool,
}

fn read(month: &str) -> Result<Month, Problem> {
    Month::parse(month).ok_or_else(|| Problem::bad_request("a month is written as 2026-03"))
}

async fn assessment(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(month): Path<String>,
    Parameters(asked): Parameters<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let month = read(&month)?;
    let seen = desk.month_seen_by(&officer, month, asked.restated).await?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let by_accept = [(header::VARY, "accept")];
    if accept.is_some_and(|text| text.contains("text/csv")) {
        let media_type = [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")];
        return Ok((by_accept, media_type, seen.csv(month)).into_response());
    }
    Ok((by_accept, Json(seen.shown(&desk))).into_response())
}

async fn public_rates(
    State(desk): State<Arc<Desk>>,
    Path(month): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(desk.public_rates(read(&month)?).await?))
}
