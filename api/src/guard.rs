//! What every request passes first: limits, `Host` and `Origin`, CORS, a span in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::classify::ServerErrorsFailureClass;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::access::{Access, admit, without_keys};
use crate::config::{ConfigError, ServerSection};
use crate::durations::{Asked, Durations};
use crate::http::forwarded::{Addresses, External, note};
use crate::http::{Bodies, HttpCounters, Refused, Sites, add_safety, tag_whole_answers, take_body};
use crate::problem::Problem;

struct Gate {
    sites: Sites,
    counters: HttpCounters,
}

/// Wraps the routes.
///
/// # Errors
/// An entry of `server.cors_origins` or `server.hosts` that is no origin or host.
pub(crate) fn protect(
    router: Router,
    settings: &ServerSection,
    address: SocketAddr,
    access: Arc<Access>,
    bodies: Bodies,
    durations: Durations,
) -> Result<Router, ConfigError> {
    let addresses = Arc::new(Addresses::new(
        settings.public_url.as_deref(),
        &settings.trusted_proxies,
    )?);
    let public = addresses.public_origin();
    let sites = Sites::new(address, &settings.hosts, &settings.cors_origins, public)?
        .with_readers_of_any_page(access.lets_any_page_read());
    if sites.serve_any_name() {
        tracing::warn!(
            "server.hosts is empty: any page that a user of this network opens can point a name of its own here and ask; list \
             the names that users have for this server"
        );
    }
    let gate = Arc::new(Gate {
        sites,
        counters: bodies.counters.clone(),
    });
    let origins = settings
        .cors_origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::ACCEPT,
            header::AUTHORIZATION,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .expose_headers(
            [
                "riskgrid-version",
                "riskgrid-as-of",
                "riskgrid-partitions",
                "riskgrid-loaded",
                "riskgrid-window",
                "riskgrid-query-id",
                "riskgrid-limit",
                "riskgrid-rev",
                "etag",
                "retry-after",
            ]
            .map(HeaderName::from_static),
        );
    Ok(router
        .fallback(|| async { Problem::not_found("there is nothing at this path; GET / is the console") })
        // Bodies are read, within the limit of their path, before any route sees them.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(tag_whole_answers))
        .layer(from_fn_with_state(Arc::new(bodies), take_body))
        .layer(from_fn_with_state(access, admit))
        .layer(from_fn(plain_errors_as_problems))
        .layer(cors)
        .layer(from_fn_with_state(gate, let_in))
        .layer(from_fn(add_safety))
        .layer(from_fn_with_state(addresses, note))
        .layer(from_fn_with_state(durations, time))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|request: &Request| span(request))
                .on_failure(|class: ServerErrorsFailureClass, latency: Duration, _: &Span| {
                    tell_failure(&class, latency);
                }),
        ))
}

/// What the log says of a request: no headers, no parameters, and no key, wherever it stands.
fn span(request: &Request) -> Span {
    tracing::debug_span!(
        "request",
        method = %request.method(),
        path = shown_path(request.uri().path()),
        version = ?request.version(),
    )
}

/// A rating link is a secret of whoever has it.
fn shown_path(path: &str) -> String {
    if path.starts_with("/r/") {
        "/r/…".to_owned()
    } else {
        without_keys(path)
    }
}

/// That something is away for a while is said by who waits for it, once; clients ask again and again.
fn tell_failure(class: &ServerErrorsFailureClass, latency: Duration) {
    if matches!(
        class,
        ServerErrorsFailureClass::StatusCode(StatusCode::SERVICE_UNAVAILABLE)
    ) {
        tracing::debug!(?latency, "request answered with 503");
    } else {
        tracing::error!(%class, ?latency, "request failed");
    }
}

async fn time(State(durations): State<Durations>, request: Request, next: Next) -> Response {
    let waiting = durations.waiting(Asked {
        route: request.extensions().get::<MatchedPath>().cloned(),
        method: request.method().clone(),
        path: without_keys(request.uri().path()),
    });
    let response = next.run(request).await;
    waiting.answered(response.status());
    response
}

async fn let_in(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let external = request.extensions().get::<External>();
    let is_of_any_reader = gate.sites.is_of_any_reader(request.method(), request.headers());
    let judged = gate.sites.judge(
        request.method(),
        request.uri(),
        request.version(),
        request.headers(),
        external.map(External::origin),
    );
    let (reason, problem) = match judged {
        Ok(()) => {
            let mut answer = next.run(request).await;
            if is_of_any_reader {
                let any = HeaderValue::from_static("*");
                answer
                    .headers_mut()
                    .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
            }
            return answer;
        }
        Err(Refused::BadHost(why)) => ("bad_host", Problem::bad_request(why.to_string())),
        Err(Refused::NotThisMachine(why)) => ("misdirected", Problem::forbidden(why)),
        Err(Refused::Misdirected(why)) => ("misdirected", Problem::misdirected(why)),
        Err(Refused::CrossSite(why)) => ("cross_site", Problem::cross_site(why)),
    };
    gate.counters.refuse(reason);
    problem.into_response()
}

/// Extractors of the framework answer in plain text; clients are promised problem+json.
async fn plain_errors_as_problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|media_type| {
            media_type
                .to_str()
                .is_ok_and(|text| text.starts_with("text/plain"))
        });
    if !status.is_client_error() || !is_plain {
        return response;
    }
    let detail = status.canonical_reason().unwrap_or("the request is not valid");
    match status {
        StatusCode::BAD_REQUEST => Problem::bad_request(detail).into_response(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::unsupported_media_type(detail).into_response(),
        _ => response,
    }
}
