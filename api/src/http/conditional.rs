//! `If-None-Match`, for every route that gives an `ETag`.

use axum::http::HeaderMap;
use headers::{ETag, HeaderMapExt, IfNoneMatch};

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
