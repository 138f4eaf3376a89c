//! Asking a running server.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};

use crate::access::{Key, read_key_file};

/// Variable of the environment that holds a key.
const KEY: &str = "RISKGRID_KEY";

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(super) struct ServerAddress {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    #[command(flatten)]
    key: KeyToSend,
}

/// As whom a server is asked.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct KeyToSend {
    /// A file with the key to send, which nobody but its owner can read. Default: what RISKGRID_KEY holds; else none is sent.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl ServerAddress {
    /// The address of a path.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// A client that no proxy is between, with the key to send.
    pub(super) fn client(&self) -> Result<Client, Box<dyn Error + Send + Sync>> {
        Ok(Client::builder()
            .no_proxy()
            .default_headers(self.key.headers()?)
            .build()?)
    }
}

impl KeyToSend {
    /// The headers that say who asks.
    ///
    /// # Errors
    /// What should hold a key does not.
    pub(super) fn headers(&self) -> Result<HeaderMap, Box<dyn Error + Send + Sync>> {
        let key = match (&self.key_file, std::env::var(KEY)) {
            (Some(path), _) => Some(read_key_file(path)?),
            (None, Ok(text)) if !text.trim().is_empty() => {
                Some(Key::parse(text.trim()).ok_or_else(|| {
                    format!("{KEY} holds no key; set it to what `riskgrid keys create` printed")
                })?)
            }
            (None, _) => None,
        };
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

/// Sends a request.
///
/// # Errors
/// Nobody answers, or the answer is a problem: its detail.
pub(super) async fn ask(request: RequestBuilder) -> Result<Response, Box<dyn Error + Send + Sync>> {
    let answer = request.send().await.map_err(|error| {
        format!("no answer ({error}); is riskgrid serving there? --url names another server")
    })?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let problem: serde_json::Value = answer.json().await?;
    let detail = problem
        .get("detail")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("the server gave no reason");
    Err(detail.to_owned().into())
}
