//! The sources: what reads the log into the pipeline.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use riskgrid_ingest::decode::feed::FeedOrigin;
use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::pipeline::Feed;
use riskgrid_ingest::source::kafka::{KafkaSource, KafkaStatus, TopicError, create_own_topics};

use super::durable::Durable;
use super::ingest::Ingest;
use super::readers::{FileFeed, Readers};
use super::{ServerOptions, StartError, Started};
use crate::config::{Checked, Config};

/// How often topics that are not there are asked for.
const TOPICS_EVERY: Duration = Duration::from_secs(1);

/// What the sources tell of themselves.
pub(super) struct Sources {
    /// Where the journal is read from and its end now, when there is one.
    pub(super) journal: Option<(i64, i64)>,
    /// The Kafka source, when there is one.
    pub(super) kafka: Option<Arc<KafkaStatus>>,
}

/// Starts to read the journal, the files and Kafka.
pub(super) fn start(
    checked: &Checked,
    reading: (&Path, &ServerOptions),
    node: &str,
    ingest: &Ingest,
    durable: &Arc<Durable>,
    started: &mut Started,
) -> Result<Sources, StartError> {
    let config = &checked.config;
    let mut readers = Readers::default();
    let read = start_readers(&mut readers, checked, reading, ingest, durable);
    // Also those that had started before one could not.
    started.push("readers", async move {
        // They may wait for room in the pipeline's queue.
        if tokio::task::spawn_blocking(|| readers.stop()).await.is_err() {
            tracing::error!("stopping the readers failed inside");
        }
        Ok(())
    });
    let journal = read?;
    let kafka = if config.kafka.is_enabled() {
        Some(start_kafka(checked, node, ingest, durable, started)?)
    } else {
        None
    };
    Ok(Sources { journal, kafka })
}

/// The threads that read the journal and files; where the journal is read from, and its end.
fn start_readers(
    readers: &mut Readers,
    checked: &Checked,
    (folder, options): (&Path, &ServerOptions),
    ingest: &Ingest,
    durable: &Durable,
) -> Result<Option<(i64, i64)>, StartError> {
    let next_offset = |id: &PartitionId| ingest.offsets.get(id).copied().unwrap_or(0);
    let mut span = None;
    if let Some(journal) = &ingest.journal {
        let offset = next_offset(&PartitionId::of_journal());
        span = Some((offset, journal.end()));
        durable.journal.store(offset, Ordering::Relaxed);
        readers.read_journal(journal.clone(), offset, ingest.pipeline.clone())?;
    }
    for feed in &checked.feeds {
        if let FeedOrigin::File { .. } = &feed.settings.from {
            readers.read_file(
                FileFeed {
                    feed: Arc::clone(&feed.feed),
                    settings: &feed.settings,
                    folder,
                    speed: options.speed,
                    max_event: checked.config.edge.max_event.as_usize(),
                    offset: next_offset(&PartitionId::of_file(&feed.settings.name)),
                },
                ingest.pipeline.clone(),
                super::wall_clock,
            )?;
        }
    }
    Ok(span)
}

fn start_kafka(
    checked: &Checked,
    node: &str,
    ingest: &Ingest,
    durable: &Arc<Durable>,
    started: &mut Started,
) -> Result<Arc<KafkaStatus>, StartError> {
    let config = &checked.config;
    started.push_task("riskgrid's own topics", tokio::spawn(make_topics(config.clone())));
    let mut source = KafkaSource::start(
        &config.kafka,
        node,
        topics(checked),
        &ingest.offsets,
        ingest.pipeline.clone(),
    )?;
    durable.commit_to(&source);
    let status = source.status();
    let durable = Arc::clone(durable);
    started.push("kafka", async move {
        let stopped = tokio::task::spawn_blocking(move || {
            source.stop();
            durable.leave_last(source);
        });
        if stopped.await.is_err() {
            tracing::error!("stopping the Kafka source failed inside");
        }
        Ok(())
    });
    Ok(status)
}

/// The feeds of topics that are mapped.
fn topics(checked: &Checked) -> HashMap<String, Arc<Feed>> {
    let topics = checked.feeds.iter().filter_map(|feed| match &feed.settings.from {
        FeedOrigin::Kafka { topic } => Some((topic.clone(), Arc::clone(&feed.feed))),
        FeedOrigin::File { .. } => None,
    });
    topics.collect()
}

async fn make_topics(config: Config) {
    let mut pause = tokio::time::interval(TOPICS_EVERY);
    pause.tick().await;
    while let Err(error) = create_own_topics(&config.kafka).await {
        if matches!(error, TopicError::Refused { .. }) {
            tracing::warn!(%error, "riskgrid's own topics are not all there");
        } else {
            tracing::debug!(%error, "riskgrid's own topics are not there yet");
        }
        pause.tick().await;
    }
}
