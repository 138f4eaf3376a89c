//! `POST /v1/events`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use riskgrid_ingest::Refusal;
use riskgrid_ingest::decode::cloudevent::BinaryAttributes;

use crate::app::App;
use crate::intake::{IntakeAnswer, RefusedEvent, RequestForm, split_body, structured_from_binary};
use crate::problem::Problem;

/// The route.
pub fn routes(app: Arc<App>) -> Router {
    Router::new().route("/v1/events", post(take)).with_state(app)
}

/// 202 once what was accepted is durable; 400 with the same body when everything was refused.
async fn take(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let media_type = media_type(&headers)?;
    let attributes = binary_attributes(&headers);
    let events = if attributes.is_present() && !media_type.starts_with("application/cloudevents") {
        structured_from_binary(&attributes, &body).map(|event| vec![Cow::Owned(event)])
    } else {
        split_body(request_form(&media_type)?, &body)
    };
    let events = match events {
        Ok(events) => events,
        // The body cannot be told into events: it is one refused event.
        Err(refusal) => return Ok(all_refused(refusal)),
    };
    let answer = app.intake.take(events, (app.clock)()).await.map_err(|error| {
        Problem::unavailable(
            format!("{error}. Nothing of this request is kept; send it again"),
            5,
        )
    })?;
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
    (
        StatusCode::BAD_REQUEST,
        Json(IntakeAnswer { accepted: 0, refused }),
    )
        .into_response()
}

fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let unsupported = || {
        Problem::unsupported_media_type(
            "send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, \
             or application/json with ce- headers (binary mode) or a structured event",
        )
    };
    let value = headers.get(header::CONTENT_TYPE).ok_or_else(unsupported)?;
    let text = value.to_str().map_err(|_| unsupported())?;
    let media_type = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if let Some(charset) = text
        .split(';')
        .skip(1)
        .find_map(|part| part.trim().strip_prefix("charset="))
        && !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
    {
        return Err(Problem::unsupported_media_type(
            "events are UTF-8; leave charset out or say utf-8",
        ));
    }
    Ok(media_type)
}

fn request_form(media_type: &str) -> Result<RequestForm, Problem> {
    match media_type {
        "application/cloudevents+json" | "application/json" => Ok(RequestForm::Structured),
        "application/cloudevents-batch+json" => Ok(RequestForm::Batch),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(RequestForm::Lines),
        other => Err(Problem::unsupported_media_type(format!(
            "`{other}` is not taken; send application/cloudevents+json, application/cloudevents-batch+json, \
             application/x-ndjson or application/json"
        ))),
    }
}

fn binary_attributes(headers: &HeaderMap) -> BinaryAttributes<'_> {
    let mut attributes = BinaryAttributes::default();
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix("ce-"), value.to_str()) {
            attributes.set(name, percent_decoded(value));
        }
    }
    attributes
}

/// CloudEvents' HTTP binding sends characters outside printable ASCII percent-encoded.
fn percent_decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| std::str::from_utf8(tail.get(..2)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = decoded {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(value), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_percent_decoded() {
        assert_eq!(percent_decoded("%E6%B0%B4 50%"), "水 50%");
        assert_eq!(percent_decoded("plain"), "plain");
        assert_eq!(percent_decoded("%FF"), "%FF");
    }
}
