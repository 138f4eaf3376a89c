//! `riskgrid audit`: who did what, and whether the rows still are what was written.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;

use super::VerbResult;
use super::answer::{ServerAddress, ask};
use crate::audit::{AuditRow, Link, Verification};
use crate::data_dir;
use crate::database::Database;

/// Rows of one request.
const PAGE: u32 = 1_000;

/// How many rows, and of whom.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArguments {
    #[command(subcommand)]
    verb: Option<AuditVerb>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Look whether every row hangs on the one before; says the first that does not.
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// How many at most, newest first.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// One JSON object a line, instead of columns.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// Where the audit stood once, as the log of the server says it hourly: whoever rewrites all rows cannot rewrite that.
    #[arg(long, value_name = "SEQ:HASH", value_parser = read_link)]
    head: Option<Link>,
    /// The folder of a stopped server's state, in the place of a running server.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["url", "key_file"])]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    server: ServerAddress,
}

fn read_link(text: &str) -> Result<Link, String> {
    Link::parse(text)
        .ok_or_else(|| "write it as the log does: a number, `:` and 64 hexadecimal digits".to_owned())
}

pub(super) async fn run(arguments: AuditArguments) -> VerbResult {
    match arguments.verb {
        None => list(arguments.list).await,
        Some(AuditVerb::Verify(arguments)) => verify(arguments).await,
    }
}

async fn list(arguments: ListArguments) -> VerbResult {
    let url = arguments
        .server
        .at(&format!("/v1/audit?limit={}", arguments.limit));
    let request = arguments.server.client()?.get(url);
    let page: Value = ask(request).await?.json().await?;
    let rows = page.get("audit").and_then(Value::as_array);
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "at\twho\tvia\taddress\taction\tobject\tcount\tdetail")?;
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
        let columns = [
            "at", "who", "via", "address", "action", "object", "count", "detail",
        ];
        writeln!(out, "{}", columns.map(text).join("\t"))?;
    }
    Ok(out.flush()?)
}

async fn verify(arguments: VerifyArguments) -> VerbResult {
    let mut verification = Verification::new(arguments.head);
    let base = match &arguments.data_dir {
        Some(folder) => {
            data_dir::prepare(folder)?;
            let database = Database::open(folder)
                .await
                .map_err(|error| format!("{error}. A server that runs is asked with --url"))?;
            let base = look_through(&database, &mut verification).await;
            database.close().await;
            base?
        }
        None => ask_through(&arguments.server, &mut verification).await?,
    };
    let verified = verification.finish(&base)?;
    println!(
        "{} rows hang together; the newest is {}",
        verified.rows, verified.newest
    );
    Ok(())
}

async fn look_through(
    database: &Database,
    verification: &mut Verification,
) -> Result<Link, Box<dyn Error + Send + Sync>> {
    let mut before = i64::MAX;
    loop {
        let rows = database.audit_rows(before, PAGE).await?;
        let Some(last) = rows.last() else {
            return Ok(database.audit_base().await?);
        };
        before = last.seq;
        for row in &rows {
            verification.add(row);
        }
    }
}

#[derive(Deserialize)]
struct Page {
    audit: Vec<AuditRow>,
    next: Option<i64>,
    base: Link,
}

async fn ask_through(
    server: &ServerAddress,
    verification: &mut Verification,
) -> Result<Link, Box<dyn Error + Send + Sync>> {
    let client: Client = server.client()?;
    let mut after = String::new();
    loop {
        let request = client.get(server.at(&format!("/v1/audit?limit={PAGE}{after}")));
        let page: Page = ask(request).await?.json().await?;
        page.audit.iter().for_each(|row| verification.add(row));
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(page.base),
        }
    }
}
