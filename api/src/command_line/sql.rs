//! `riskgrid sql`: one statement to a running server.

use std::io::Write;

use clap::{Args, ValueEnum};
use reqwest::header::ACCEPT;
use serde_json::json;

use super::VerbResult;
use super::answer::{ServerAddress, ask};

/// What to ask, and whom.
#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// The statement, for example: "SELECT layer, sum(count) FROM cells GROUP BY layer"
    statement: String,
    #[command(flatten)]
    server: ServerAddress,
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
    let request = arguments
        .server
        .client()?
        .post(arguments.server.at("/v1/sql"))
        .header(ACCEPT, media_type)
        .json(&json!({ "sql": arguments.statement }));
    let mut answer = ask(request).await?;
    let mut out = std::io::stdout().lock();
    while let Some(piece) = answer.chunk().await? {
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}
