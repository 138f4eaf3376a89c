//! `/v1/duty`, `/v1/calendars/{id}` and `/v1/hotline/rules`: read, and put as a new version.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use riskgrid_analytics::hotline::moves::Duty;
use serde_json::{Value, json};

use super::asked::{json_of, version_asked, versioned};
use crate::hotline::desk::{DatumName, Desk, Officer};
use crate::http::{tagged, version_tag};
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/duty", get(show_duty).put(put_duty))
        .route("/v1/duty/preview", post(preview))
        .route("/v1/hotline/rules", get(show_rules).put(put_rules))
        .route("/v1/calendars/{id}", get(show_calendar).put(put_calendar))
        .with_state(desk)
}

fn calendar(id: String) -> Result<DatumName, Problem> {
    let is_id = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_id {
        Ok(DatumName::Calendar(id))
    } else {
        Err(Problem::bad_request(
            "the id of a calendar has 1 to 64 letters and digits of ASCII, `_`, `-` and `.`",
        ))
    }
}

fn show(desk: &Desk, name: &DatumName, headers: &HeaderMap) -> Result<Response, Problem> {
    let data = desk.data();
    let (version, body) = match (data.get(name), name) {
        (Some((version, body)), _) => (version, body.clone()),
        (None, DatumName::Duty) => (0, json!({"rows": []})),
        (None, DatumName::Rules) => (0, json!({"name": "none", "rules": []})),
        (None, DatumName::Calendar(_)) => {
            return Err(Problem::not_found(
                "there is no calendar of this id; put one with If-Match: \"0\"",
            ));
        }
    };
    Ok(tagged(headers, &version_tag(version), Json(body)))
}

async fn put(
    desk: &Desk,
    officer: &Officer,
    name: &DatumName,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let body: Value = json_of(headers, body)?;
    officer.must_be(&[])?;
    let expected = version_asked(headers)?;
    let deed = officer.caller.deed("hotline.put");
    let version = desk.put_datum(name, body, expected, &deed).await?;
    Ok(versioned(
        StatusCode::OK,
        version,
        json!({"version": version}),
        false,
    ))
}

async fn show_duty(
    State(desk): State<Arc<Desk>>,
    _officer: Officer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&desk, &DatumName::Duty, &headers)
}

async fn put_duty(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    put(&desk, &officer, &DatumName::Duty, &headers, &body).await
}

async fn preview(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let mut body: Value = json_of(&headers, &body)?;
    let redispatch = match body
        .as_object_mut()
        .and_then(|members| members.remove("redispatch"))
    {
        None => false,
        Some(Value::Bool(redispatch)) => redispatch,
        Some(_) => return Err(Problem::bad_request("`redispatch` is true or false")),
    };
    if !body.is_object() {
        return Err(Problem::bad_request(
            "the body is that of PUT /v1/duty, with `redispatch` perhaps",
        ));
    }
    officer.must_be(&[Duty::Dispatcher])?;
    let preview = desk.preview_duty(body, redispatch, officer.who(), |case| officer.sees(case));
    Ok(Json(preview.await?))
}

async fn show_rules(
    State(desk): State<Arc<Desk>>,
    _officer: Officer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&desk, &DatumName::Rules, &headers)
}

async fn put_rules(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    put(&desk, &officer, &DatumName::Rules, &headers, &body).await
}

async fn show_calendar(
    State(desk): State<Arc<Desk>>,
    _officer: Officer,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&desk, &calendar(id)?, &headers)
}

async fn put_calendar(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let name = calendar(id)?;
    put(&desk, &officer, &name, &headers, &body).await
}
