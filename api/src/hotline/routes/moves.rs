//! `POST /v1/cases/{id}/moves`, and the moves that there were.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::asked::{json_of, version_asked, versioned};
use super::cases::seen_case;
use crate::hotline::desk::{Desk, MoveBody, MoveRequest, Officer, read_key, shown_move};
use crate::hotline::store::moves_of;
use crate::http::forwarded::External;
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/cases/{id}/moves", get(list).post(make))
        .with_state(desk)
}

async fn list(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    seen_case(&desk, &officer, &id).await?;
    let mut reader = desk.reader().await?;
    let moves = moves_of(&mut reader, &id).await?;
    let shown: Vec<Value> = moves.iter().map(|row| shown_move(&desk, row)).collect();
    Ok(Json(json!({ "moves": shown })))
}

#[allow(clippy::too_many_arguments, reason = "what a request is made of")]
async fn make(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    external: External,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = MoveBody::read(&json_of(&headers, &body)?)?;
    let once = read_key(&headers, (&method, uri.path()), &body)?;
    let request = MoveRequest {
        officer: &officer,
        id: &id,
        body: &said,
        expected: version_asked(&headers),
        once,
    };
    let mut moved = desk.make_move(request).await?;
    if let Some(token) = moved.body.get("rating_link").and_then(Value::as_str) {
        moved.body["rating_link"] = json!(format!("{}/r/{token}", external.base));
    }
    Ok(versioned(
        StatusCode::OK,
        moved.version,
        moved.body,
        moved.is_replay,
    ))
}
