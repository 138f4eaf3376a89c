//! `riskgrid keys`: make, list and revoke keys, of a running server or in the folder of a stopped one.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::VerbResult;
use super::answer::{ServerAddress, ask};
use crate::access::{Asked, Key, KeyLimits, NewKey};
use crate::audit::Deed;
use crate::data_dir;
use crate::database::Database;
use crate::server::wall_clock;

/// Make, list or revoke.
#[derive(Debug, Subcommand)]
pub(super) enum KeysVerb {
    /// Print a new key that no server knows yet: for access.first_key_file.
    New,
    /// Make a key and print it, alone: it is shown this once.
    Create(Box<CreateArguments>),
    /// Print all keys that were ever made, without their secrets.
    List(ListArguments),
    /// End a key: what it let in ends within seconds.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    server: ServerAddress,
    /// The folder of a stopped server's state, in the place of a running server.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["url", "key_file"])]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Who or what it is for.
    #[arg(long)]
    name: Option<String>,
    /// public, analyst, operator or admin.
    #[arg(long)]
    role: Option<String>,
    /// It may bring events.
    #[arg(long)]
    ingest: bool,
    /// The layers that it reads, separated by commas. Default: all.
    #[arg(long, value_delimiter = ',')]
    layers: Option<Vec<String>>,
    /// The areas, likewise.
    #[arg(long, value_delimiter = ',')]
    areas: Option<Vec<String>>,
    /// operator, dispatcher, handler, reviewer, supervisor, caller: what its owner does at the hotline, separated by commas.
    #[arg(long, value_delimiter = ',')]
    duties: Option<Vec<String>>,
    /// For which offices, separated by commas. Default: all.
    #[arg(long, value_delimiter = ',')]
    offices: Option<Vec<String>>,
    /// With what the source of events begins that it may bring, separated by commas. Default: anything.
    #[arg(long, value_delimiter = ',')]
    sources: Option<Vec<String>>,
    /// http, flight, postgres, separated by commas. Default: all.
    #[arg(long, value_delimiter = ',')]
    protocols: Option<Vec<String>>,
    /// The addresses and networks from which it may be used, separated by commas. Default: any.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    addresses: Option<Vec<String>>,
    /// How long it is good for, in s, m, h or d, or `never`. Default: 365d.
    #[arg(long, value_name = "SPAN")]
    expires: Option<String>,
    /// The key whose rights it gets, and which ends after the overlap.
    #[arg(long, value_name = "ID")]
    replaces: Option<String>,
    /// How long that one goes on. Default: 24h.
    #[arg(long, value_name = "SPAN")]
    overlap: Option<String>,
    /// Most events a second that it may bring.
    #[arg(long, value_name = "NUMBER")]
    events_per_second: Option<u64>,
    /// Most bytes a second that it may bring.
    #[arg(long, value_name = "NUMBER")]
    bytes_per_second: Option<u64>,
    /// Where it may take less than its role, separated by commas: timeout=10s,rows=1000,sql_per_second=2. Names are those of
    /// [sql.roles.ROLE], and sql_per_second, requests_per_second, streams; sizes are bytes.
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    limits: Option<Vec<String>>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// One JSON object a line, instead of columns.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// Which: `riskgrid keys list` shows them.
    id: String,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(verb: KeysVerb) -> VerbResult {
    match verb {
        KeysVerb::New => {
            println!("{}", Key::random()?.reveal());
            Ok(())
        }
        KeysVerb::Create(arguments) => create(*arguments).await,
        KeysVerb::List(arguments) => list(arguments).await,
        KeysVerb::Revoke(arguments) => revoke(arguments).await,
    }
}

/// Limits as flags have them: numbers, but for spans.
fn read_limits(limits: &[String]) -> Result<KeyLimits, String> {
    let mut members = serde_json::Map::new();
    for limit in limits {
        let (name, value) = limit
            .split_once('=')
            .ok_or_else(|| format!("--limits has `{limit}`; write NAME=VALUE as in rows=1000"))?;
        let value = value
            .parse::<u64>()
            .map_or_else(|_| Value::from(value), Value::from);
        members.insert(name.to_owned(), value);
    }
    serde_json::from_value(members.into()).map_err(|error| format!("--limits: {error}"))
}

async fn create(arguments: CreateArguments) -> VerbResult {
    let new = NewKey {
        name: arguments.name,
        role: arguments.role,
        ingest: arguments.ingest.then_some(true),
        layers: arguments.layers,
        areas: arguments.areas,
        duties: arguments.duties,
        offices: arguments.offices,
        sources: arguments.sources,
        protocols: arguments.protocols,
        addresses: arguments.addresses,
        expires: arguments.expires,
        replaces: arguments.replaces,
        overlap: arguments.overlap,
        events_per_second: arguments.events_per_second,
        bytes_per_second: arguments.bytes_per_second,
        limits: arguments.limits.map(|limits| read_limits(&limits)).transpose()?,
    };
    let (key, shown) = if let Some(folder) = &arguments.place.data_dir {
        create_in(folder, new).await?
    } else {
        let server = &arguments.place.server;
        let request = server.client()?.post(server.at("/v1/keys")).json(&new);
        let mut made: Value = ask(request).await?.json().await?;
        let key = made.get_mut("key").map(Value::take);
        let key = key.as_ref().and_then(Value::as_str).and_then(Key::parse);
        (key.ok_or("the server's answer holds no key")?, made)
    };
    let text = |name: &str| {
        shown
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("never")
            .to_owned()
    };
    eprintln!(
        "key {} of {}; expires {}",
        key.id(),
        text("name"),
        text("expires")
    );
    println!("{}", key.reveal());
    Ok(())
}

async fn create_in(folder: &Path, new: NewKey) -> Result<(Key, Value), Box<dyn Error + Send + Sync>> {
    let draft = new.check()?;
    let key = Key::random()?;
    let deed = Deed::of_the_command_line("keys.create");
    let asked = Asked {
        now: wall_clock().micros(),
        by: &deed,
    };
    let database = open(folder).await?;
    let made = database.create_key(&key, draft, false, &asked).await;
    database.close().await;
    let row = made?.pop().ok_or("no key was made")?;
    Ok((key, row.shown(None)))
}

/// The state of a server that does not run.
async fn open(folder: &Path) -> Result<Database, Box<dyn Error + Send + Sync>> {
    data_dir::prepare(folder)?;
    let database = Database::open(folder).await;
    Ok(database.map_err(|error| format!("{error}. A server that runs is asked with --url"))?)
}

async fn list(arguments: ListArguments) -> VerbResult {
    let keys = match &arguments.place.data_dir {
        Some(folder) => {
            let database = open(folder).await?;
            let keys = database.keys().await;
            database.close().await;
            let mut keys = keys?;
            keys.sort_by(|one, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
            keys.iter().map(|key| key.shown(key.last_used_at)).collect()
        }
        None => list_of(&arguments.place.server).await?,
    };
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(
            out,
            "id\tname\trole\tingest\tlayers\tareas\texpires\trevoked\tlast used"
        )?;
    }
    for key in &keys {
        if arguments.json {
            writeln!(out, "{key}")?;
            continue;
        }
        let text = |name: &str| match key.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.replace(['\t', '\n', '\r'], " "),
            Some(Value::Array(items)) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                items.join(",")
            }
            Some(other) => other.to_string(),
        };
        let columns = [
            "id",
            "name",
            "role",
            "ingest",
            "layers",
            "areas",
            "expires",
            "revoked",
            "last_used",
        ];
        writeln!(out, "{}", columns.map(text).join("\t"))?;
    }
    Ok(out.flush()?)
}

async fn list_of(server: &ServerAddress) -> Result<Vec<Value>, Box<dyn Error + Send + Sync>> {
    let client = server.client()?;
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let request = client.get(server.at(&format!("/v1/keys?limit=1000{after}")));
        let mut page: Value = ask(request).await?.json().await?;
        let rows = page.get_mut("keys").map(Value::take);
        let Some(Value::Array(rows)) = rows else {
            return Err("the server's answer holds no keys".into());
        };
        keys.extend(rows);
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(keys),
        }
    }
}

async fn revoke(arguments: RevokeArguments) -> VerbResult {
    let id = &arguments.id;
    if Key::parse(id).is_some() {
        return Err("that is a whole key; give its id, the twelve letters after `rgk_`".into());
    }
    if let Some(folder) = &arguments.place.data_dir {
        let deed = Deed::of_the_command_line("keys.revoke");
        let asked = Asked {
            now: wall_clock().micros(),
            by: &deed,
        };
        let database = open(folder).await?;
        let revoked = database.revoke_key(id, false, &asked).await;
        database.close().await;
        revoked?;
    } else {
        let server = &arguments.place.server;
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_id || id.is_empty() {
            return Err(format!("`{id}` is no id of a key; `riskgrid keys list` shows them").into());
        }
        ask(server.client()?.delete(server.at(&format!("/v1/keys/{id}")))).await?;
    }
    eprintln!("key {id} is revoked");
    Ok(())
}
