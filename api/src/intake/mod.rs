//! The HTTP intake: reads the events of a request, judges what can be judged now, and makes the rest durable.

mod judged;
mod sources;
mod split;

use std::collections::BTreeMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use riskgrid_ingest::dead_letter::{DeadLetter, DeadLetterStore};
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::{Edge, FeedRules, PartitionClock, PlaceCache};
use riskgrid_ingest::grid::{GridReader, GridSnapshot};
use riskgrid_ingest::source::journal::{Journal, JournalError};
use riskgrid_ingest::source::kafka::{DeadLetterTopic, EventProducer};
use riskgrid_ingest::{EventKind, EventTime, LIVE_DOMAIN, Refusal, RefusalReason, Writer};
use serde::Serialize;
use tokio::sync::Semaphore;

use self::judged::Judged;
pub use self::judged::MOST_TOLD;
use self::sources::SourceCheck;
use self::split::lines;
pub use self::split::{RequestForm, for_each_event};
use crate::access::Ingest;
use crate::http::HeldBody;

/// Where accepted events become durable.
pub enum Log {
    /// The embedded journal.
    Journal(Journal),
    /// Kafka, acknowledged by all in-sync replicas.
    Kafka(Box<EventProducer>),
}

/// The answer to `POST /v1/events`.
#[derive(Debug, Serialize)]
pub struct IntakeAnswer {
    /// Events that are durable in the log.
    pub accepted: usize,
    /// Events that were refused, the first [`MOST_TOLD`] of them.
    pub refused: Vec<RefusedEvent>,
    /// How many were refused, when that is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_total: Option<usize>,
}

/// One refused event of a request.
#[derive(Debug, Serialize)]
pub struct RefusedEvent {
    /// Which one, counted from 0; blank lines do not count.
    pub index: usize,
    /// Why, from the closed list.
    pub reason: RefusalReason,
    /// What was seen and what is allowed.
    pub detail: String,
}

/// Refused events could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("refused events could not be kept: {0}")]
struct NotKept(#[source] Box<dyn Error + Send + Sync>);

/// Why the events of a request were not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Nothing of the request is kept; trying again later may help.
    #[error("{0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The body cannot be told into events: it counts as one that is refused.
    #[error("{}", .0.detail)]
    Body(Refusal),
    /// An event is of a source that this key may not bring: nothing of the request is kept.
    #[error("{detail}")]
    ForbiddenSource {
        /// Which one, counted from 0.
        index: usize,
        /// What was seen and what is allowed.
        detail: String,
    },
    /// A defect.
    #[error("a thread of the intake: {0}")]
    Defect(#[from] tokio::task::JoinError),
}

/// The events of one request.
pub struct Posted {
    /// How the body holds them.
    pub form: RequestForm,
    /// The body.
    pub body: Bytes,
    /// The memory that it takes.
    pub(crate) held: Option<HeldBody>,
}

/// What became of a letter that is taken again.
#[derive(Debug, Default)]
pub struct TakenAgain {
    /// Events of it that are in the log now.
    pub logged: u64,
    /// Those that are refused once more, by reason.
    pub refused: BTreeMap<RefusalReason, u64>,
}

/// The intake.
pub struct Intake {
    log: Log,
    edge: Edge,
    max_event: usize,
    reader: GridReader,
    dead_letters: DeadLetterStore,
    dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    /// The offset of the next request with refused events, in the topic `http`.
    next_refused: AtomicI64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Requests that are judged at once: as many as there are processors, beside the threads that serve connections.
    judging: Arc<Semaphore>,
}

impl Intake {
    /// An intake into `log`. `next_refused` goes on where the store of dead letters stands.
    pub fn new(
        log: Log,
        edge: Edge,
        max_event: usize,
        reader: GridReader,
        dead_letters: DeadLetterStore,
        dead_letter_topic: Option<Arc<DeadLetterTopic>>,
        next_refused: i64,
    ) -> Self {
        Self {
            log,
            edge,
            max_event,
            reader,
            dead_letters,
            dead_letter_topic,
            next_refused: AtomicI64::new(next_refused),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            judging: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            )),
        }
    }

    /// Events accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Events refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Room of the journal's disk above the reserve; all there is when Kafka is the log.
    pub fn room(&self) -> u64 {
        match &self.log {
            Log::Journal(journal) => journal.room(),
            Log::Kafka(_) => u64::MAX,
        }
    }

    /// Takes the events of one request, received at `now` from who may bring them.
    ///
    /// # Errors
    /// The log or the disk is not there; the body holds no events, or one that this one may not bring.
    pub async fn take(
        self: &Arc<Self>,
        posted: Posted,
        bringer: Ingest,
        now: EventTime,
    ) -> Result<IntakeAnswer, NotTaken> {
        let intake = Arc::clone(self);
        let Posted { form, body, held } = posted;
        let judged = self
            .beside(move || {
                // Until the body is gone, though its client may be gone before.
                let _held = held;
                let mut judged = Judged::default();
                let judge = Judge::new(&intake, now);
                let mut sources = SourceCheck::of(&bringer);
                let result = for_each_event(&form, &body, |bytes| {
                    let one = judge.one(bytes);
                    sources.add(bytes, &one);
                    judged.add(bytes, one);
                });
                result.map_err(NotTaken::Body)?;
                sources.finish()?;
                bringer.count(judged.count(), body.len(), Instant::now());
                Ok(judged)
            })
            .await?;
        let mut judged = judged.inspect_err(|error| {
            if matches!(error, NotTaken::Body(_)) {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        let accepted = std::mem::take(&mut judged.accepted);
        let count = accepted.len();
        self.ask_for_room(bytes_of(&accepted), judged.bytes_refused())?;
        if count > 0 {
            self.append(accepted, now).await?;
        }
        if judged.refused > 0 {
            let intake = Arc::clone(self);
            judged = self
                .beside(move || intake.keep_refused(&judged, now).map(|()| judged))
                .await??;
        }
        let total = judged.refused;
        self.accepted.fetch_add(count as u64, Ordering::Relaxed);
        self.refused.fetch_add(total as u64, Ordering::Relaxed);
        let refused = judged.told.into_iter().map(|refused| RefusedEvent {
            index: refused.index,
            reason: refused.refusal.reason,
            detail: refused.refusal.detail,
        });
        Ok(IntakeAnswer {
            accepted: count,
            refused: refused.collect(),
            refused_total: (total > MOST_TOLD).then_some(total),
        })
    }

    /// Takes an event that riskgrid itself made; why not, if it is refused: then no letter of it is kept.
    ///
    /// # Errors
    /// The log or the disk is not there.
    pub async fn take_own(&self, event: Vec<u8>, now: i64) -> Result<Option<Refusal>, NotTaken> {
        let now = EventTime::from_micros(now);
        match Judge::new(self, now).one(&event) {
            Err(refusal) => Ok(Some(refusal)),
            Ok((kind, source)) => {
                self.ask_for_room(event.len(), 0)?;
                self.append(vec![(kind, source, event)], now).await?;
                self.accepted.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    /// Does work on a thread beside those that serve connections, when it is its turn.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotTaken> {
        let turn = Arc::clone(&self.judging)
            .acquire_owned()
            .await
            .map_err(|error| NotTaken::Unavailable(error.into()))?;
        Ok(tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await?)
    }

    /// Takes events that were refused, once more: each is judged as when it was received, and put into the log when it
    /// is valid now. Their letters say so when this returns. What a crash in between puts into the log without saying so
    /// is a duplicate there the next time; so is what was valid in a letter of which other events are not.
    ///
    /// # Errors
    /// The log or the disk is not there: nothing of them is in the log.
    pub async fn take_again(
        &self,
        records: Vec<(DeadLetter, Vec<u8>)>,
        now: EventTime,
    ) -> Result<Vec<TakenAgain>, NotTaken> {
        let mut accepted = Vec::new();
        let mut results = Vec::with_capacity(records.len());
        for (letter, bytes) in records {
            let judge = Judge::new(self, letter.time);
            let (mut taken, mut first) = (TakenAgain::default(), None);
            let mut take = |event: &[u8]| match judge.one(event) {
                Ok((kind, source)) => {
                    taken.logged += 1;
                    accepted.push((kind, source, event.to_vec()));
                }
                Err(refusal) => {
                    *taken.refused.entry(refusal.reason).or_default() += 1;
                    first.get_or_insert(refusal);
                }
            };
            if letter.is_lines() {
                lines(&bytes).for_each(take);
            } else {
                take(&bytes);
            }
            results.push((letter.key(), taken, first));
        }
        let count = accepted.len();
        self.ask_for_room(bytes_of(&accepted), results.len())?;
        if count > 0 {
            self.append(accepted, now).await?;
            self.accepted.fetch_add(count as u64, Ordering::Relaxed);
        }
        let noted = results.iter().try_for_each(|(key, _, refusal)| match refusal {
            None => self.dead_letters.mark_replayed(key, now),
            Some(refusal) => self.dead_letters.mark_refused(key, refusal),
        });
        if let Err(error) = noted.and_then(|()| self.dead_letters.persist()) {
            tracing::warn!(%error, "what became of replays is not noted with their dead letters");
        }
        Ok(results.into_iter().map(|(_, taken, _)| taken).collect())
    }

    /// Before anything of a request is written: what is accepted and what is refused are kept both or neither.
    fn ask_for_room(&self, in_log: usize, in_letters: usize) -> Result<(), NotTaken> {
        let bytes = match &self.log {
            Log::Journal(_) => in_log + in_letters,
            Log::Kafka(_) => in_letters,
        };
        if bytes == 0 {
            return Ok(());
        }
        self.dead_letters
            .room()
            .ask(Writer::Intake, bytes as u64)
            .map(drop)
            .map_err(|none| NotTaken::Unavailable(none.into()))
    }

    async fn append(
        &self,
        accepted: Vec<(EventKind, String, Vec<u8>)>,
        now: EventTime,
    ) -> Result<(), NotTaken> {
        match &self.log {
            Log::Journal(journal) => {
                let events = accepted.into_iter().map(|(_, _, bytes)| bytes).collect();
                journal.append(now, events).await.map(drop).map_err(|error| {
                    if !matches!(error, JournalError::Busy) {
                        tracing::error!(%error, "the intake refuses events");
                    }
                    NotTaken::Unavailable(error.into())
                })
            }
            Log::Kafka(producer) => producer
                .produce(&accepted)
                .await
                .map_err(|error| NotTaken::Unavailable(error.into())),
        }
    }

    fn keep_refused(&self, judged: &Judged, now: EventTime) -> Result<(), NotTaken> {
        let offset = self.next_refused.fetch_add(1, Ordering::Relaxed);
        judged
            .keep_refused(offset, now, &self.dead_letters, self.dead_letter_topic.as_deref())
            .map_err(|error| NotTaken::Unavailable(NotKept(error).into()))
    }
}

fn bytes_of(accepted: &[(EventKind, String, Vec<u8>)]) -> usize {
    accepted.iter().map(|(_, _, bytes)| bytes.len()).sum()
}

/// Judges events by themselves, the catalogue and the layers known now. Lateness is their partition's to judge.
struct Judge<'a> {
    intake: &'a Intake,
    now: EventTime,
    rules: FeedRules,
    snapshot: Arc<GridSnapshot>,
}

impl<'a> Judge<'a> {
    /// Of events received at `now`.
    fn new(intake: &'a Intake, now: EventTime) -> Self {
        Self {
            intake,
            now,
            rules: FeedRules {
                domain: LIVE_DOMAIN.to_owned(),
                ..FeedRules::default()
            },
            snapshot: intake.reader.snapshot(),
        }
    }

    /// Judges one, also one on which it fails by a defect: that one is refused, and the others of its request are not.
    fn one(&self, bytes: &[u8]) -> Result<(EventKind, String), Refusal> {
        // Nothing is changed by judging.
        catch_unwind(AssertUnwindSafe(|| self.judge(bytes))).unwrap_or_else(|_| {
            tracing::error!(
                "an event cannot be judged, by a defect of riskgrid; it is kept as a dead letter `poison`"
            );
            let detail =
                "riskgrid failed on it; the log says more. Send it again after an update that mends this";
            Err(Refusal::new(RefusalReason::Poison, detail))
        })
    }

    fn judge(&self, bytes: &[u8]) -> Result<(EventKind, String), Refusal> {
        let (edge, max_event) = (&self.intake.edge, self.intake.max_event);
        if bytes.len() > max_event {
            let detail = format!("{} bytes, edge.max_event is {max_event}", bytes.len());
            return Err(Refusal::new(RefusalReason::TooLarge, detail));
        }
        let judged = edge.judge(
            decode_structured(bytes)?,
            self.now,
            &self.rules,
            PartitionClock::default(),
            &self.snapshot.layers,
            &mut PlaceCache::none(edge.resolution),
        )?;
        Ok((judged.event.kind, judged.event.source.into_owned()))
    }
}
