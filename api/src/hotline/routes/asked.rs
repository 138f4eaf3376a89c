//! What requests of the hotline have in common: a body of JSON as its bytes, and answers with a version.

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::http::{expected_version, media_type, version_tag};
use crate::problem::{Kind, Problem};

/// The body as JSON.
///
/// # Errors
/// 415, or 400.
pub(super) fn json_of(headers: &HeaderMap, body: &Bytes) -> Result<Value, Problem> {
    media_type(headers)?;
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body is not the JSON of one object: {error}")))
}

/// The version that a change is for.
///
/// # Errors
/// 428: it says none; 400: it says several.
pub(super) fn version_asked(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    if headers.contains_key(header::IF_MATCH) {
        return expected_version(headers);
    }
    Err(Problem::new(
        Kind::PreconditionRequired,
        "send the ETag of the version that you have read as `If-Match`",
    ))
}

/// An answer of a version.
pub(super) fn versioned(status: StatusCode, version: i64, body: Value, is_replay: bool) -> Response {
    let tag = [(header::ETAG, version_tag(version))];
    let mut answer = (status, tag, Json(body)).into_response();
    if is_replay {
        let name = HeaderName::from_static("idempotent-replay");
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static("true"));
    }
    answer
}
