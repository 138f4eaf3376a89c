//! Errors as clients see them: RFC 9457 problem details with a stable `type`, and a detail that tells what to do.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// One problem: a status, a stable type `urn:riskgrid:problem:<kind>`, and what the client can do about it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    retry_after_seconds: Option<u32>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of any status; `kind` ends its type and never changes once published.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            title,
            detail: detail.into(),
            retry_after_seconds: None,
            members: Map::new(),
        }
    }

    /// 400: a parameter or the body cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request cannot be understood",
            detail,
        )
    }

    /// 400: a key or a token stands in the URL.
    pub fn credentials_in_url() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "credentials-in-url",
            "A credential stands in the URL",
            "URLs stand in logs and histories: send the key as Authorization: Bearer KEY, and make another one, since this \
             one may have been read",
        )
    }

    /// 401: nobody knows who asks.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "Who asks is not known",
            detail,
        )
    }

    /// 403: who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 403: it is known who asks, and nothing says what they may.
    pub fn no_role(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "no-role",
            "No role is given to whoever asks",
            detail,
        )
    }

    /// 403: an event whose source this key may not bring.
    pub fn forbidden_source(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden-source",
            "The source of an event is not one of this key's",
            detail,
        )
    }

    /// 409: nobody could administer riskgrid any more.
    pub fn last_admin(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "last-admin",
            "It is an admin's last way in",
            detail,
        )
    }

    /// 412: it was changed since its reader saw it.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition-failed",
            "It is at another version",
            detail,
        )
    }

    /// 429: wrong credentials come too often.
    pub fn too_many_failures(retry_after_seconds: u32) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-failures",
            "Too many wrong credentials",
            "too many wrong credentials came from this address within a minute; good ones are let in all the while",
        );
        problem.after(retry_after_seconds)
    }

    /// 429: it asks too often.
    pub fn too_many_requests(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            detail,
        );
        problem.after(retry_after_seconds)
    }

    /// 429: a key brings more than it may.
    pub fn quota(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "quota",
            "More than the key may bring",
            detail,
        );
        problem.after(retry_after_seconds)
    }

    /// With `Retry-After`.
    const fn after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// 403: a page of another origin asks.
    pub fn cross_site(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Pages of this origin are not let in",
            detail,
        )
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no such thing",
            detail,
        )
    }

    /// 405: the path takes another method.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            detail,
        )
    }

    /// 406: none of the acceptable formats can be given.
    pub fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "No acceptable format",
            detail,
        )
    }

    /// 409: it does not fit what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            "It conflicts with what is there",
            detail,
        )
    }

    /// 413: the body is larger than the limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            detail,
        )
    }

    /// 415: the body's content type is not one that is read here.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(
            status,
            "unsupported-media-type",
            "The content type is not supported",
            detail,
        )
    }

    /// 421: the name that the request has for this server is not served here.
    pub fn misdirected(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "This name is not served here",
            detail,
        )
    }

    /// 422: understood, and not acceptable.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "It is not acceptable",
            detail,
        )
    }

    /// 500: our fault. The cause goes to the log, not to the client, who gets the number under which it is there.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        static FAULTS: AtomicU64 = AtomicU64::new(1);
        let number = FAULTS.fetch_add(1, Ordering::Relaxed);
        let fault = format!("{:x}-{number:x}", std::process::id());
        tracing::error!(fault, error = cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            format!("the server failed, which is not the request's fault; its log has the cause under fault {fault}"),
        )
        .with("fault", fault)
    }

    /// 503 with `Retry-After`: it cannot be served now.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "It cannot be served now",
            detail,
        );
        problem.after(retry_after_seconds)
    }

    /// 503: tokens cannot be judged, for their issuer does not answer.
    pub fn identity_provider(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "identity-provider",
            "The issuer of tokens does not answer",
            detail,
        );
        problem.after(retry_after_seconds)
    }

    /// 429 with `Retry-After`: as many queries wait as may.
    pub fn queue_full(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "queue-full",
            "Too many queries wait",
            detail,
        );
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..problem
        }
    }

    /// 499: somebody cancelled it.
    pub fn cancelled(detail: impl Into<String>) -> Self {
        // Not registered, but what is used for this since nginx; its number is one of a status.
        let status = StatusCode::from_u16(499).unwrap_or(StatusCode::CONFLICT);
        Self::new(status, "cancelled", "It was cancelled", detail)
    }

    /// 504: it did not finish in time.
    pub fn out_of_time(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "out-of-time",
            "It did not finish in time",
            detail,
        )
    }

    /// Adds a member of the problem's own to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// What the client can do about it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert(
            "type".to_owned(),
            json!(format!("urn:riskgrid:problem:{}", self.kind)),
        );
        body.insert("title".to_owned(), json!(self.title));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            // Basic would make browsers ask for a password.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
