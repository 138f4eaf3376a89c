//! Asking a running server.

use std::error::Error;

use clap::Args;
use reqwest::{Client, RequestBuilder, Response};

/// Which server.
#[derive(Debug, Args)]
pub(super) struct ServerAddress {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl ServerAddress {
    /// The address of a path.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }
}

/// A client that no proxy is between.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder().no_proxy().build()
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
