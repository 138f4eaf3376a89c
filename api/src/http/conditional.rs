//! `If-None-Match`, for every route that gives an `ETag`; `If-Match`, for those that change what has a version.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use twox_hash::XxHash3_128;

use crate::problem::Problem;

/// The tag of a version.
pub(crate) fn version_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// An answer with its tag; without its body when the client has it.
pub(crate) fn tagged(request: &HeaderMap, tag: &str, answer: impl IntoResponse) -> Response {
    let mut answer = if is_known(request, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer.into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// Gives whole answers in JSON a tag of their bytes, so that what a client has is not sent again.
pub(crate) async fn tag_whole_answers(request: Request, next: Next) -> Response {
    // Of HEAD the router takes out the body, and leaves its length, after this.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = reads.then(|| request.headers().clone());
    let answer = next.run(request).await;
    let Some(known) = known else {
        return answer;
    };
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|media_type| {
        [&b"application/json"[..], b"application/geo+json"]
            .iter()
            .any(|json| media_type.as_bytes().starts_with(json))
    });
    let size = answer
        .body()
        .size_hint()
        .exact()
        .and_then(|size| usize::try_from(size).ok());
    let is_tagged = answer.headers().contains_key(ETAG);
    let (true, StatusCode::OK, Some(size), false) = (is_json, answer.status(), size, is_tagged) else {
        return answer;
    };
    let (mut parts, body) = answer.into_parts();
    // It is in memory already.
    let bytes = match to_bytes(body, size).await {
        Ok(bytes) => bytes,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    // Weak, because a compressing layer may send the same in other bytes.
    let tag = format!("W/\"{:032x}\"", XxHash3_128::oneshot(&bytes));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, value);
    }
    if is_known(&known, &tag) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        parts.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// The version that a change is meant for; none where any will do. A tag that is none of ours stands for a version that never
/// is, so that it is answered 412.
///
/// # Errors
/// Several tags: which of them is changed could not be told.
pub(crate) fn expected_version(request: &HeaderMap) -> Result<Option<i64>, Problem> {
    const NEVER: i64 = -1;
    let mut values = request.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if values.next().is_some() || text.contains(',') {
        return Err(Problem::bad_request(
            "`If-Match` has several tags; send the ETag of the version that you have read, alone",
        ));
    }
    if text == "*" {
        return Ok(None);
    }
    // A weak tag does not do for a change: it says that bytes may differ.
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(Some(
        version.and_then(|digits| digits.parse().ok()).unwrap_or(NEVER),
    ))
}

/// Whether the client has the answer of this `ETag` already, so that it is 304. Compared weakly, as RFC 9110 §13.1.2 asks:
/// proxies that recompress make tags weak. `*` stands for any.
pub(crate) fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let Ok(etag) = etag.parse::<ETag>() else {
        return false;
    };
    request
        .typed_get::<IfNoneMatch>()
        .is_some_and(|known| !known.precondition_passes(&etag))
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_NONE_MATCH;

    use super::*;

    #[test]
    fn a_change_is_meant_for_the_version_of_its_tag() {
        let expected = |value: &str| {
            let request = HeaderMap::from_iter([(IF_MATCH, value.parse().unwrap())]);
            expected_version(&request).map_err(|problem| problem.status())
        };
        for (value, version) in [("\"7\"", Some(7)), (" \"1\" ", Some(1)), ("*", None)] {
            assert_eq!(expected(value), Ok(version), "{value}");
        }
        for value in [
            "W/\"7\"",
            "7",
            "\"x\"",
            "\"\"",
            "\"-7\"",
            "\"99999999999999999999\"",
        ] {
            assert_eq!(expected(value), Ok(Some(-1)), "{value}");
        }
        assert_eq!(expected("\"1\", \"2\""), Err(StatusCode::BAD_REQUEST));
        assert_eq!(expected_version(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        for (known, etag) in [
            ("\"a\"", "\"a\""),
            ("W/\"a\"", "\"a\""),
            ("\"a\"", "W/\"a\""),
            ("W/\"a\"", "W/\"a\""),
            ("\"b\", W/\"a\"", "W/\"a\""),
            ("\"b\",\"a\"", "\"a\""),
            ("\"a,b\", \"c\"", "\"a,b\""),
            ("*", "W/\"a\""),
            (" * ", "\"a\""),
        ] {
            let request = HeaderMap::from_iter([(IF_NONE_MATCH, known.trim().parse().unwrap())]);
            assert!(is_known(&request, etag), "{known} {etag}");
        }
        for known in ["", "a", "\"b\"", "\"A\"", "\"a", "w/\"a\"", "\"a,b\"", "\"*\""] {
            let request = HeaderMap::from_iter([(IF_NONE_MATCH, known.parse().unwrap())]);
            assert!(!is_known(&request, "\"a\""), "{known}");
        }
        let mut lines = HeaderMap::new();
        lines.append(IF_NONE_MATCH, "\"b\"".parse().unwrap());
        lines.append(IF_NONE_MATCH, "W/\"a\"".parse().unwrap());
        assert!(is_known(&lines, "\"a\""));
        assert!(!is_known(&HeaderMap::new(), "\"a\""));
    }
}
