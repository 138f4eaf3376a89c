//! `GET /v1/audit`: who did what, newest first, and what the oldest row hangs on.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::database::Database;
use crate::http::extract::Parameters;
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The route.
pub fn routes(database: Database) -> Router {
    Router::new().route("/v1/audit", get(list)).with_state(database)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    limit: Option<u32>,
    after: Option<i64>,
}

async fn list(
    State(database): State<Database>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    let before = parameters.after.unwrap_or(i64::MAX);
    let mut rows = database.audit_rows(before, limit + 1).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| has_more).map(|row| row.seq);
    // After the rows: what was trimmed meanwhile is seen by who verifies, and not the other way round.
    let base = database.audit_base().await?;
    Ok(Json(json!({ "audit": rows, "next": next, "base": base })))
}
