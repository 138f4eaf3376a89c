//! `/v1/cases/{id}/contact/reveal`, and holding back what would be erased.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use riskgrid_analytics::hotline::moves::{Duty, State as CaseState};
use serde_json::{Map, Value, json};

use super::asked::json_of;
use super::cases::seen_case;
use crate::hotline::desk::{Desk, Officer, members};
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/cases/{id}/contact/reveal", post(reveal))
        .route("/v1/cases/{id}/hold", post(hold))
        .with_state(desk)
}

/// Why somebody may be called.
const PURPOSES: [&str; 3] = ["call_back", "inquire", "visit"];

async fn reveal(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = members(&json_of(&headers, &body)?, "the body", &["purpose"])?;
    let case = seen_case(&desk, &officer, &id).await?;
    officer.must_be(&[Duty::Operator, Duty::Handler])?;
    let is_operator = officer.has_one_of(&[Duty::Operator]);
    let is_with_office = matches!(case.state()?, CaseState::Dispatched | CaseState::Handling);
    let failed = |error| Problem::internal(&error);
    let is_confidential = desk.contacts.is_confidential(&id).await.map_err(failed)?;
    if !is_operator && (!is_with_office || is_confidential == Some(true)) {
        return Err(Problem::forbidden(
            "handlers see whom to call while their office has the case, and not where the caller wants it kept from them; ask \
             an operator of the hotline",
        ));
    }
    let purpose = said.get("purpose").and_then(Value::as_str).unwrap_or_default();
    if !PURPOSES.contains(&purpose) {
        return Err(Problem::unprocessable(format!(
            "`purpose` is one of {}",
            PURPOSES.join(", ")
        )));
    }
    desk.reveals.ask(officer.who()).map_err(|seconds| {
        let detail = "contacts are revealed 60 times an hour at most; ask again later";
        Problem::too_many_requests(detail, seconds)
    })?;
    if is_confidential.is_none() {
        return Err(Problem::not_found("the case has no contact, or not any more"));
    }
    let deed = officer
        .caller
        .deed("cases.contact.reveal")
        .to(&id)
        .with(json!({"purpose": purpose}));
    desk.database.audit(&deed, (desk.clock)()).await?;
    let contact = desk.contacts.reveal(&id).await.map_err(failed)?;
    let contact = contact.ok_or_else(|| Problem::not_found("the case has no contact any more"))?;
    let mut shown: Map<String, Value> = contact.members;
    shown.insert("confidential".to_owned(), json!(contact.is_confidential));
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Json(Value::Object(shown))).into_response())
}

async fn hold(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let body = json_of(&headers, &body)?;
    let hold = match body.as_object() {
        Some(members) if members.len() == 1 => members.get("hold").and_then(Value::as_bool),
        _ => None,
    };
    let hold =
        hold.ok_or_else(|| Problem::bad_request("the body is {\"hold\": true} or {\"hold\": false}"))?;
    let case = seen_case(&desk, &officer, &id).await?;
    officer.must_be(&[])?;
    let deed = officer
        .caller
        .deed("cases.hold")
        .to(&id)
        .with(json!({"hold": hold}));
    desk.hold(&case, hold, &deed).await?;
    Ok(StatusCode::NO_CONTENT)
}
