//! Replaying dead letters: those of partitions by the pipeline, those of the HTTP intake by the intake's own way.

use std::sync::Arc;

use riskgrid_ingest::EventTime;
use riskgrid_ingest::dead_letter::{DeadLetter, DeadLetterError, DeadLetterStore, HTTP_TOPIC, LetterKey};
use riskgrid_ingest::pipeline::{PipelineHandle, ReplayError, Replayed};
use serde::Serialize;
use tokio::sync::Mutex;

use super::{Choice, Looking};
use crate::access::Caller;
use crate::database::Database;
use crate::intake::{Intake, NotTaken};
use crate::problem::Problem;

/// Letters of one partition that are queued and applied at once.
const AT_ONCE: usize = 1_000;
/// Bytes of records of the HTTP intake that are put into the log at once, or one record.
const BYTES_AT_ONCE: usize = 8 << 20;

/// Replays, one at a time.
#[derive(Clone)]
pub struct Replays {
    /// Held by the one who replays.
    turn: Arc<Mutex<()>>,
    store: DeadLetterStore,
    /// Where the audit is.
    database: Database,
    pipeline: PipelineHandle,
    intake: Arc<Intake>,
    clock: fn() -> EventTime,
}

/// What became of a request to replay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayAnswer {
    /// Of all.
    #[serde(flatten)]
    pub counts: Replayed,
    /// Events of the HTTP intake that are in the log now: they are counted there as any other, once.
    pub logged: u64,
    /// There are more after this one.
    pub next: Option<String>,
}

impl Replays {
    /// Of the letters in `store`: those of partitions by the pipeline, those of HTTP by the intake.
    pub fn new(
        store: DeadLetterStore,
        database: Database,
        pipeline: PipelineHandle,
        intake: Arc<Intake>,
        clock: fn() -> EventTime,
    ) -> Self {
        Self {
            turn: Arc::default(),
            store,
            database,
            pipeline,
            intake,
            clock,
        }
    }
}

/// Replays the letters of `choice` that were not yet, after it is in the audit that `caller` asked for it.
///
/// # Errors
/// One replay at a time; a log or a disk that refuses: what was done until then is in the problem, and can be asked for
/// again with the rest.
pub async fn replay(replays: &Replays, caller: &Caller, choice: Choice) -> Result<ReplayAnswer, Problem> {
    let Ok(turn) = Arc::clone(&replays.turn).try_lock_owned() else {
        return Err(Problem::conflict(
            "another replay is running; try again when it has ended",
        ));
    };
    let (store, asked) = (replays.store.clone(), choice.to_json());
    let (letters, next) = tokio::task::spawn_blocking(move || {
        choice.take(
            &store,
            |letter| letter.replayed.is_none(),
            &mut Looking::to_the_end(),
        )
    })
    .await
    .map_err(|error| Problem::internal(&error))?
    .map_err(|error| Problem::unavailable(error.to_string(), 5))?;
    let count = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    let deed = caller.deed("dead_letters.replay").times(count).with(asked);
    let (database, clock) = (replays.database.clone(), replays.clock);
    database.audit(&deed, clock().micros()).await?;
    let replays = replays.clone();
    let runtime = tokio::runtime::Handle::current();
    // To its end, whether or not somebody still waits for the answer.
    let replayed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut answer = ReplayAnswer {
            next: next.map(|key| key.to_string()),
            ..ReplayAnswer::default()
        };
        let done = replay_all(&replays, &runtime, &letters, &mut answer);
        (answer, done)
    });
    let (answer, done) = replayed.await.map_err(|error| Problem::internal(&error))?;
    match done {
        Ok(()) => Ok(answer),
        Err(why) => {
            database.audit_failure(deed, clock().micros()).await;
            let done = serde_json::to_value(&answer).unwrap_or_default();
            Err(Problem::unavailable(format!("{why}; ask again for the rest"), 5).with("done", done))
        }
    }
}

/// Why the rest is not replayed.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    /// The pipeline does not do it now.
    #[error(transparent)]
    Pipeline(#[from] ReplayError),
    /// The store of letters refuses.
    #[error(transparent)]
    Letters(#[from] DeadLetterError),
    /// The log refuses.
    #[error(transparent)]
    Intake(#[from] NotTaken),
}

fn replay_all(
    replays: &Replays,
    runtime: &tokio::runtime::Handle,
    letters: &[DeadLetter],
    answer: &mut ReplayAnswer,
) -> Result<(), Stopped> {
    let is_same_partition =
        |one: &DeadLetter, other: &DeadLetter| one.topic == other.topic && one.partition == other.partition;
    for of_partition in letters.chunk_by(is_same_partition) {
        let Some(first) = of_partition.first() else {
            continue;
        };
        if *first.topic == *HTTP_TOPIC {
            replay_http(replays, runtime, of_partition, answer)?;
            continue;
        }
        let id = first.key().partition_id();
        for some in of_partition.chunks(AT_ONCE) {
            let keys: Vec<LetterKey> = some.iter().map(DeadLetter::key).collect();
            let count = keys.len() as u64;
            match replays.pipeline.replay(&id, keys) {
                Ok(replayed) => answer.counts.add(&replayed),
                Err(ReplayError::NotHere(_)) => answer.counts.cannot("elsewhere", count),
                Err(ReplayError::NotConfigured(_)) => answer.counts.cannot("not_configured", count),
                Err(error @ (ReplayError::CatchingUp(_) | ReplayError::Store(_) | ReplayError::Ended)) => {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(())
}

/// What the intake refused never was in the log: what is valid now is put there.
fn replay_http(
    replays: &Replays,
    runtime: &tokio::runtime::Handle,
    letters: &[DeadLetter],
    answer: &mut ReplayAnswer,
) -> Result<(), Stopped> {
    let mut waiting = Vec::new();
    let mut bytes = 0;
    for (number, letter) in letters.iter().enumerate() {
        match replays.store.raw(&letter.key())? {
            None => answer.counts.cannot("expired", 1),
            Some(record) if record.bytes.len() as u64 != letter.size => answer.counts.cannot("cut", 1),
            Some(record) => {
                bytes += record.bytes.len();
                waiting.push((letter.clone(), record.bytes));
            }
        }
        if bytes < BYTES_AT_ONCE && number + 1 < letters.len() {
            continue;
        }
        let judged = runtime.block_on(
            replays
                .intake
                .take_again(std::mem::take(&mut waiting), (replays.clock)()),
        )?;
        bytes = 0;
        for taken in judged {
            answer.counts.replayed += 1;
            answer.logged += taken.logged;
            for (reason, count) in taken.refused {
                *answer.counts.refused.entry(reason).or_default() += count;
            }
        }
    }
    Ok(())
}
