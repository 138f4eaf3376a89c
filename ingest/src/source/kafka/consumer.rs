//! The consumer group member as the shell has it: started, asked, stopped and closed.
//!
//! A partition that the group gives is claimed first, so that who had it before can write no more of it, and read from
//! where its checkpoint stands. Before the group takes partitions away what was read of them is saved; they stay in the
//! grid until it is known that they went to another node.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult};

use super::member::{self, GroupConsumer, Member};
use super::reader::Reader;
use super::status::KafkaStatus;
use super::taking_up::TakingUp;
use super::upkeep::Upkeep;
use crate::log::Feed;
use crate::log::kafka::KafkaSettings;
use crate::pipeline::PipelineHandle;
use crate::threads::lock;
use crate::words::PartitionId;

/// The member that is read, another one after it was made anew; none once it is closed.
pub(super) type Current = Arc<Mutex<Option<Arc<GroupConsumer>>>>;

/// The running source.
pub struct KafkaSource {
    current: Current,
    status: Arc<KafkaStatus>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl KafkaSource {
    /// Joins the group and starts reading on a thread of its own. `offsets` are those of the checkpoints; `feeds` maps
    /// topics to their mapping.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn start(
        settings: &KafkaSettings,
        instance_id: &str,
        feeds: HashMap<String, Arc<Feed>>,
        offsets: &BTreeMap<PartitionId, i64>,
        pipeline: PipelineHandle,
    ) -> KafkaResult<Self> {
        let own = [&settings.observations, &settings.reports, &settings.positions];
        let topics: Vec<String> = own.into_iter().chain(feeds.keys()).cloned().collect();
        let positions: BTreeMap<PartitionId, (i64, i64)> = offsets
            .iter()
            .filter(|(id, _)| topics.iter().any(|topic| **topic == *id.topic))
            .map(|(id, next)| (id.clone(), (*next, *next)))
            .collect();
        let status = Arc::new(KafkaStatus::new(positions, Instant::now()));
        let member = Member::join(settings, instance_id, &topics, pipeline.clone())?;
        let current: Current = Arc::new(Mutex::new(Some(Arc::clone(&member.consumer))));
        let reader = Reader {
            member,
            taking_up: TakingUp {
                topics: topics.clone(),
                pipeline: pipeline.clone(),
                status: Arc::clone(&status),
                look_for_claims_at: Instant::now(),
            },
            upkeep: Upkeep::new(
                settings,
                instance_id,
                topics,
                pipeline.clone(),
                Arc::clone(&status),
                Arc::clone(&current),
            ),
            status: Arc::clone(&status),
            feeds,
            pipeline,
            warned_topics: HashSet::new(),
            complaints: HashMap::new(),
            complaint: None,
            held_up: Duration::ZERO,
        };
        let thread = std::thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(move || reader.run())
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self {
            current,
            status,
            thread: Some(thread),
        })
    }

    /// What it is doing.
    pub fn status(&self) -> Arc<KafkaStatus> {
        Arc::clone(&self.status)
    }

    /// Tells the group, for lag tools to see, how far checkpoints reach.
    pub fn committer(&self) -> impl Fn(&[(PartitionId, i64)]) + Send + use<> {
        let (current, status) = (Arc::clone(&self.current), Arc::clone(&self.status));
        move |offsets| {
            let Some(consumer) = lock(&current).clone() else {
                return;
            };
            let reading = lock(&status.reading).clone();
            // The last one is sent whatever became of the one before.
            let is_last = status.stopping.load(Ordering::Relaxed);
            member::commit(&consumer, offsets, &reading, is_last);
        }
    }

    /// Stops reading; what was read is with the pipeline.
    pub fn stop(&mut self) {
        self.status.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the kafka thread panicked");
        }
    }

    /// Closes the group member, when all that was read is saved and committed.
    pub fn close(self) {
        if let Some(consumer) = lock(&self.current).take() {
            member::close(consumer);
        }
    }
}
