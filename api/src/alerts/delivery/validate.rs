//! What a client may ask for when it makes a webhook.

use std::net::IpAddr;

use riskgrid_analytics::rules::Severity;
use serde::Deserialize;
use url::{Host, Url};

use super::address::is_public;
use crate::alerts::webhook::{EndpointChange, EndpointFilter, Grouping, NewEndpoint, Secret};

/// The body of `POST /v1/webhooks`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    name: String,
    url: String,
    secret: Option<String>,
    filter: Option<Filter>,
    group: Option<Grouping>,
    rate: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    severity: Option<Vec<Severity>>,
    r#type: Option<Vec<String>>,
    area: Option<Vec<String>>,
    group: Option<Vec<String>>,
}

/// Changes that begin something, which a filter may pick.
const TYPES: [&str; 3] = ["alert.firing", "alert.updated", "alert.unacknowledged"];
/// Most entries of a list of a filter.
const MOST_NAMES: usize = 64;
/// Most messages a minute.
const FASTEST: u32 = 60_000;

/// Why a webhook was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum InvalidWebhook {
    /// Empty or too long.
    #[error("`name` must have 1 to 128 characters")]
    Name,
    /// Not a URL at all. It is not repeated, as it may hold a token.
    #[error("`url` is not a URL: {0}")]
    NotUrl(url::ParseError),
    /// Not https.
    #[error("`url` has the scheme {0}; allowed: https (and http where `[webhooks] allow_private = true`)")]
    Scheme(String),
    /// A password in the URL.
    #[error("`url` holds a user name or password; leave them out: messages are signed with `secret`")]
    Credentials,
    /// No host.
    #[error("`url` names no host")]
    NoHost,
    /// An address literal that is not public.
    #[error("`url` names the address {0}, which is not public; `[webhooks] allow_private = true` permits it")]
    NotPublic(IpAddr),
    /// Not a secret of the standard.
    #[error("`secret` must be `whsec_` and 24 to 64 bytes in base64; leave it out to have one made")]
    Secret,
    /// An empty list would match nothing.
    #[error(
        "`filter.severity` is empty; leave it out for all, or name some of minor, moderate, major, critical"
    )]
    NoSeverity,
    /// A list of the filter that cannot be.
    #[error("`filter.{list}` {problem}; allowed: {allowed}")]
    FilterList {
        /// Which list.
        list: &'static str,
        /// What is wrong.
        problem: String,
        /// What would be accepted.
        allowed: String,
    },
    /// Too fast, or never.
    #[error("`rate` is {0}; allowed: 1 to 60000 messages a minute, or leave it out")]
    Rate(u32),
    /// No random bytes for a secret.
    #[error("the operating system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

impl WebhookRequest {
    /// Checks it, and makes a secret where none is given.
    ///
    /// # Errors
    /// [`InvalidWebhook`] with what to change.
    pub fn accept(self, allow_private: bool) -> Result<NewEndpoint, InvalidWebhook> {
        let EndpointChange {
            name,
            url,
            secret,
            severities,
            filter,
            grouping,
            rate,
        } = self.accept_change(allow_private)?;
        Ok(NewEndpoint {
            name,
            url,
            secret: secret.map_or_else(Secret::random, Ok)?,
            severities,
            filter,
            grouping,
            rate,
        })
    }

    /// Checks it as a change of a webhook, which keeps its secret where none is given.
    ///
    /// # Errors
    /// [`InvalidWebhook`] with what to change.
    pub fn accept_change(self, allow_private: bool) -> Result<EndpointChange, InvalidWebhook> {
        let name = self.name.trim().to_owned();
        if !(1..=128).contains(&name.chars().count()) {
            return Err(InvalidWebhook::Name);
        }
        let url = Url::parse(&self.url).map_err(InvalidWebhook::NotUrl)?;
        check_url(&url, allow_private)?;
        let secret = match self.secret {
            Some(given) => Some(Secret::from_client(&given).ok_or(InvalidWebhook::Secret)?),
            None => None,
        };
        let filter = self.filter.unwrap_or_default();
        let severities = match filter.severity {
            Some(severities) if severities.is_empty() => return Err(InvalidWebhook::NoSeverity),
            severities => severities.unwrap_or_default(),
        };
        if let Some(rate) = self.rate.filter(|rate| !(1..=FASTEST).contains(rate)) {
            return Err(InvalidWebhook::Rate(rate));
        }
        let types = names("type", filter.r#type)?;
        if let Some(other) = types.iter().find(|name| !TYPES.contains(&name.as_str())) {
            return Err(InvalidWebhook::FilterList {
                list: "type",
                problem: format!("has \"{other}\""),
                allowed: format!("{}; ends follow the beginnings that were sent", TYPES.join(", ")),
            });
        }
        Ok(EndpointChange {
            name,
            url: url.into(),
            secret,
            severities,
            filter: EndpointFilter {
                r#type: types,
                area: names("area", filter.area)?,
                group: names("group", filter.group)?,
            },
            grouping: self.group.unwrap_or_default(),
            rate: self.rate,
        })
    }
}

fn names(list: &'static str, names: Option<Vec<String>>) -> Result<Vec<String>, InvalidWebhook> {
    let Some(names) = names else { return Ok(Vec::new()) };
    let are_good = names.iter().all(|name| (1..=256).contains(&name.len()));
    if (1..=MOST_NAMES).contains(&names.len()) && are_good {
        return Ok(names);
    }
    Err(InvalidWebhook::FilterList {
        list,
        problem: format!("has {} entries, or one that is empty or too long", names.len()),
        allowed: "1 to 64 entries, each of 1 to 256 bytes, or leave it out for all".to_owned(),
    })
}

/// Whether a message may go to `url`, as far as can be told without resolving its host.
pub(super) fn check_url(url: &Url, allow_private: bool) -> Result<(), InvalidWebhook> {
    if !(url.scheme() == "https" || (allow_private && url.scheme() == "http")) {
        return Err(InvalidWebhook::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidWebhook::Credentials);
    }
    let literal = match url.host() {
        None => return Err(InvalidWebhook::NoHost),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
    };
    if allow_private || is_public(literal) {
        Ok(())
    } else {
        Err(InvalidWebhook::NotPublic(literal))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn accept(body: &str, allow_private: bool) -> Result<NewEndpoint, String> {
        let request: WebhookRequest = serde_json::from_str(body).map_err(|error| error.to_string())?;
        request.accept(allow_private).map_err(|error| error.to_string())
    }

    fn with_url(url: &str, allow_private: bool) -> Result<NewEndpoint, String> {
        accept(
            &serde_json::json!({"name": "ops", "url": url}).to_string(),
            allow_private,
        )
    }

    #[test]
    fn only_https_to_hosts_that_may_be_public() {
        assert!(with_url("https://ops.example/hook?token=1", false).is_ok());
        assert!(with_url("https://8.8.8.8/hook", false).is_ok());
        let refused = [
            "http://ops.example/",
            "ftp://ops.example/",
            "ops.example",
            "https://user:word@ops.example/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[64:ff9b::808:808]/",
            "https://[2002:a00:1::1]/",
            "https://[2001::1]/",
            "https://100.64.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1:8443/",
        ];
        for url in refused {
            assert!(with_url(url, false).is_err(), "{url}");
        }
        assert!(with_url("http://127.0.0.1:9/", true).is_ok());
        assert!(with_url("ftp://127.0.0.1/", true).is_err());
    }

    #[test]
    fn a_missing_secret_is_made_and_a_given_one_kept() {
        let made = with_url("https://ops.example/", false).unwrap();
        assert!(made.secret.reveal().starts_with("whsec_"));
        let given = r#"{"name":"ops","url":"https://ops.example/","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","filter":{"severity":["major","critical"]}}"#;
        let given = accept(given, false).unwrap();
        assert_eq!(given.secret.reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(given.severities, [Severity::Major, Severity::Critical]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |body: &str| accept(body, false).unwrap_err();
        assert!(message(r#"{"name":" ","url":"https://a.example"}"#).contains("`name`"));
        assert!(message(r#"{"name":"a","url":"https://a.example","secret":"x"}"#).contains("`secret`"));
        assert!(
            message(r#"{"name":"a","url":"https://a.example","filter":{"severity":[]}}"#)
                .contains("filter.severity")
        );
        assert!(
            message(r#"{"name":"a","url":"https://a.example","filter":{"severity":["huge"]}}"#)
                .contains("minor")
        );
        assert!(message(r#"{"name":"a","url":"https://a.example","ulr":1}"#).contains("ulr"));
    }
}
