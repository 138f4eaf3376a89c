//! The cookie of a signed-in browser, and which of its requests are its user's own.

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method};

use crate::http::authority::Authority;

/// A cookie, by its two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Over TLS: a browser takes it from this host only, and sends it there only.
    over_tls: &'static str,
    /// On loopback without TLS, where a browser would not take the other.
    on_loopback: &'static str,
}

/// That of a browser that is signed in.
pub(super) const SESSION: Name = Name {
    over_tls: "__Host-riskgrid",
    on_loopback: "riskgrid-session",
};
/// That of a browser that is at the issuer.
pub(super) const LOGIN: Name = Name {
    over_tls: "__Host-riskgrid-login",
    on_loopback: "riskgrid-login",
};
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How a browser reaches this server, as far as cookies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookiePlace {
    /// By TLS, its own or a proxy's.
    Tls,
    /// On this machine, in clear.
    Loopback,
    /// Over a network, in clear: nobody signs in there.
    Nowhere,
}

impl CookiePlace {
    /// That of a request to this origin.
    pub(super) fn of(origin: &str) -> Self {
        match origin.split_once("://") {
            Some(("https", _)) => Self::Tls,
            Some((_, authority)) if Authority::parse(authority).is_ok_and(|it| it.host.is_loopback()) => {
                Self::Loopback
            }
            _ => Self::Nowhere,
        }
    }

    const fn name(self, cookie: Name) -> Option<&'static str> {
        match self {
            Self::Tls => Some(cookie.over_tls),
            Self::Loopback => Some(cookie.on_loopback),
            Self::Nowhere => None,
        }
    }

    /// The value of the cookie; none when there is none. Several of one name are none that could be right.
    pub(super) fn read(self, cookie: Name, headers: &HeaderMap) -> Option<&str> {
        let name = self.name(cookie)?;
        let mut values = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(given, _)| *given == name)
            .map(|(_, value)| value);
        let value = values.next()?;
        Some(if values.next().is_some() { "" } else { value })
    }

    /// `Set-Cookie` of a value for as long as the browser runs, but no longer than so many seconds.
    pub(super) fn set(self, cookie: Name, value: &str, seconds: u64) -> Option<String> {
        let secure = if self == Self::Tls { "; Secure" } else { "" };
        Some(format!(
            "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
            self.name(cookie)?
        ))
    }
}

/// Whether a request of a browser is one of our own pages, by the browser's own word, or else by its `Origin`.
pub(super) fn is_of_our_page(headers: &HeaderMap, our_origin: &str) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    if let Some(site) = sites.next() {
        return site == "same-origin" && sites.next().is_none();
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return false;
    };
    let ours = read_origin(our_origin);
    ours.is_some() && origin.to_str().ok().and_then(read_origin) == ours
}

/// Whether a request may do more than look, so that a foreign page must not be able to send it with our cookie.
pub(super) fn must_be_of_our_page(method: &Method, path: &str) -> bool {
    let only_looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    !only_looks || path == "/v1/sql" || path.starts_with("/v1/sql/")
}

fn read_origin(text: &str) -> Option<(String, String, u16)> {
    let (scheme, authority) = text.split_once("://")?;
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = Authority::parse(authority).ok()?;
    let port = authority.port_or(default);
    Some((scheme.to_owned(), authority.host.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_for_tls_or_for_this_machine() {
        for (origin, place) in [
            ("https://map.example", CookiePlace::Tls),
            ("http://127.0.0.1:8080", CookiePlace::Loopback),
            ("http://[::1]:8080", CookiePlace::Loopback),
            ("http://localhost", CookiePlace::Loopback),
            ("http://map.example", CookiePlace::Nowhere),
            ("http://127.0.0.1.evil.example", CookiePlace::Nowhere),
            ("", CookiePlace::Nowhere),
        ] {
            assert_eq!(CookiePlace::of(origin), place, "{origin}");
        }
        assert_eq!(
            CookiePlace::Tls.set(SESSION, "abc", 60).unwrap(),
            "__Host-riskgrid=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            CookiePlace::Loopback.set(SESSION, "abc", 60).unwrap(),
            "riskgrid-session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
        );
        assert_eq!(CookiePlace::Nowhere.set(SESSION, "abc", 60), None);
    }

    #[test]
    fn the_cookie_is_read_by_its_whole_name_and_once() {
        let read = |place: CookiePlace, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            place.read(SESSION, &headers(&lines)).map(str::to_owned)
        };
        assert_eq!(
            read(CookiePlace::Tls, &["a=b; __Host-riskgrid=x; riskgrid-session=y"]),
            Some("x".to_owned())
        );
        assert_eq!(
            read(CookiePlace::Loopback, &["a=b", "riskgrid-session=y"]),
            Some("y".to_owned())
        );
        assert_eq!(
            read(CookiePlace::Tls, &["riskgrid-session=y; x__Host-riskgrid=z"]),
            None
        );
        assert_eq!(
            read(CookiePlace::Loopback, &["riskgrid-session=y; riskgrid-session=z"]),
            Some(String::new())
        );
    }

    #[test]
    fn our_own_pages_are_told_by_the_browsers_word_or_else_by_the_origin() {
        let of_ours =
            |fields: &[(&'static str, &str)]| is_of_our_page(&headers(fields), "https://Map.example");
        for fields in [
            &[("sec-fetch-site", "same-origin")][..],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://map.example"),
            ],
            &[("origin", "https://map.example")],
            &[("origin", "https://map.example:443")],
        ] {
            assert!(of_ours(fields), "{fields:?}");
        }
        for fields in [
            &[][..],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-site")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://map.example"),
            ],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("origin", "null")],
            &[("origin", "http://map.example")],
            &[("origin", "https://map.example.evil.example")],
            &[("origin", "https://map.example:8443")],
            &[
                ("origin", "https://map.example"),
                ("origin", "https://map.example"),
            ],
        ] {
            assert!(!of_ours(fields), "{fields:?}");
        }
    }

    #[test]
    fn looking_needs_no_proof_but_in_sql() {
        assert!(!must_be_of_our_page(&Method::GET, "/v1/layers"));
        assert!(!must_be_of_our_page(&Method::HEAD, "/v1/sqlite"));
        for (method, path) in [
            (Method::GET, "/v1/sql"),
            (Method::GET, "/v1/sql/stream"),
            (Method::POST, "/v1/rules"),
            (Method::DELETE, "/v1/rules/a"),
            (Method::PUT, "/v1/rules/a"),
        ] {
            assert!(must_be_of_our_page(&method, path), "{method} {path}");
        }
    }
}
