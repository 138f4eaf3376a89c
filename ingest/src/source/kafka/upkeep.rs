//! Whether what should come does come: the broker's answers, the group's, and the records. When they do not although
//! Kafka is there, the member is made anew, and goes on where the grid stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use super::consumer::Current;
use super::member::Member;
use super::offsets;
use super::status::KafkaStatus;
use super::watch::{Patience, Stalled, Watch};
use crate::log::kafka::KafkaSettings;
use crate::log::kafka::QuietContext;
use crate::pipeline::{PipelineEnded, PipelineHandle};
use crate::threads::lock;
use crate::words::PartitionId;

/// Longest wait for one answer of the broker.
const ANSWER: Duration = Duration::from_secs(1);
/// A turn of the reader that takes longer is one in which it did not wait for records.
const LONG_TURN: Duration = Duration::from_secs(1);

impl ConsumerContext for QuietContext {}

/// Keeps the member going.
pub(super) struct Upkeep {
    settings: KafkaSettings,
    instance_id: String,
    topics: Vec<String>,
    pipeline: PipelineHandle,
    status: Arc<KafkaStatus>,
    current: Current,
    watch: Watch,
    /// With a client that gets no answers, and with a group that gives none.
    silence: Patience,
    /// At the last look no broker answered.
    was_away: bool,
    /// Why the broker may be away.
    doubt: Option<String>,
    /// What librdkafka does not recover from.
    fatal: Option<String>,
}

impl Upkeep {
    pub(super) fn new(
        settings: &KafkaSettings,
        instance_id: &str,
        topics: Vec<String>,
        pipeline: PipelineHandle,
        status: Arc<KafkaStatus>,
        current: Current,
    ) -> Self {
        let now = Instant::now();
        let after = settings.stalled_after();
        Self {
            settings: settings.clone(),
            instance_id: instance_id.to_owned(),
            topics,
            pipeline,
            status,
            current,
            watch: Watch::new(after, now),
            silence: Patience::new(after, now),
            was_away: false,
            doubt: None,
            fatal: None,
        }
    }

    /// The last turn of the reader took so long.
    pub(super) fn turned_after(&mut self, turn: Duration) {
        if turn > LONG_TURN {
            self.watch.put_off(turn);
            self.silence.put_off(turn);
        }
    }

    /// Somebody says that the broker is away.
    pub(super) fn doubt(&mut self, reason: String) {
        self.doubt = Some(reason);
    }

    /// The client will never read again.
    pub(super) fn has_failed(&mut self, error: &KafkaError) {
        if self.fatal.is_none() {
            tracing::error!(%error, "the Kafka client has failed for good; it is made anew soon. Is the id of this node, which its storage.data_dir keeps, another's too?");
            *lock(&self.status.standing) = vec![format!(
                "the Kafka client has failed and is made anew soon: {error}"
            )];
            self.fatal = Some(error.to_string());
        }
    }

    /// Asks whether a broker answers, when none has yet or somebody doubts it.
    pub(super) fn look_for_the_broker(&mut self, member: &Member) {
        let presence = &self.status.presence;
        if presence.is_here() && self.doubt.is_none() {
            return;
        }
        match self.ask(&*member.consumer) {
            Ok(()) => {
                presence.is_back(Instant::now());
                self.doubt = None;
            }
            Err(error) => {
                let reason = self.doubt.take().unwrap_or_else(|| error.to_string());
                presence.is_gone(Instant::now(), &reason);
            }
        }
    }

    /// Something that any broker can answer.
    fn ask<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) -> KafkaResult<()> {
        consumer
            .fetch_metadata(Some(&self.settings.observations), ANSWER)
            .map(drop)
    }

    /// Looks whether what should come does, and makes another member when it does not.
    pub(super) fn look(&mut self, member: &Member) -> Result<Option<Member>, PipelineEnded> {
        let now = Instant::now();
        if !self.watch.is_due(now) {
            return Ok(None);
        }
        let reading = lock(&member.given).reading();
        let reading: BTreeMap<PartitionId, i64> = reading
            .into_iter()
            .filter_map(|id| self.status.next(&id).map(|next| (id, next)))
            .collect();
        let quiet = self.watch.look(now, &reading);
        let reason = match self.fatal.clone() {
            Some(error) if self.silence.is_over(now) => Some(error),
            Some(_) => None,
            None => match self.status.presence.away_since() {
                Some(_) => {
                    self.watch.wait_for_the_broker(now);
                    self.was_away = true;
                    self.deaf(now)
                }
                None if std::mem::take(&mut self.was_away) => {
                    self.silence.once_more(now);
                    None
                }
                None => match self.standing(now, &quiet, member) {
                    Some(reason) => Some(reason),
                    None => self.given_nothing(now, member),
                },
            },
        };
        match reason {
            Some(reason) => self.make_anew(now, &reason),
            None => Ok(None),
        }
    }

    /// The client gets no answer, and another one does.
    fn deaf(&mut self, now: Instant) -> Option<String> {
        if !self.silence.is_over(now) {
            return None;
        }
        self.silence.once_more(now);
        let witness: BaseConsumer<QuietContext> =
            self.settings.client().create_with_context(QuietContext).ok()?;
        let answered = self.ask(&witness).is_ok();
        answered.then(|| "its client gets no answer and another one does".to_owned())
    }

    /// The group does not say what it gives, although there is something to give; or it did, and nobody says what can be
    /// read of it.
    fn given_nothing(&mut self, now: Instant, member: &Member) -> Option<String> {
        let (is_awaited, is_untold) = {
            let given = lock(&member.given);
            (given.is_awaited, given.is_untold)
        };
        if !is_awaited && !is_untold {
            self.silence.begin(now);
            return None;
        }
        let is_over = self.silence.is_over(now);
        let problem = if is_untold {
            "it is not told how far its partitions reach"
        } else {
            "the group does not say which partitions it gives"
        };
        if is_over && is_awaited {
            self.silence.once_more(now);
            let is_there = |topic: &String| offsets::count(&member.consumer, topic).is_ok();
            if !self.topics.iter().any(is_there) {
                return None;
            }
        }
        if is_over || self.silence.has_ended() {
            lock(&self.status.standing).push(format!("the Kafka consumer waits: {problem}"));
        }
        is_over.then(|| problem.to_owned())
    }

    /// Partitions that have records to be read and do not go on, and those of which nobody says whether they have.
    fn standing(&mut self, now: Instant, quiet: &[PartitionId], member: &Member) -> Option<String> {
        let mut ends = BTreeMap::new();
        let mut untold = Vec::new();
        // By topic: one that is gone, or whose broker is away, says nothing of the others.
        for partitions in quiet.chunk_by(|one, next| one.topic == next.topic) {
            match offsets::ends(&member.consumer, partitions) {
                Ok(told) => ends.extend(told),
                Err(error) if is_gone(partitions, member) => {
                    tracing::debug!(%error, "a topic that is read is gone");
                }
                Err(error) => {
                    self.doubt(error.to_string());
                    untold.extend_from_slice(partitions);
                }
            }
        }
        let mut positions = lock(&self.status.positions);
        for (id, end) in &ends {
            if let Some((next, known)) = positions.get_mut(id) {
                *known = (*end).max(*next);
            }
        }
        drop(positions);
        let stalled = self.watch.stalled(now, &ends);
        for Stalled {
            id, next, end, stood, ..
        } in stalled.iter().filter(|stalled| stalled.is_news)
        {
            self.status.has_stalled(id);
            tracing::warn!(partition = %id, next, end, seconds = stood.as_secs(), "a Kafka partition has records to be read and none come");
        }
        let (untold, is_untold_due) = self.watch.untold(now, &untold);
        let made_anew = self.status.made_anew();
        let mut standing: Vec<String> = stalled.iter().map(|stalled| stalled.said(made_anew)).collect();
        if !untold.is_empty() {
            standing.push(format!("Kafka does not say how far {} reach", list(&untold)));
        }
        *lock(&self.status.standing) = standing;
        let mut due: Vec<PartitionId> = stalled
            .into_iter()
            .filter_map(|stalled| stalled.is_due.then_some(stalled.id))
            .collect();
        if is_untold_due {
            due.extend(untold);
        }
        (!due.is_empty()).then(|| format!("{} stand still", list(&due)))
    }

    /// Another member in the place of the one that stands still. It reads on where the grid stands, once all is applied
    /// that was handed over: what comes twice is known by its offset. What this node has claimed it keeps.
    fn make_anew(&mut self, now: Instant, reason: &str) -> Result<Option<Member>, PipelineEnded> {
        self.watch.made_anew(now);
        self.silence.again(now);
        let grid = self.pipeline.next_offsets()?;
        {
            let mut positions = lock(&self.status.positions);
            let spans = lock(&self.status.spans);
            positions.retain(|id, (next, end)| {
                let Some(stands) = grid.get(id) else {
                    // Nothing of it is in the grid: it is read from where its log begins.
                    return false;
                };
                // Nor is anything in the grid of a log that began there, and was empty.
                *next = spans.get(id).map_or(*stands, |(from, _)| *from.max(stands));
                *end = (*end).max(*next);
                true
            });
        }
        let joined = Member::join(
            &self.settings,
            &self.instance_id,
            &self.topics,
            self.pipeline.clone(),
        );
        match joined {
            Ok(member) => {
                self.fatal = None;
                self.status.made_anew.fetch_add(1, Ordering::Relaxed);
                lock(&self.status.reading).clear();
                *lock(&self.current) = Some(Arc::clone(&member.consumer));
                tracing::warn!(
                    reason,
                    "the Kafka consumer is made anew and goes on where the grid stands"
                );
                Ok(Some(member))
            }
            Err(error) => {
                tracing::error!(%error, reason, "the Kafka consumer could not be made anew; it is tried again");
                Ok(None)
            }
        }
    }
}

/// Whether the topic of these partitions is not there any more: it is looked for elsewhere.
fn is_gone(partitions: &[PartitionId], member: &Member) -> bool {
    let count = partitions
        .first()
        .map(|id| offsets::count(&member.consumer, &id.topic));
    count.is_some_and(|count| count.is_err_and(|error| offsets::is_unknown(&error)))
}

fn list(ids: &[PartitionId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}
