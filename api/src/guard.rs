//! What every request passes first: limits, `Host` and `Origin`, CORS, a span in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::classify::ServerErrorsFailureClass;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::config::ServerSection;
use crate::forwarded::{Addresses, External, note};
use crate::problem::Problem;

struct Hosts {
    /// Whether only names of this machine are served: on a loopback address, so that no web page can reach it under a
    /// name of its own (DNS rebinding).
    loopback_only: bool,
    origins: Vec<String>,
    /// The host of `server.public_url`.
    public: Option<String>,
}

/// Wraps the routes.
///
/// # Errors
/// An entry of `server.cors_origins` that is no origin.
pub(crate) fn protect(
    router: Router,
    settings: &ServerSection,
    address: SocketAddr,
) -> Result<Router, String> {
    let mut origins = Vec::new();
    for origin in &settings.cors_origins {
        let value = HeaderValue::from_str(origin)
            .ok()
            .filter(|_| origin.contains("://") && !origin.ends_with('/'));
        origins.push(value.ok_or_else(|| {
            format!("server.cors_origins: `{origin}` is no origin; write it like https://map.example")
        })?);
    }
    let addresses = Arc::new(Addresses::new(settings)?);
    let hosts = Arc::new(Hosts {
        public: addresses.public_authority().map(str::to_owned),
        loopback_only: address.ip().is_loopback(),
        origins: settings.cors_origins.clone(),
    });
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::ACCEPT, header::IF_NONE_MATCH])
        .expose_headers(
            [
                "riskgrid-version",
                "riskgrid-as-of",
                "riskgrid-partitions",
                "riskgrid-loaded",
                "riskgrid-window",
                "riskgrid-query-id",
            ]
            .map(HeaderName::from_static),
        );
    let max_body = usize::try_from(settings.max_body.0).unwrap_or(usize::MAX);
    Ok(router
        .fallback(|| async { Problem::not_found("there is nothing at this path; GET / is the console") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
                "this path takes another method; the header Allow lists them",
            )
        })
        .layer(DefaultBodyLimit::max(max_body))
        .layer(from_fn(plain_errors_as_problems))
        .layer(cors)
        .layer(from_fn_with_state(hosts, check_host))
        .layer(from_fn_with_state(addresses, note))
        .layer(TraceLayer::new_for_http().on_failure(
            |class: ServerErrorsFailureClass, latency: Duration, _: &Span| tell_failure(&class, latency),
        )))
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

async fn check_host(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    if hosts.loopback_only
        && let Err(why) = hosts.check(request.headers(), request.extensions().get())
    {
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", why).into_response();
    }
    next.run(request).await
}

impl Hosts {
    fn check(&self, headers: &HeaderMap, external: Option<&External>) -> Result<(), String> {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let is_public = self
            .public
            .as_ref()
            .is_some_and(|public| host.eq_ignore_ascii_case(public));
        if !is_public && !is_this_machine(host) {
            return Err(format!(
                "the Host `{}` is not this machine; use 127.0.0.1 or localhost",
                shown(host)
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let own = origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority == host)
            // A proxy may ask under another host than the page did.
            || external.is_some_and(|external| external.origin() == origin);
        if own || self.origins.iter().any(|allowed| allowed == origin) {
            Ok(())
        } else {
            Err(format!(
                "pages of `{}` are not let in; add the origin to server.cors_origins",
                shown(origin)
            ))
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Whether a `Host` header names this machine's loopback.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
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
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            "the body is larger than server.max_body; send it in parts".to_owned()
        }
        other => other
            .canonical_reason()
            .unwrap_or("the request is not valid")
            .to_owned(),
    };
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(detail).into_response(),
        StatusCode::BAD_REQUEST => Problem::bad_request(detail).into_response(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::unsupported_media_type(detail).into_response(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass_on_loopback() {
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "console.localhost:80",
            "127.0.0.1",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:8080",
            "10.0.0.1",
            "localhost.evil.example",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn other_origins_need_to_be_allowed() {
        let hosts = Hosts {
            loopback_only: true,
            origins: vec!["https://map.example".to_owned()],
            public: None,
        };
        let check = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            hosts.check(&headers, None).is_ok()
        };
        assert!(check("http://127.0.0.1:8080"));
        assert!(check("https://map.example"));
        assert!(!check("https://evil.example"));
        assert!(!check("null"));
        assert!(!check("http://127.0.0.1:9090"));
    }
}
