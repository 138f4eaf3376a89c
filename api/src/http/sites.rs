//! Which requests a page may make: by the name that the request has for this server, the page's origin, and what the
//! browser says of how the two belong together (Fetch Metadata).
//!
//! A page reaches a server in three ways that it must not: under a name of its own that it points here (DNS rebinding), seen
//! by `Host`; by a script, seen by `Origin`; by an image, a style or a link, which have no `Origin`, seen by `Sec-Fetch-Site`.

use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::authority::{Authority, HostName, InvalidAuthority};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Of what a client sent, so much is shown to it again.
const SHOWN: usize = 80;

/// Which names and pages are served.
pub(crate) struct Sites {
    names: Names,
    hosts: Vec<HostName>,
    /// As browsers write them: of pages that may ask.
    origins: Vec<String>,
    /// The server's own address for its users, where it is not the one that requests arrive at.
    public: Option<(String, Authority)>,
    /// Pages of any origin may read what requests without a credential are answered.
    any_page_reads: bool,
}

enum Names {
    /// Those of this machine and `server.hosts`: what listens on loopback.
    ThisMachine,
    /// `server.hosts`.
    Listed,
    Any,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not say which host is meant.
    BadHost(BadHost),
    /// The name is not one of this machine.
    NotThisMachine(String),
    /// The name is not one of `server.hosts`.
    Misdirected(String),
    /// A page of another origin asks.
    CrossSite(String),
}

/// Why a request does not say which host is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHost {
    /// There is no `Host`.
    #[error("the header Host is missing; send it once")]
    Missing,
    /// There are two.
    #[error("the header Host is given twice; send it once")]
    Twice,
    /// It is none.
    #[error("the Host `{shown}` cannot be read: {error}; send host or host:port")]
    Unreadable {
        /// How it begins.
        shown: String,
        /// Why.
        #[source]
        error: InvalidAuthority,
    },
    /// The request target is of another.
    #[error("the request target names another server than Host; send the path alone")]
    OtherTarget,
}

/// Why a name or page cannot be one that is served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSite {
    /// An entry of `server.cors_origins`.
    #[error("server.cors_origins: `{0}` is no origin; write it like https://map.example")]
    Origin(String),
    /// An entry of `server.hosts`.
    #[error("server.hosts: `{host}`: {error}; write a name or an address as in map.example or 192.0.2.1")]
    Host {
        /// As it is written.
        host: String,
        /// Why.
        #[source]
        error: InvalidAuthority,
    },
}

impl Sites {
    /// What listens on `address` serves these `hosts` and pages of these `origins`; `public_url` is its own address where
    /// that differs.
    ///
    /// # Errors
    /// Names what is no host or origin.
    pub(crate) fn new(
        address: SocketAddr,
        hosts: &[String],
        origins: &[String],
        public_url: Option<&str>,
    ) -> Result<Self, InvalidSite> {
        let hosts = read_hosts(hosts)?;
        for origin in origins {
            if HeaderValue::from_str(origin).is_err() || !origin.contains("://") || origin.ends_with('/') {
                return Err(InvalidSite::Origin(origin.clone()));
            }
        }
        let names = if address.ip().is_loopback() {
            Names::ThisMachine
        } else if hosts.is_empty() {
            Names::Any
        } else {
            Names::Listed
        };
        Ok(Self {
            names,
            hosts,
            origins: origins.to_vec(),
            public: public_url.and_then(|url| read_origin(url.trim_end_matches('/'))),
            any_page_reads: false,
        })
    }

    /// The same, where pages of any origin may read what requests without a credential are answered.
    #[must_use]
    pub(crate) fn with_readers_of_any_page(self, may: bool) -> Self {
        Self {
            any_page_reads: may,
            ..self
        }
    }

    /// Whether a request only reads, brings nothing that shows who asks, and so may come from any page.
    pub(crate) fn is_of_any_reader(&self, method: &Method, headers: &HeaderMap) -> bool {
        self.any_page_reads
            && (method == Method::GET || method == Method::HEAD)
            && !headers.contains_key(AUTHORIZATION)
            && !headers.contains_key(COOKIE)
    }

    /// Whether any name is served, so that a page can reach this server under one of its own.
    pub(crate) fn serve_any_name(&self) -> bool {
        matches!(self.names, Names::Any)
    }

    /// Judges a request by its head. `external` is the origin under which a trusted proxy is asked for it.
    ///
    /// # Errors
    /// It is not let in.
    pub(crate) fn judge(
        &self,
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
        external: Option<&str>,
    ) -> Result<(), Refused> {
        let host = read_host(uri, version, headers).map_err(Refused::BadHost)?;
        self.check_name(host.as_ref())?;
        if self.is_of_any_reader(method, headers) {
            return Ok(());
        }
        let is_from_allowed_page = self.check_origin(host.as_ref(), headers, external)?;
        if !is_from_allowed_page {
            check_fetch_metadata(method, uri, headers)?;
        }
        Ok(())
    }

    fn check_name(&self, host: Option<&Authority>) -> Result<(), Refused> {
        let is_listed = host.is_some_and(|host| self.hosts.contains(&host.host));
        let is_public = self
            .public
            .as_ref()
            .is_some_and(|(_, public)| host.is_some_and(|host| host.host == public.host));
        let shown = || host.map_or_else(|| "nothing".to_owned(), Authority::to_string);
        match self.names {
            _ if is_listed || is_public => Ok(()),
            Names::Any => Ok(()),
            Names::ThisMachine if host.is_some_and(|host| host.host.is_loopback()) => Ok(()),
            Names::ThisMachine => Err(Refused::NotThisMachine(format!(
                "the Host `{}` is not this machine; use 127.0.0.1 or localhost, or add the name to server.hosts",
                shown()
            ))),
            Names::Listed => Err(Refused::Misdirected(format!(
                "the Host `{}` is not served here; use a name of server.hosts, or add it there",
                shown()
            ))),
        }
    }

    /// Whether a page asks that may: of this server itself no `Origin` says so as surely as the browser's own word does.
    fn check_origin(
        &self,
        host: Option<&Authority>,
        headers: &HeaderMap,
        external: Option<&str>,
    ) -> Result<bool, Refused> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(false);
        };
        let text = origin.to_str().unwrap_or_default();
        if origins.next().is_none() {
            if self.origins.iter().any(|allowed| allowed == text) {
                return Ok(true);
            }
            if let Some(origin) = read_origin(text)
                && (host.is_some_and(|host| is_same_place(&origin, host))
                    || self.public.as_ref() == Some(&origin)
                    || external.and_then(read_origin).as_ref() == Some(&origin))
            {
                return Ok(false);
            }
        }
        Err(Refused::CrossSite(format!(
            "pages of `{}` are not let in; add the origin to server.cors_origins",
            text.chars().take(SHOWN).collect::<String>()
        )))
    }
}

/// Names of `server.hosts` in the form that is compared.
///
/// # Errors
/// Names what is no host.
pub(crate) fn read_hosts(hosts: &[String]) -> Result<Vec<HostName>, InvalidSite> {
    hosts
        .iter()
        .map(|host| {
            HostName::parse(host).map_err(|error| InvalidSite::Host {
                host: host.clone(),
                error,
            })
        })
        .collect()
}

fn read_host(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<Option<Authority>, BadHost> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return if version < Version::HTTP_11 && uri.authority().is_none() {
            Ok(None)
        } else {
            Err(BadHost::Missing)
        };
    };
    if hosts.next().is_some() {
        return Err(BadHost::Twice);
    }
    let text = host.to_str().unwrap_or("\u{fffd}");
    let host = Authority::parse(text).map_err(|error| BadHost::Unreadable {
        shown: text.chars().take(SHOWN).collect(),
        error,
    })?;
    // A request target that names a server overrules Host; when both mean the same it does not matter.
    if let Some(target) = uri.authority() {
        let default = default_port(uri.scheme_str().unwrap_or("http"));
        let is_same = Authority::parse(target.as_str()).is_ok_and(|target| {
            default.is_some_and(|default| {
                target.host == host.host && target.port_or(default) == host.port_or(default)
            })
        });
        if !is_same {
            return Err(BadHost::OtherTarget);
        }
    }
    Ok(Some(host))
}

fn read_origin(text: &str) -> Option<(String, Authority)> {
    let (scheme, authority) = text.split_once("://")?;
    default_port(scheme)?;
    Some((scheme.to_owned(), Authority::parse(authority).ok()?))
}

/// Of either scheme: before a proxy that speaks TLS it is https, behind it http.
fn is_same_place((scheme, origin): &(String, Authority), host: &Authority) -> bool {
    default_port(scheme)
        .is_some_and(|default| origin.host == host.host && origin.port_or(default) == host.port_or(default))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// What the browser says: `none` is its user, `same-origin` a page of ours. Others may open the console, as a page of its own,
/// and nothing else.
fn check_fetch_metadata(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    let Some(site) = sites.next() else {
        return Ok(());
    };
    let is_our_page = site == "same-origin" || site == "none";
    if is_our_page && sites.next().is_none() {
        return Ok(());
    }
    // The issuer at which users sign in sends their browsers back there.
    let opens_the_console = method == Method::GET
        && matches!(uri.path(), "/" | "/auth/callback")
        && headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate")
        && headers.get(SEC_FETCH_DEST).is_none_or(|dest| dest == "document");
    if opens_the_console {
        return Ok(());
    }
    Err(Refused::CrossSite(
        "a page of another origin asks; open / to use the console, or add that page's origin to server.cors_origins and \
         ask by a script with CORS"
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests;
