//! Errors as clients see them: RFC 9457 problem details with a stable `type`, and a detail that tells what to do.

mod kind;

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

pub use kind::Kind;

/// One problem: its kind, which has a status and a stable type `urn:riskgrid:problem:<kind>`, and what the client can do
/// about it.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    retry_after_seconds: Option<u32>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of any kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after_seconds: None,
            members: Map::new(),
        }
    }

    /// A parameter or the body cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    /// A key or a token stands in the URL.
    pub fn credentials_in_url() -> Self {
        Self::new(
            Kind::CredentialsInUrl,
            "URLs stand in logs and histories: send the key as Authorization: Bearer KEY, and make another one, since this \
             one may have been read",
        )
    }

    /// Nobody knows who asks.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, detail)
    }

    /// It is known who asks, and nothing says what they may.
    pub fn no_role(detail: impl Into<String>) -> Self {
        Self::new(Kind::NoRole, detail)
    }

    /// An event whose source this key may not bring.
    pub fn forbidden_source(detail: impl Into<String>) -> Self {
        Self::new(Kind::ForbiddenSource, detail)
    }

    /// Nobody could administer riskgrid any more.
    pub fn last_admin(detail: impl Into<String>) -> Self {
        Self::new(Kind::LastAdmin, detail)
    }

    /// It was changed since its reader saw it.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(Kind::PreconditionFailed, detail)
    }

    /// A change does not say which version it is meant for.
    pub fn precondition_required(detail: impl Into<String>) -> Self {
        Self::new(Kind::PreconditionRequired, detail)
    }

    /// Wrong credentials come too often.
    pub fn too_many_failures(retry_after_seconds: u32) -> Self {
        let detail = "too many wrong credentials came from this address within a minute; good ones are let in all the while";
        Self::new(Kind::TooManyFailures, detail).after(retry_after_seconds)
    }

    /// It asks too often.
    pub fn too_many_requests(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Kind::TooManyRequests, detail).after(retry_after_seconds)
    }

    /// A key brings more than it may.
    pub fn quota(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Kind::Quota, detail).after(retry_after_seconds)
    }

    /// Tokens cannot be judged, for their issuer does not answer.
    pub fn identity_provider(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Kind::IdentityProvider, detail).after(retry_after_seconds)
    }

    /// As many queries wait as may.
    pub fn queue_full(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Kind::QueueFull, detail).after(retry_after_seconds)
    }

    /// Somebody cancelled it.
    pub fn cancelled(detail: impl Into<String>) -> Self {
        Self::new(Kind::Cancelled, detail)
    }

    /// Who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// A page of another origin asks.
    pub fn cross_site(detail: impl Into<String>) -> Self {
        Self::new(Kind::CrossSite, detail)
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// The path takes another method.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(Kind::MethodNotAllowed, detail)
    }

    /// None of the acceptable formats can be given.
    pub fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotAcceptable, detail)
    }

    /// It does not fit what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// The body is larger than the limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, detail)
    }

    /// The body's content type is not one that is read here.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(Kind::UnsupportedMediaType, detail)
    }

    /// The name that the request has for this server is not served here.
    pub fn misdirected(detail: impl Into<String>) -> Self {
        Self::new(Kind::Misdirected, detail)
    }

    /// Understood, and not acceptable.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    /// Our fault. The cause goes to the log, not to the client, who gets the number under which it is there.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        static FAULTS: AtomicU64 = AtomicU64::new(1);
        let number = FAULTS.fetch_add(1, Ordering::Relaxed);
        let fault = format!("{:x}-{number:x}", std::process::id());
        tracing::error!(fault, error = cause, "request failed");
        Self::new(
            Kind::Internal,
            format!("the server failed, which is not the request's fault; its log has the cause under fault {fault}"),
        )
        .with("fault", fault)
    }

    /// It cannot be served now; with `Retry-After`.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Kind::Unavailable, detail).after(retry_after_seconds)
    }

    /// It did not finish in time.
    pub fn out_of_time(detail: impl Into<String>) -> Self {
        Self::new(Kind::OutOfTime, detail)
    }

    /// With `Retry-After`.
    #[must_use]
    pub const fn after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds a member of the problem's own to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// What kind of problem it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What the client can do about it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The body of the answer.
    pub fn into_body(self) -> Map<String, Value> {
        let mut body = self.members;
        body.insert(
            "type".to_owned(),
            json!(format!("urn:riskgrid:problem:{}", self.kind.name())),
        );
        body.insert("title".to_owned(), json!(self.kind.title()));
        body.insert("status".to_owned(), json!(self.kind.status().as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after_seconds) = (self.status(), self.retry_after_seconds);
        let mut response = (status, Json(self.into_body())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            // Basic would make browsers ask for a password.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
