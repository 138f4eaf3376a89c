//! `POST /v1/events`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use riskgrid_ingest::Refusal;

use crate::access::Caller;
use crate::app::App;
use crate::http::event_headers::binary_attributes;
use crate::http::{HeldBody, media_type};
use crate::intake::{IntakeAnswer, NotTaken, Posted, RefusedEvent, RequestForm};
use crate::problem::Problem;

/// The route.
pub fn routes(app: Arc<App>) -> Router {
    Router::new().route("/v1/events", post(take)).with_state(app)
}

/// 202 once what was accepted is durable; 400 with the same body when everything was refused.
async fn take(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    held: Option<Extension<HeldBody>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let bringer = caller.identity.ingest.clone();
    let bringer = bringer.ok_or_else(|| Problem::forbidden("this needs the right `ingest`"))?;
    if let Err(seconds) = bringer.ask(Instant::now()) {
        let detail =
            "this key brings more events or bytes a second than it may; nothing of this request is kept";
        app.access.count_refusal("quota");
        return Err(Problem::quota(detail, seconds));
    }
    let form = match request_form(&headers)? {
        Ok(form) => form,
        Err(refusal) => return Ok(all_refused(refusal)),
    };
    let posted = Posted {
        form,
        body,
        held: held.map(|Extension(held)| held),
    };
    let answer = match app.intake.take(posted, bringer, (app.clock)()).await {
        Ok(answer) => answer,
        // The body cannot be told into events: it is one refused event.
        Err(NotTaken::Body(refusal)) => return Ok(all_refused(refusal)),
        Err(NotTaken::ForbiddenSource { index, detail }) => {
            app.access.refused(&caller, "forbidden-source", "/v1/events");
            return Err(Problem::forbidden_source(detail).with("index", index));
        }
        Err(error @ NotTaken::Unavailable(_)) => {
            let detail = format!("{error}. Nothing of this request is kept; send it again");
            return Err(Problem::unavailable(detail, 5));
        }
        Err(error @ NotTaken::Defect(_)) => return Err(Problem::internal(&error)),
    };
    if let Some(total) = answer.refused_total {
        let untold = total.saturating_sub(answer.refused.len());
        app.http_counters.untold.inc_by(untold as u64);
    }
    let status = if answer.accepted == 0 && !answer.refused.is_empty() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(answer)).into_response())
}

fn all_refused(refusal: Refusal) -> Response {
    let refused = vec![RefusedEvent {
        index: 0,
        reason: refusal.reason,
        detail: refusal.detail,
    }];
    let answer = IntakeAnswer {
        accepted: 0,
        refused,
        refused_total: None,
    };
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}

/// How the body holds its events, as its head says; a refusal when that is an event in binary mode that cannot be read.
fn request_form(headers: &HeaderMap) -> Result<Result<RequestForm, Refusal>, Problem> {
    const TAKEN: &str = "send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, or \
         application/json with ce- headers (binary mode) or a structured event";
    let media_type = media_type(headers)?.ok_or_else(|| Problem::unsupported_media_type(TAKEN))?;
    if !media_type.starts_with("application/cloudevents") {
        match binary_attributes(headers) {
            Ok(attributes) if !attributes.is_present() => {}
            Ok(attributes) => return Ok(Ok(RequestForm::Binary(attributes.into_owned()))),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    match media_type.as_str() {
        "application/cloudevents+json" | "application/json" => Ok(Ok(RequestForm::Structured)),
        "application/cloudevents-batch+json" => Ok(Ok(RequestForm::Batch)),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Ok(RequestForm::Lines)),
        other => Err(Problem::unsupported_media_type(format!(
            "`{other}` is not taken; {TAKEN}"
        ))),
    }
}
