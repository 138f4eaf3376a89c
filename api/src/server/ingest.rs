//! Ingest: the grid as the newest checkpoints have it, and the workers that change it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use riskgrid_ingest::Room;
use riskgrid_ingest::edge::Edge;
use riskgrid_ingest::grid::{GridPublisher, PartitionId};
use riskgrid_ingest::observer::EventObserver;
use riskgrid_ingest::pipeline::{Feed, Pipeline, PipelineHandle, PipelineSettings};
use riskgrid_ingest::source::journal::Journal;
use riskgrid_ingest::source::kafka::DeadLetterTopic;

use super::durable::Durable;
use super::state::State;
use super::{StartError, Started, alerting, lost_journal, waiting, wall_clock};
use crate::alerts::Alerting;
use crate::alerts::evaluation::SensorObserver;
use crate::config::{Checked, Config};
use crate::hotline::desk::Desk;
use crate::hotline::reports::CaseObserver;

/// Sums that windows ask for again take at most this part of what aggregates may take, beside them.
const PART_FOR_BLOCK_SUMS: usize = 16;

/// Ingest that runs.
pub(super) struct Ingest {
    /// Its door.
    pub(super) pipeline: PipelineHandle,
    /// Judges candidates.
    pub(super) edge: Edge,
    /// Where each partition is read on.
    pub(super) offsets: BTreeMap<PartitionId, i64>,
    /// The embedded log, where it is the log or is still read to its end.
    pub(super) journal: Option<Journal>,
    /// Is told of refused records, when Kafka is the log.
    pub(super) dead_letter_topic: Option<Arc<DeadLetterTopic>>,
}

/// What lets readers see the grid; nothing is in it yet.
pub(super) fn grid(checked: &Checked, state: &State) -> GridPublisher {
    let settings = &checked.config.grid;
    GridPublisher::new(
        checked.grid.calendar,
        checked.resolution,
        state.layers.table(),
        settings.idle_after.micros(),
    )
    .with_places(Arc::clone(&checked.places))
    .with_block_sums(settings.memory.as_usize() / PART_FOR_BLOCK_SUMS)
}

/// Restores the grid, looks whether the journal is the one that was read, and starts the workers.
pub(super) async fn start(
    checked: &Checked,
    state: State,
    publisher: GridPublisher,
    (alerting, desk): (&Arc<Alerting>, &Arc<Desk>),
    durable: &Arc<Durable>,
    started: &mut Started,
) -> Result<Ingest, StartError> {
    let config = &checked.config;
    // Somebody took out what it held, so as to begin without.
    let is_journal_emptied = state.checkpoints.is_emptied(&PartitionId::of_journal())?;
    let dead_letter_topic = if config.kafka.is_enabled() {
        Some(Arc::new(DeadLetterTopic::new(&config.kafka)?))
    } else {
        None
    };
    let pipeline = Pipeline {
        grid: checked.grid,
        publisher,
        edge: state.edge.clone(),
        layers: state.layers,
        dead_letters: state.dead_letters,
        dead_letter_topic: dead_letter_topic.clone(),
        topics: topics_of(checked),
        checkpoints: state.checkpoints,
        attempts: Some(config.storage.data_dir.join("attempts")),
        observer: observers(checked, alerting, desk),
        on_checkpoint: durable.listener(),
        settings: settings(config),
        clock: wall_clock,
    };
    let restored = waiting(move || Ok(pipeline.restore()?)).await?;
    let offsets = restored.offsets().clone();
    let journal = open_journal(config, state.room)?;
    if let Some(journal) = &journal
        && !is_journal_emptied
    {
        let read_to = offsets.get(&PartitionId::of_journal()).copied();
        lost_journal::check(journal, read_to, &config.storage.data_dir.join("journal"))?;
    }
    let (handle, _) = restored.start()?;
    let stopping = handle.clone();
    started.push("ingest", async move { Ok(stopping.stop().await?) });
    Ok(Ingest {
        pipeline: handle,
        edge: state.edge,
        offsets,
        journal,
        dead_letter_topic,
    })
}

fn settings(config: &Config) -> PipelineSettings {
    PipelineSettings {
        publish_every: config.grid.publish_every.0,
        checkpoint_every: config.storage.checkpoint_every.0,
        max_event: config.edge.max_event.as_usize(),
        grid_bytes: config.grid.memory.as_usize(),
        workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

/// Makes what each worker tells of events: its rules, and cases.
fn observers(
    checked: &Checked,
    alerting: &Arc<Alerting>,
    desk: &Arc<Desk>,
) -> Box<dyn Fn() -> Box<dyn EventObserver> + Send> {
    let (alerting, desk, policy) = (Arc::clone(alerting), Arc::clone(desk), alerting::policy(checked));
    let runtime = tokio::runtime::Handle::current();
    Box::new(move || {
        let rules = SensorObserver::new(Arc::clone(&alerting), policy.clone(), runtime.clone());
        Box::new(CaseObserver::new(
            Box::new(rules),
            Arc::clone(&desk),
            runtime.clone(),
        ))
    })
}

/// Without Kafka the journal is the log. With Kafka one that is there from before is still read to its end.
fn open_journal(config: &Config, room: Room) -> Result<Option<Journal>, StartError> {
    let folder = config.storage.data_dir.join("journal");
    if config.kafka.is_enabled() && !folder.exists() {
        return Ok(None);
    }
    Ok(Some(Journal::open_within(&folder, room)?))
}

/// What is read, as partitions name it, and the feed that maps it.
fn topics_of(checked: &Checked) -> HashMap<Arc<str>, Option<Arc<Feed>>> {
    let kafka = &checked.config.kafka;
    let mut topics = HashMap::from([(PartitionId::of_journal().topic, None)]);
    if kafka.is_enabled() {
        let own = [&kafka.observations, &kafka.reports, &kafka.positions];
        topics.extend(own.map(|topic| (topic.as_str().into(), None)));
    }
    topics.extend(
        checked
            .feeds
            .iter()
            .map(|feed| (feed.topic(), Some(Arc::clone(&feed.feed)))),
    );
    topics
}
