//! `riskgrid feeds`: lists the configured feeds, and takes out all that one of them brought in.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use riskgrid_ingest::checkpoint::{CheckpointStore, Files};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::decode::feed::FeedOrigin;
use riskgrid_ingest::identity::node_id;
use riskgrid_ingest::layer_store::LayerStore;
use riskgrid_ingest::purge::{Purge, PurgeError, Purged, PurgedFeed};
use riskgrid_ingest::source::kafka::oldest_offsets;
use serde_json::json;
use tokio::runtime::Handle;

use super::VerbResult;
use crate::audit::Deed;
use crate::config::{Checked, CheckedFeed, Config};
use crate::data_dir;
use crate::database::Database;
use crate::publication::{self, PagePlace};
use crate::server::wall_clock;

/// List or purge.
#[derive(Debug, Subcommand)]
pub(super) enum FeedsVerb {
    /// Print the configured feeds, and how far each partition is read by its newest checkpoint.
    List(StateArguments),
    /// Take out of the grid all that a feed brought in, so that it is read again from its beginning, by a mended mapping
    /// for example. The server must be stopped. Alerts that were raised stay.
    Purge(PurgeArguments),
}

#[derive(Debug, Args)]
pub(super) struct StateArguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the node's state; wins over storage.data_dir.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArguments {
    /// The feed.
    name: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    state: StateArguments,
}

impl StateArguments {
    fn check(&self) -> Result<Checked, crate::config::ConfigError> {
        let data_dir = self.data_dir.as_ref();
        let flags = data_dir.map(|folder| ("storage.data_dir", folder.display().to_string()));
        let flags: Vec<_> = flags.into_iter().collect();
        Config::load(self.config.as_deref(), &flags)?.check()
    }
}

pub(super) async fn run(verb: FeedsVerb) -> VerbResult {
    match verb {
        FeedsVerb::List(arguments) => list(&arguments.check()?),
        FeedsVerb::Purge(arguments) => purge(&arguments.state.check()?, &arguments.name, arguments.yes).await,
    }
}

fn open_checkpoints(
    checked: &Checked,
) -> Result<(CheckpointStore, Files), Box<dyn std::error::Error + Send + Sync>> {
    let storage = &checked.config.storage;
    let (own, shared) = storage.open_checkpoints(&storage.room())?;
    let node = node_id(&storage.data_dir, &own)?;
    Ok((storage.checkpoint_store(own, shared.clone(), &node)?, shared))
}

fn has_state(checked: &Checked) -> bool {
    checked.config.storage.own_checkpoints().is_dir()
}

fn list(checked: &Checked) -> VerbResult {
    let mut out = std::io::stdout().lock();
    let checkpoints = has_state(checked)
        .then(|| open_checkpoints(checked))
        .transpose()?;
    writeln!(out, "feed\tfrom\tclock\tpartition\tnext offset")?;
    for feed in &checked.feeds {
        let from = match &feed.settings.from {
            FeedOrigin::Kafka { topic } => format!("topic {topic}"),
            FeedOrigin::File { path, .. } => format!("file {}", path.display()),
        };
        let start = format!("{}\t{from}\t{}", feed.settings.name, feed.feed.rules.domain);
        let standing = checkpoints.as_ref().map(|(all, _)| all.standing(&feed.topic()));
        let standing = standing.transpose()?.unwrap_or_default();
        for partition in &standing {
            writeln!(
                out,
                "{start}\t{}\t{}",
                partition.id.partition, partition.next_offset
            )?;
        }
        if standing.is_empty() {
            writeln!(out, "{start}\t\t")?;
        }
    }
    Ok(out.flush()?)
}

async fn purge(checked: &Checked, name: &str, is_agreed: bool) -> VerbResult {
    let data_dir = &checked.config.storage.data_dir;
    let feed = checked.feeds.iter().find(|feed| feed.settings.name == name);
    let feed = feed.ok_or_else(|| {
        let names: Vec<&str> = checked
            .feeds
            .iter()
            .map(|feed| feed.settings.name.as_str())
            .collect();
        format!(
            "there is no feed `{name}` in the configuration; there are: {}",
            names.join(", ")
        )
    })?;
    if !has_state(checked) {
        return Err(format!(
            "storage.data_dir {} holds no state; --data-dir names another folder",
            data_dir.display()
        )
        .into());
    }
    data_dir::prepare(data_dir)?;
    let database = match &checked.decisions {
        Some(address) => Database::open_shared(data_dir, address).await,
        None => Database::open(data_dir).await,
    }
    .map_err(|error| format!("{error}. A feed is purged while the server is stopped; nothing was touched"))?;
    let purged = purge_locked(checked, feed, &database, data_dir, is_agreed).await;
    database.close().await;
    if let Some(purged) = purged? {
        println!(
            "purged: {} partitions and {} dead letters. The next start reads the feed from its beginning",
            purged.partitions, purged.letters
        );
    }
    Ok(())
}

/// With the state locked to this process. None when it was not agreed to.
async fn purge_locked(
    checked: &Checked,
    feed: &CheckedFeed,
    database: &Database,
    data_dir: &Path,
    is_agreed: bool,
) -> Result<Option<Purged>, Box<dyn std::error::Error + Send + Sync>> {
    let name = &feed.settings.name;
    let (checkpoints, shared) = open_checkpoints(checked)?;
    let mut layers = LayerStore::open(shared.clone())?;
    let dead_letters = DeadLetterStore::open(&data_dir.join("dead-letters"))?;
    let deed = Deed::of_the_command_line("feeds.purge").to(name);
    let plan = match Purge::unfinished(data_dir)? {
        Some(begun) if begun.feed == *name => begun,
        Some(begun) => return Err(PurgeError::Unfinished(begun.feed).into()),
        None => {
            let purged = PurgedFeed {
                name,
                topic: &feed.topic(),
                domain: &feed.feed.rules.domain,
            };
            let plan = Purge::plan(purged, &checkpoints, &layers)?;
            let standing = checkpoints.standing(&plan.topic)?;
            for partition in &standing {
                println!(
                    "partition {} was read up to offset {}",
                    partition.id, partition.next_offset
                );
            }
            if !plan.layers.is_empty() {
                println!(
                    "layers that only this feed had taught: {}",
                    plan.layers.join(", ")
                );
            }
            say_what_is_gone(checked, feed);
            if !is_agreed && !asked(name)? {
                println!("nothing was touched");
                return Ok(None);
            }
            let filters = json!({"feed": plan.feed, "topic": plan.topic, "layers": plan.layers});
            let count = i64::try_from(standing.len()).unwrap_or(i64::MAX);
            let begun = deed.clone().times(count).with(filters);
            database.audit(&begun, wall_clock().micros()).await?;
            plan.begin(data_dir)?;
            plan
        }
    };
    let are_shared = !checked.config.storage.checkpoints.is_empty();
    let place = PagePlace::of(shared, are_shared, database, Handle::current());
    let named = plan.named.clone();
    let gone = tokio::task::spawn_blocking(move || publication::purge(place, &named)).await??;
    if !gone.is_empty() {
        println!("no longer published, and not again: {}", gone.join(", "));
    }
    match plan.finish(data_dir, &checkpoints, &mut layers, &dead_letters) {
        Ok(purged) => Ok(Some(purged)),
        Err(error) => {
            database.audit_failure(deed, wall_clock().micros()).await;
            Err(error.into())
        }
    }
}

/// What Kafka's retention has deleted cannot be read again.
fn say_what_is_gone(checked: &Checked, feed: &CheckedFeed) {
    let FeedOrigin::Kafka { topic } = &feed.settings.from else {
        return;
    };
    match oldest_offsets(&checked.config.kafka, topic) {
        Ok(oldest) => {
            for (partition, offset) in oldest.into_iter().filter(|(_, offset)| *offset > 0) {
                println!(
                    "partition {topic}/{partition} begins at offset {offset} in Kafka: the {offset} records before are \
                     gone, and are not read again"
                );
            }
        }
        Err(error) => println!(
            "Kafka does not answer ({error}): whether it still has the beginning of topic `{topic}` is not known"
        ),
    }
}

fn asked(name: &str) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody can be asked here: --yes says that it is meant. Nothing was touched".into());
    }
    print!("Take out all that feed `{name}` brought in? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
