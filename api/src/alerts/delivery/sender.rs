//! One attempt: sign, send, read what came back.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use riskgrid_ingest::EventTime;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};
use tokio::time::Instant;
use url::Url;

use super::address::PublicAddresses;
use super::validate::{InvalidWebhook, check_url};
use crate::alerts::webhook::{Attempt, Secret};
use crate::http::retry_after;

/// What is read of an answer's body, at most; the rest is left unread and the connection closed.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// What of a refusal's body is kept to show.
const SHOWN_BODY_CHARS: usize = 200;

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the client for webhooks cannot be made")]
pub struct SenderError(#[from] reqwest::Error);

/// What is sent.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Where to.
    pub url: &'a str,
    /// To sign with.
    pub secret: &'a Secret,
    /// The `webhook-id`.
    pub id: &'a str,
    /// The bytes.
    pub body: &'a str,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] url::ParseError),
    /// It is one that is not allowed.
    #[error(transparent)]
    NotAllowed(#[from] InvalidWebhook),
    /// The secret signs nothing.
    #[error("cannot sign: {0}")]
    Unsigned(#[from] WebhookError),
    /// The receiver cannot be reached, or does not answer.
    #[error("{}", chain(.0))]
    Exchange(#[source] reqwest::Error),
}

/// Sends signed messages. Follows no redirect, uses no proxy, resolves names anew each time.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    allow_private: bool,
}

impl Sender {
    /// A sender that gives up an attempt after `timeout`. Unless `allow_private`, it reaches public addresses by
    /// https only.
    pub fn new(allow_private: bool, timeout: Duration) -> Result<Self, SenderError> {
        // Only the first call in a process installs it; any other finds one that does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = match builder(allow_private, timeout).build() {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "no certificates of authorities: webhooks by https will fail until the package ca-certificates is there"
                );
                let trusts_nobody = rustls::ClientConfig::builder()
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth();
                builder(allow_private, timeout)
                    .tls_backend_preconfigured(trusts_nobody)
                    .build()?
            }
        };
        Ok(Self {
            client,
            allow_private,
        })
    }

    /// Whether addresses that are not public are allowed.
    pub fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Signs a message and sends it once; `now` is the wall clock, the timestamp that is signed.
    pub async fn send(&self, message: &Outgoing<'_>, now: EventTime) -> Attempt {
        let started = Instant::now();
        let outcome = self.exchange(message, now.micros()).await;
        let latency_ms = started.elapsed().as_millis() as u64;
        let attempt = Attempt {
            at: now.micros(),
            status: None,
            latency_ms,
            error: None,
            retry_after: None,
        };
        match outcome {
            Err(not_sent) => Attempt {
                error: Some(not_sent.to_string()),
                ..attempt
            },
            Ok(answer) => {
                let error = (!answer.status.is_success()).then(|| answer.reason());
                let status = Some(answer.status.as_u16());
                Attempt {
                    status,
                    error,
                    retry_after: answer.retry_after,
                    ..attempt
                }
            }
        }
    }

    async fn exchange(&self, message: &Outgoing<'_>, now: i64) -> Result<Answer, NotSent> {
        let Outgoing { secret, id, body, .. } = *message;
        let url = Url::parse(message.url)?;
        // The configuration may be stricter now than when the webhook was made.
        check_url(&url, self.allow_private)?;
        let timestamp = now.div_euclid(1_000_000);
        let signature =
            Webhook::new(secret.reveal()).and_then(|key| key.sign(id, timestamp, body.as_bytes()))?;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp.to_string())
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(body.to_owned());
        let response = request
            .send()
            .await
            .map_err(|error| NotSent::Exchange(error.without_url()))?;
        Ok(Answer::read(response, now).await)
    }
}

struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    shown_body: String,
}

impl Answer {
    async fn read(mut response: Response, now: i64) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers(), now);
        let mut body = Vec::new();
        while body.len() < MAX_BODY_BYTES {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend(chunk.iter().take(MAX_BODY_BYTES - body.len())),
                // The status is the answer; a body that breaks off does not change it.
                Ok(None) | Err(_) => break,
            }
        }
        let shown_body = String::from_utf8_lossy(&body)
            .trim()
            .chars()
            .take(SHOWN_BODY_CHARS)
            .collect();
        Self {
            status,
            retry_after,
            shown_body,
        }
    }

    fn reason(&self) -> String {
        match (self.status.is_redirection(), self.shown_body.as_str()) {
            (true, _) => format!(
                "the receiver answered {}; redirects are not followed",
                self.status
            ),
            (false, "") => format!("the receiver answered {}", self.status),
            (false, body) => format!("the receiver answered {}: {body}", self.status),
        }
    }
}

fn builder(allow_private: bool, timeout: Duration) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("riskgrid/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        // A kept connection would skip the resolver at the next attempt.
        .pool_max_idle_per_host(0);
    if allow_private {
        builder
    } else {
        builder.dns_resolver(Arc::new(PublicAddresses))
    }
}

/// An error with its causes, without the URL, which may hold a token.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_address_is_not_reached_even_by_name_or_when_it_was_stored() {
        let sender = Sender::new(false, Duration::from_secs(5)).unwrap();
        let secret = Secret::random().unwrap();
        for url in [
            "https://localhost:9/",
            "https://127.0.0.1:9/",
            "http://ops.example/",
        ] {
            let message = Outgoing {
                url,
                secret: &secret,
                id: "msg_1",
                body: "{}",
            };
            let attempt = sender.send(&message, EventTime::from_micros(0)).await;
            let error = attempt.error.unwrap();
            assert!(
                error.contains("public") || error.contains("scheme"),
                "{url}: {error}"
            );
        }
    }
}
