//! Lines to a server: one request after the other, so that the order is kept, each until it is acknowledged.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use riskgrid_fixtures::load::Line;
use serde_json::Value;

use super::super::VerbResult;
use crate::http::retry_after;

/// How long a server may be away, once it has been there.
const PATIENCE: Duration = Duration::from_mins(2);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// More is not waited for, whatever `Retry-After` says.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

pub(super) struct HttpTarget {
    client: reqwest::Client,
    url: String,
    bar: ProgressBar,
    tried: bool,
    sent_again: u64,
}

/// Why a request was not acknowledged.
enum Trouble {
    /// Trying again will not help.
    Lasting(String),
    /// It may help, after the pause that the server asks for.
    Passing {
        why: String,
        never_reached: bool,
        after: Option<Duration>,
    },
}

impl HttpTarget {
    /// `headers` say who sends.
    pub(super) fn new(url: &str, headers: HeaderMap, bar: ProgressBar) -> reqwest::Result<Self> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1/events").unwrap_or(base);
        Ok(Self {
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(ANSWER_TIMEOUT)
                .default_headers(headers)
                .build()?,
            url: format!("{base}/v1/events"),
            bar,
            tried: false,
            sent_again: 0,
        })
    }

    pub(super) async fn send(&mut self, lines: &[Line]) -> VerbResult {
        let mut body = Vec::new();
        for line in lines {
            body.extend_from_slice(line.json.as_bytes());
            body.push(b'\n');
        }
        let body = Bytes::from(body);
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let is_first = !self.tried;
            self.tried = true;
            let (why, after) = match self.post(body.clone(), lines.len()).await {
                Ok(()) => {
                    self.bar.set_message("");
                    return Ok(());
                }
                Err(Trouble::Lasting(why)) => return Err(why.into()),
                Err(Trouble::Passing {
                    why, never_reached, ..
                }) if is_first && never_reached => {
                    let url = &self.url;
                    return Err(format!("{url} does not answer ({why}); is riskgrid serving there?").into());
                }
                Err(Trouble::Passing { why, after, .. }) => (why, after),
            };
            if began.elapsed() > PATIENCE {
                let url = &self.url;
                return Err(format!(
                    "{url}: {why}; given up after {PATIENCE:?}. The last {} lines were not acknowledged and may have arrived or not",
                    lines.len()
                )
                .into());
            }
            self.sent_again += 1;
            self.bar.set_message(format!("trying again: {why}"));
            tokio::time::sleep(after.unwrap_or(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn post(&self, body: Bytes, lines: usize) -> Result<(), Trouble> {
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body);
        let lost = |error: &reqwest::Error| Trouble::Passing {
            why: innermost(error),
            never_reached: error.is_connect(),
            after: None,
        };
        let answer = request.send().await.map_err(|error| {
            if error.is_builder() {
                Trouble::Lasting(format!("{}: {}", self.url, innermost(&error)))
            } else {
                lost(&error)
            }
        })?;
        let status = answer.status();
        let now = crate::server::wall_clock().micros();
        let after = retry_after(answer.headers(), now).map(|pause| pause.min(LONGEST_RETRY_AFTER));
        let text = answer.bytes().await.map_err(|error| lost(&error))?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let accepted = value.get("accepted").and_then(Value::as_u64);
        if let Some(accepted) = accepted.filter(|_| matches!(status.as_u16(), 202 | 400)) {
            let named = value.get("refused").and_then(Value::as_array).map_or(0, Vec::len) as u64;
            let refused = value
                .get("refused_total")
                .and_then(Value::as_u64)
                .unwrap_or(named);
            if accepted + refused == lines as u64 {
                return Ok(());
            }
            return Err(Trouble::Lasting(format!(
                "{} answered for {} of {lines} lines",
                self.url,
                accepted + refused
            )));
        }
        let detail = value
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        let why = format!("{status}: {detail}");
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Trouble::Passing {
                why,
                never_reached: false,
                after,
            });
        }
        Err(Trouble::Lasting(format!("{}: {why}", self.url)))
    }

    pub(super) fn remarks(&self) -> String {
        if self.sent_again == 0 {
            return String::new();
        }
        format!(
            "Requests were sent again, {} times: what the server had kept of them counts as duplicate beyond the expected, \
             and bad lines may be dead letters twice. Layers are exact all the same.\n",
            self.sent_again
        )
    }
}

/// The cause of all, which names what happened; the outer ones name the URL again.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
