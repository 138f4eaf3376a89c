//! How clients see this server: under which scheme and host, and from which address they come, also behind a proxy.
//!
//! `server.public_url` rules links where it is set. Else what a proxy of `server.trusted_proxies` says, by
//! `X-Forwarded-Proto` and `X-Forwarded-Host`; else the `Host` of the request. Who else sends such headers is not heard.

use std::convert::Infallible;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::ToStrError;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use url::Url;

use super::authority::{Authority, InvalidAuthority};
use super::tls::OverTls;
use crate::problem::Problem;

/// What stands in links where a request has no usable `Host`.
const NO_HOST: &str = "127.0.0.1:8080";

/// Whom to believe, and what to say.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    public_url: Option<String>,
    trusted: Vec<IpNet>,
}

/// The server and the client of one request, as the client sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// What the server's paths are put behind: `https://map.example`, without a slash at its end.
    pub base: String,
    /// Where the request comes from; none when it is not known.
    pub client: Option<IpAddr>,
}

impl External {
    /// What a browser calls the origin of pages from here.
    pub fn origin(&self) -> &str {
        origin_of(&self.base)
    }
}

/// The scheme, the host and the port of a URL without a slash at its end.
fn origin_of(url: &str) -> &str {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    url.get(..scheme.len() + 3 + host.len()).unwrap_or_default()
}

/// Why an entry of the configuration is no address of this server, or of no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// `server.public_url`.
    #[error(
        "`server.public_url` is `{text}`: {problem}; write it like https://map.example or https://example.org/risk"
    )]
    PublicUrl {
        /// As it is written.
        text: String,
        /// Why.
        #[source]
        problem: InvalidPublicUrl,
    },
    /// An entry of `server.trusted_proxies`.
    #[error(
        "`server.trusted_proxies` has `{text}`, it must be an address or a network like 10.0.0.0/8 or fd00::/8"
    )]
    Proxy {
        /// As it is written.
        text: String,
        /// Why it is no address.
        #[source]
        error: AddrParseError,
    },
}

/// Why a URL is none that links can begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// It is no URL.
    #[error(transparent)]
    NoUrl(#[from] url::ParseError),
    /// Of another scheme.
    #[error("the scheme must be http or https")]
    Scheme,
    /// With a user.
    #[error("it must not have a user or password")]
    User,
    /// With more than a path.
    #[error("it must not have a query or fragment")]
    Query,
    /// Without a host.
    #[error("it has no host")]
    Host,
}

/// What a trusted proxy says of a request, and cannot be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidForwarded {
    /// A header is no text.
    #[error("{name} is no text")]
    NoText {
        /// The header.
        name: &'static str,
        /// Why.
        #[source]
        error: ToStrError,
    },
    /// Another scheme.
    #[error("X-Forwarded-Proto is `{0}`; allowed: http, https")]
    Proto(String),
    /// No host.
    #[error("X-Forwarded-Host is `{shown}`; it must be a host, with a port or without")]
    Host {
        /// How it begins.
        shown: String,
        /// Why.
        #[source]
        error: InvalidAuthority,
    },
}

impl Addresses {
    /// Reads `server.public_url` and `server.trusted_proxies`.
    ///
    /// # Errors
    /// Which of them is wrong, and how it is written.
    pub fn new(own_url: Option<&str>, trusted_proxies: &[String]) -> Result<Self, InvalidAddress> {
        let public_url = own_url.map(|text| {
            public_url(text).map_err(|problem| InvalidAddress::PublicUrl {
                text: text.to_owned(),
                problem,
            })
        });
        let trusted = trusted_proxies.iter().map(|text| network(text));
        Ok(Self {
            public_url: public_url.transpose()?,
            trusted: trusted.collect::<Result<_, _>>()?,
        })
    }

    /// What a browser calls the origin of pages of `server.public_url`.
    pub fn public_origin(&self) -> Option<&str> {
        self.public_url.as_deref().map(origin_of)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// What holds for a request from `peer`, whose connection speaks TLS or does not.
    ///
    /// # Errors
    /// A trusted proxy sends what is no scheme or no host.
    pub fn of(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        is_over_tls: bool,
    ) -> Result<External, InvalidForwarded> {
        let peer = peer.map(|peer| peer.to_canonical());
        let is_forwarded = peer.is_some_and(|peer| self.is_trusted(peer));
        let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let own = own
            .filter(|host| Authority::parse(host).is_ok())
            .unwrap_or(NO_HOST);
        let scheme = if is_over_tls { "https" } else { "http" };
        let (mut scheme, mut host) = (scheme.to_owned(), own.to_owned());
        if is_forwarded {
            if let Some(said) = last(headers, "x-forwarded-proto")? {
                scheme = said.to_ascii_lowercase();
                if scheme != "http" && scheme != "https" {
                    return Err(InvalidForwarded::Proto(shown(&said)));
                }
            }
            if let Some(said) = last(headers, "x-forwarded-host")? {
                Authority::parse(&said).map_err(|error| InvalidForwarded::Host {
                    shown: shown(&said),
                    error,
                })?;
                host = said;
            }
        }
        let client = if is_forwarded {
            self.client(headers, peer)
        } else {
            peer
        };
        let base = self.public_url.clone();
        Ok(External {
            base: base.unwrap_or_else(|| format!("{scheme}://{host}")),
            client,
        })
    }

    /// The nearest address that no trusted proxy has: each proxy adds whom it heard at the end.
    fn client(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let mut client = peer;
        let values = headers.get_all("x-forwarded-for").iter();
        let texts: Vec<&str> = values.map(|value| value.to_str().unwrap_or_default()).collect();
        for hop in texts.iter().rev().flat_map(|text| text.rsplit(',')) {
            let Some(address) = address(hop.trim()) else { break };
            client = Some(address);
            if !self.is_trusted(address) {
                break;
            }
        }
        client
    }
}

/// Puts the [`External`] of each request where handlers find it.
pub(crate) async fn note(
    State(addresses): State<Arc<Addresses>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip());
    let is_over_tls = request.extensions().get::<OverTls>().is_some();
    match addresses.of(request.headers(), peer, is_over_tls) {
        Ok(external) => {
            request.extensions_mut().insert(external);
            next.run(request).await
        }
        Err(why) => Problem::bad_request(why.to_string()).into_response(),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for External {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        // Without proxies and settings nothing can be wrong.
        let plain = || Addresses::default().of(&parts.headers, None, false).ok();
        Ok(known.or_else(plain).unwrap_or_else(|| Self {
            base: format!("http://{NO_HOST}"),
            client: None,
        }))
    }
}

/// The last value of a header that is a list, or is there several times: what the nearest proxy added.
fn last(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, InvalidForwarded> {
    let Some(value) = headers.get_all(name).iter().next_back() else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|error| InvalidForwarded::NoText { name, error })?;
    Ok(text.rsplit(',').next().map(|last| last.trim().to_owned()))
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

fn public_url(text: &str) -> Result<String, InvalidPublicUrl> {
    let url = Url::parse(text)?;
    let scheme = url.scheme();
    if scheme != "http" && scheme != "https" {
        return Err(InvalidPublicUrl::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidPublicUrl::User);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidPublicUrl::Query);
    }
    let host = url.host_str().filter(|host| Authority::parse(host).is_ok());
    let host = host.ok_or(InvalidPublicUrl::Host)?;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!(
        "{scheme}://{host}{port}{}",
        url.path().trim_end_matches('/')
    ))
}

fn network(text: &str) -> Result<IpNet, InvalidAddress> {
    text.parse::<IpNet>().or_else(|_| {
        let one = text.parse::<IpAddr>().map(IpNet::from);
        one.map_err(|error| InvalidAddress::Proxy {
            text: text.to_owned(),
            error,
        })
    })
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn addresses(public_url: Option<&str>, trusted: &[&str]) -> Addresses {
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        Addresses::new(public_url, &trusted).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        pairs.collect()
    }

    fn seen(
        addresses: &Addresses,
        pairs: &[(&'static str, &str)],
        peer: &str,
    ) -> Result<(String, String), InvalidForwarded> {
        let external = addresses.of(&headers(pairs), Some(peer.parse().unwrap()), false)?;
        Ok((external.base, external.client.unwrap().to_string()))
    }

    const FORWARDED: [(&str, &str); 4] = [
        ("host", "10.0.0.5:8080"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "map.example"),
        ("x-forwarded-for", "203.0.113.7, 10.0.0.9"),
    ];

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let behind = addresses(None, &["10.0.0.0/8", "::1"]);
        let through = ("https://map.example".to_owned(), "203.0.113.7".to_owned());
        for peer in ["10.0.0.1", "::ffff:10.0.0.1", "::1"] {
            assert_eq!(seen(&behind, &FORWARDED, peer).unwrap(), through, "{peer}");
        }
        let direct = |peer: &str| ("http://10.0.0.5:8080".to_owned(), peer.to_owned());
        assert_eq!(seen(&behind, &FORWARDED, "11.0.0.1").unwrap(), direct("11.0.0.1"));
        assert_eq!(
            seen(&addresses(None, &[]), &FORWARDED, "127.0.0.1").unwrap(),
            direct("127.0.0.1")
        );
    }

    #[test]
    fn the_public_url_rules_links_and_the_proxy_still_tells_the_client() {
        let public = addresses(Some("https://example.org/risk/"), &["10.0.0.1"]);
        let expected = ("https://example.org/risk".to_owned(), "203.0.113.7".to_owned());
        let mut through_two = FORWARDED;
        through_two[3] = ("x-forwarded-for", "6.6.6.6, 203.0.113.7");
        assert_eq!(seen(&public, &through_two, "10.0.0.1").unwrap(), expected);
        assert_eq!(seen(&public, &through_two, "8.8.8.8").unwrap().0, expected.0);
        assert_eq!(public.public_origin(), Some("https://example.org"));
    }

    #[test]
    fn what_clients_put_before_the_proxy_is_not_believed() {
        let behind = addresses(None, &["10.0.0.1"]);
        let forged = [
            ("host", "a.example"),
            ("x-forwarded-host", "evil.example, map.example"),
            ("x-forwarded-for", "6.6.6.6, 198.51.100.3"),
        ];
        let expected = ("http://map.example".to_owned(), "198.51.100.3".to_owned());
        assert_eq!(seen(&behind, &forged, "10.0.0.1").unwrap(), expected);
    }

    #[test]
    fn hosts_that_are_none_are_refused() {
        let behind = addresses(None, &["10.0.0.1"]);
        for hostile in [
            "",
            "map.example/path",
            "map.example?x",
            "user@map.example",
            "map.example:port",
            "map.example:",
            "map.example:0",
            "map.example:99999",
            "map.example:80:80",
            "map .example",
            "\"><script>",
            "map.example\\evil",
            "..",
            ".example",
            "-map.example",
            "[::1",
            "[::g]",
            "[::1]x",
            "::1",
            "1.2.3",
            "256.1.1.1",
            "evil.example,",
            "map%2eexample",
        ] {
            let sent = [("host", "a.example"), ("x-forwarded-host", hostile)];
            assert!(seen(&behind, &sent, "10.0.0.1").is_err(), "{hostile}");
            assert!(seen(&behind, &sent, "10.0.0.2").is_ok(), "{hostile}");
        }
        for scheme in ["", "ftp", "https://", "javascript", "https, gopher"] {
            let sent = [("host", "a.example"), ("x-forwarded-proto", scheme)];
            assert!(seen(&behind, &sent, "10.0.0.1").is_err(), "{scheme}");
        }
        for good in [
            "map.example",
            "MAP.example:8443",
            "10.1.2.3:80",
            "[2001:db8::1]:443",
            "localhost",
        ] {
            assert!(Authority::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn settings_that_are_none_are_named() {
        for url in [
            "map.example",
            "ftp://map.example",
            "https://",
            "https://u:p@map.example",
            "https://map.example?a=1",
            "https://map.example/#x",
            "",
        ] {
            let error = Addresses::new(Some(url), &[]).unwrap_err().to_string();
            assert!(error.contains("server.public_url"), "{url}: {error}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy.example"] {
            let error = network(text).unwrap_err().to_string();
            assert!(error.contains("server.trusted_proxies"), "{error}");
        }
        assert_eq!(
            public_url("HTTPS://Map.Example:8443/").unwrap(),
            "https://map.example:8443"
        );
    }

    proptest! {
        #[test]
        fn a_base_is_always_a_url_of_the_host_that_was_said(host in "[ -~]{0,40}", scheme in "[ -~]{0,8}") {
            let behind = addresses(None, &["10.0.0.1"]);
            let sent = [("host", "a.example"), ("x-forwarded-host", &*host), ("x-forwarded-proto", &*scheme)];
            if let Ok((base, _)) = seen(&behind, &sent, "10.0.0.1") {
                let url = Url::parse(&base).unwrap();
                prop_assert!(url.path() == "/" && url.query().is_none() && url.username().is_empty());
                prop_assert!(["http", "https"].contains(&url.scheme()));
            }
        }
    }
}
