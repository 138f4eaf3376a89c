//! Headers by which browsers keep an answer from being used for what it is not.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::forwarded::External;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Answers load nothing and stand in no frame; pages say themselves what they load.
const LOADS_NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";
const A_YEAR: &str = "max-age=31536000";

/// Puts them on every answer.
pub(crate) async fn add_safety(request: Request, next: Next) -> Response {
    let external = request.extensions().get::<External>();
    let is_over_tls = external.is_some_and(|external| external.base.starts_with("https://"));
    let mut answer = next.run(request).await;
    put(answer.headers_mut(), is_over_tls);
    answer
}

fn put(headers: &mut HeaderMap, is_over_tls: bool) {
    let mut set = |name, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    if is_over_tls {
        set(STRICT_TRANSPORT_SECURITY, A_YEAR);
    }
    let is_for_others = headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
    let policy = if is_for_others {
        "cross-origin"
    } else {
        "same-origin"
    };
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static(policy));
    headers
        .entry(REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(LOADS_NOTHING));
    vary_on_one_line(headers);
}

/// Caches are known that look at one line of `Vary` only (nginx before 1.23), and then give to one what another was answered.
fn vary_on_one_line(headers: &mut HeaderMap) {
    let lines = headers.get_all(VARY).iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    if lines.len() < 2 {
        return;
    }
    if let Ok(line) = HeaderValue::from_str(&lines.join(", ")) {
        headers.insert(VARY, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_varies_with_is_on_one_line() {
        let mut headers = HeaderMap::new();
        headers.append(VARY, HeaderValue::from_static("Authorization, Cookie"));
        headers.append(VARY, HeaderValue::from_static("origin"));
        put(&mut headers, false);
        let lines: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(lines, ["Authorization, Cookie, origin"]);
    }

    #[test]
    fn a_page_keeps_its_own_policy_and_what_other_origins_may_read_says_so() {
        let mut plain = HeaderMap::new();
        put(&mut plain, false);
        assert_eq!(plain[CONTENT_SECURITY_POLICY], LOADS_NOTHING);
        assert_eq!(plain[CROSS_ORIGIN_RESOURCE_POLICY], "same-origin");
        assert!(!plain.contains_key(STRICT_TRANSPORT_SECURITY));
        let own = "default-src 'self'";
        let mut page = HeaderMap::from_iter([
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(own)),
            (
                ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("https://map.example"),
            ),
        ]);
        put(&mut page, true);
        assert_eq!(page[CONTENT_SECURITY_POLICY], own);
        assert_eq!(page[CROSS_ORIGIN_RESOURCE_POLICY], "cross-origin");
        assert_eq!(page[STRICT_TRANSPORT_SECURITY], A_YEAR);
    }
}
