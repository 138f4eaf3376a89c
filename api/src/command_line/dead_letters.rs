//! `riskgrid dead-letters`: lists and replays refused records of a running server.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Url;
use serde_json::{Map, Value, json};

use super::VerbResult;
use super::answer::{ServerAddress, ask};

/// Rows of one request.
const PAGE: usize = 1_000;

/// List or replay.
#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersVerb {
    /// Print refused records, in order of topic, partition and offset.
    List(ListArguments),
    /// Judge refused records anew, after a mapping was mended, say: what is valid now is counted, once.
    Replay(ReplayArguments),
}

#[derive(Debug, Args)]
struct Filters {
    /// Only those of this reason, for example invalid_position.
    #[arg(long)]
    reason: Option<String>,
    /// Only those of this topic: a Kafka topic, journal, file:NAME, or http for what the HTTP intake refused.
    #[arg(long)]
    topic: Option<String>,
    /// Only those received from here on, RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those received before, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this one.
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET/INDEX")]
    key: Option<String>,
}

impl Filters {
    fn members(&self) -> Map<String, Value> {
        let filters = [
            ("reason", &self.reason),
            ("topic", &self.topic),
            ("since", &self.since),
            ("until", &self.until),
            ("key", &self.key),
        ];
        let given = filters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)));
        given
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect()
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    filters: Filters,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// With the bytes of each record, in base64. They may hold personal data: each access is in the audit.
    #[arg(long)]
    raw: bool,
    /// One JSON object a line, instead of columns.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    filters: Filters,
    /// How many at most. Default: all.
    #[arg(long)]
    limit: Option<usize>,
    /// What became of them as JSON, instead of words.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

pub(super) async fn run(verb: DeadLettersVerb) -> VerbResult {
    match verb {
        DeadLettersVerb::List(arguments) => list(arguments).await,
        DeadLettersVerb::Replay(arguments) => replay(arguments).await,
    }
}

async fn list(arguments: ListArguments) -> VerbResult {
    let client = arguments.server.client()?;
    let mut out = std::io::stdout().lock();
    let mut parameters = arguments.filters.members();
    if arguments.raw {
        parameters.insert("raw".to_owned(), "true".into());
    }
    let mut left = arguments.limit;
    if !arguments.json {
        let raw = if arguments.raw { "\traw" } else { "" };
        writeln!(out, "key\ttime\treason\tsize\treplayed\tdetail{raw}")?;
    }
    while left > 0 {
        parameters.insert("limit".to_owned(), left.min(PAGE).to_string().into());
        let pairs = parameters
            .iter()
            .map(|(name, value)| (name, value.as_str().unwrap_or_default()));
        let url = Url::parse_with_params(&arguments.server.at("/v1/dead-letters"), pairs)?;
        let request = client.get(url);
        let page: Value = ask(request).await?.json().await?;
        let rows = page.get("dead_letters").and_then(Value::as_array);
        let rows = rows.ok_or("the server's answer holds no rows")?;
        for row in rows {
            if arguments.json {
                writeln!(out, "{row}")?;
                continue;
            }
            let text = |name: &str| match row.get(name) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.replace(['\t', '\n', '\r'], " "),
                Some(other) => other.to_string(),
            };
            let mut columns: Vec<String> = ["key", "time", "reason", "size", "replayed", "detail"]
                .map(text)
                .into();
            if arguments.raw {
                columns.push(text("raw"));
            }
            writeln!(out, "{}", columns.join("\t"))?;
        }
        left = left.saturating_sub(rows.len());
        match page.get("next") {
            Some(Value::String(next)) => parameters.insert("after".to_owned(), next.clone().into()),
            _ => break,
        };
    }
    Ok(out.flush()?)
}

async fn replay(arguments: ReplayArguments) -> VerbResult {
    let client = arguments.server.client()?;
    let mut body = arguments.filters.members();
    let mut left = arguments.limit;
    let mut all = json!({});
    while left != Some(0) {
        if let Some(left) = left {
            body.insert("limit".to_owned(), left.min(PAGE).into());
        }
        let request = client
            .post(arguments.server.at("/v1/dead-letters/replay"))
            .json(&body);
        let mut answer: Value = ask(request).await?.json().await?;
        let next = answer.get_mut("next").map(Value::take);
        if let Value::Object(members) = &mut answer {
            members.remove("next");
        }
        let done = number(&answer, "replayed")
            + numbers(&answer, "not_replayable")
                .map(|(_, count)| count)
                .sum::<u64>();
        left = left.map(|left| left.saturating_sub(usize::try_from(done).unwrap_or(usize::MAX)));
        add(&mut all, &answer);
        match next {
            Some(Value::String(next)) => body.insert("after".to_owned(), next.into()),
            _ => break,
        };
    }
    if arguments.json {
        println!("{all}");
        return Ok(());
    }
    println!("replayed        {}", number(&all, "replayed"));
    println!("valid, counted  {}", number(&all, "accepted"));
    println!("duplicate       {}", number(&all, "duplicate"));
    println!("in the log      {}", number(&all, "logged"));
    for (title, name) in [
        ("refused again ", "refused"),
        ("not replayable", "not_replayable"),
    ] {
        for (why, count) in numbers(&all, name) {
            println!("{title}  {count} {why}");
        }
    }
    Ok(())
}

fn number(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn numbers<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = (&'a str, u64)> {
    let members = answer.get(name).and_then(Value::as_object);
    members
        .into_iter()
        .flatten()
        .map(|(name, count)| (name.as_str(), count.as_u64().unwrap_or(0)))
}

/// Adds the numbers of one object to those of another, members of members too.
fn add(sum: &mut Value, other: &Value) {
    match other {
        Value::Object(members) => {
            for (name, value) in members {
                if sum.get(name).is_none() {
                    let none = if value.is_object() { json!({}) } else { json!(0) };
                    sum.as_object_mut().map(|sum| sum.insert(name.clone(), none));
                }
                if let Some(place) = sum.get_mut(name) {
                    add(place, value);
                }
            }
        }
        other => *sum = json!(sum.as_u64().unwrap_or(0) + other.as_u64().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_several_requests_is_added_up() {
        let mut sum = json!({});
        add(&mut sum, &json!({"replayed": 2, "refused": {"too_late": 1}}));
        add(
            &mut sum,
            &json!({"replayed": 3, "refused": {"too_late": 2, "malformed": 1}}),
        );
        assert_eq!(
            sum,
            json!({"replayed": 5, "refused": {"too_late": 3, "malformed": 1}})
        );
    }
}
