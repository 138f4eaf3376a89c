//! `riskgrid sql`: one statement to a running server.

use std::io::Write;

use clap::{Args, ValueEnum};
use reqwest::header::ACCEPT;
use serde_json::json;

use super::VerbResult;

/// What to ask, and whom.
#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// The statement, for example: "SELECT layer, sum(count) FROM cells GROUP BY layer"
    statement: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Json,
    Ndjson,
}

pub(super) async fn run(arguments: SqlArguments) -> VerbResult {
    let media_type = match arguments.format {
        Format::Csv => "text/csv",
        Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
    };
    let url = format!("{}/v1/sql", arguments.url.trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client
        .post(&url)
        .header(ACCEPT, media_type)
        .json(&json!({ "sql": arguments.statement }));
    let mut answer = request
        .send()
        .await
        .map_err(|error| format!("{url} does not answer ({error}); is riskgrid serving there?"))?;
    if !answer.status().is_success() {
        let problem: serde_json::Value = answer.json().await?;
        let detail = problem
            .get("detail")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("the server gave no reason");
        return Err(detail.to_owned().into());
    }
    let mut out = std::io::stdout().lock();
    while let Some(piece) = answer.chunk().await? {
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}
