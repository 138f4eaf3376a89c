//! `riskgrid audit`: who looked at raw records, replayed or purged.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::VerbResult;
use super::answer::{ServerAddress, ask, client};

/// How many rows, and of whom.
#[derive(Debug, Args)]
pub(super) struct AuditArguments {
    /// How many at most, newest first.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// One JSON object a line, instead of columns.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

pub(super) async fn run(arguments: AuditArguments) -> VerbResult {
    let url = arguments
        .server
        .at(&format!("/v1/audit?limit={}", arguments.limit));
    let request = client()?.get(url);
    let page: Value = ask(request).await?.json().await?;
    let rows = page.get("audit").and_then(Value::as_array);
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "at\twho\taction\tcount\tfilters")?;
    }
    for row in rows.into_iter().flatten() {
        if arguments.json {
            writeln!(out, "{row}")?;
            continue;
        }
        let text = |name: &str| match row.get(name) {
            Some(Value::String(text)) => text.clone(),
            other => other.map(Value::to_string).unwrap_or_default(),
        };
        writeln!(
            out,
            "{}",
            ["at", "who", "action", "count", "filters"].map(text).join("\t")
        )?;
    }
    Ok(out.flush()?)
}
