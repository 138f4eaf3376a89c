//! The embedded journal: the log of a node without Kafka, with offsets like Kafka's.
//!
//! One thread commits: the requests that wait at that moment become one batch and one fsync (group commit), and each
//! request is one entry. An entry is acknowledged only after its fsync. After a failed write the store is closed and opened
//! again before anything else is accepted, because what follows a torn write would be lost at the next start.

mod entry;
mod error;
mod open_store;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fjall::PersistMode;
use tokio::sync::oneshot;

use crate::disk::{Room, Writer};
use crate::threads::lock;
use crate::words::EventTime;
use entry::{bytes_of, decode, encode, key};
use open_store::{EXPIRED_AT_ONCE, OpenStore};

pub use entry::{AtMost, JournalEntry, rewritten};
pub use error::JournalError;

/// Requests waiting for the committer. When it is full, appending answers [`JournalError::Busy`].
const WAITING_REQUESTS: usize = 256;
/// Requests of one group commit.
const GROUP: usize = 256;
/// How often the committer tries to open a store that it had to close.
const RETRY: Duration = Duration::from_millis(200);

struct Append {
    received: EventTime,
    events: Vec<Vec<u8>>,
    done: oneshot::Sender<Result<i64, JournalError>>,
}

struct Shared {
    folder: PathBuf,
    store: Mutex<Option<OpenStore>>,
    /// The offset after the last durable entry.
    end: AtomicI64,
    grown: Condvar,
    grown_guard: Mutex<()>,
    room: Room,
}

/// The journal. Clones share it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    appends: SyncSender<Append>,
}

impl Journal {
    /// Opens the journal in a folder of its own. At least `reserve` bytes of its disk stay free.
    ///
    /// # Errors
    /// When the folder cannot be made or another process has it open.
    pub fn open(folder: &Path, reserve: u64) -> Result<Self, JournalError> {
        Self::open_within(folder, Room::new(folder, reserve))
    }

    /// The same, which leaves free what `room` says.
    ///
    /// # Errors
    /// When the folder cannot be made, is damaged, or another process has it open.
    pub fn open_within(folder: &Path, room: Room) -> Result<Self, JournalError> {
        let store = OpenStore::open(folder)?;
        let end = store.end()?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            store: Mutex::new(Some(store)),
            end: AtomicI64::new(end),
            grown: Condvar::new(),
            grown_guard: Mutex::new(()),
            room,
        });
        let (appends, waiting) = sync_channel(WAITING_REQUESTS);
        let committer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.commit_all(&waiting))
            .map_err(JournalError::Thread)?;
        Ok(Self { shared, appends })
    }

    /// Appends the events of one request; returns its offset once it is durable.
    ///
    /// # Errors
    /// Then nothing of the request is kept.
    pub async fn append(&self, received: EventTime, events: Vec<Vec<u8>>) -> Result<i64, JournalError> {
        let (done, result) = oneshot::channel();
        self.appends
            .try_send(Append {
                received,
                events,
                done,
            })
            .map_err(|error| match error {
                TrySendError::Full(_) => JournalError::Busy,
                TrySendError::Disconnected(_) => JournalError::Closed,
            })?;
        result.await.map_err(|_| JournalError::Closed)?
    }

    /// The offset after the last durable entry.
    pub fn end(&self) -> i64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// Durable entries from `offset` on, as many as `most` says, yet one at least where there is one; waits up to `timeout` when there is none yet.
    pub fn read(
        &self,
        offset: i64,
        most: AtMost,
        timeout: Duration,
    ) -> Result<Vec<JournalEntry>, JournalError> {
        if offset >= self.end() {
            let guard = lock(&self.shared.grown_guard);
            // A missed wake-up costs one timeout, and the end is looked at again below.
            drop(
                self.shared
                    .grown
                    .wait_timeout_while(guard, timeout, |()| offset >= self.end()),
            );
        }
        let end = self.end();
        if offset >= end {
            return Ok(Vec::new());
        }
        let store = lock(&self.shared.store);
        let Some(store) = store.as_ref() else {
            drop(store);
            let guard = lock(&self.shared.grown_guard);
            // Woken when it is open again, or asked again by the caller.
            drop(self.shared.grown.wait_timeout(guard, timeout));
            return Ok(Vec::new());
        };
        let (mut entries, mut taken) = (Vec::new(), 0);
        for guard in store.entries.range(key(offset)..key(end)).take(most.entries) {
            if taken >= most.bytes {
                break;
            }
            let (key, value) = guard.into_inner()?;
            taken += value.len();
            entries.push(decode(&key, &value).ok_or(JournalError::DamagedEntry(offset))?);
        }
        Ok(entries)
    }

    /// Drops all entries below `offset` that were received before `received`, some at a time, so that commits go on
    /// between. Returns how many.
    ///
    /// # Errors
    /// Some may be dropped: another call drops the rest.
    pub fn expire(&self, offset: i64, received: EventTime) -> Result<usize, JournalError> {
        let mut dropped = 0;
        loop {
            self.shared
                .room
                .ask(Writer::DeadLetters, EXPIRED_AT_ONCE as u64)?;
            // Held for the clone only: a store that is closed meanwhile is closed once this part is done.
            let Some(store) = lock(&self.shared.store).clone() else {
                return Ok(dropped);
            };
            // The newest entry stays: its key is what tells the end of the log at the next start.
            let part = store.expire(offset.min(self.end() - 1), received)?;
            dropped += part;
            if part < EXPIRED_AT_ONCE {
                return Ok(dropped);
            }
        }
    }

    /// Free bytes on the journal's disk, less the reserve; 0 when it is used up.
    pub fn room(&self) -> u64 {
        self.shared.room.ask(Writer::Intake, 1).unwrap_or(0)
    }
}

impl Shared {
    fn commit_all(&self, waiting: &Receiver<Append>) {
        loop {
            // A closed store is tried again without being asked, for its readers.
            let timeout = if self.is_open() { Duration::MAX } else { RETRY };
            let first = match waiting.recv_timeout(timeout) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let opened = self.open_again();
            let Some(first) = first else { continue };
            let mut group = vec![first];
            group.extend(waiting.try_iter().take(GROUP - 1));
            let result = opened.and_then(|()| self.commit(&group));
            match result {
                Ok(first_offset) => {
                    self.end
                        .store(first_offset + group.len() as i64, Ordering::Release);
                    self.wake_readers();
                    for (index, append) in group.into_iter().enumerate() {
                        // A requester that went away does not change that its entry is durable.
                        let _ = append.done.send(Ok(first_offset + index as i64));
                    }
                }
                Err(error) => {
                    if matches!(error, JournalError::Store(_)) && lock(&self.store).take().is_some() {
                        tracing::error!(%error, "the journal could not be written; it is opened again");
                    }
                    let error = Arc::new(error);
                    for append in group {
                        let together = JournalError::Together(Arc::clone(&error));
                        let _ = append.done.send(Err(together));
                    }
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        lock(&self.store).is_some()
    }

    fn wake_readers(&self) {
        drop(lock(&self.grown_guard));
        self.grown.notify_all();
    }

    fn commit(&self, group: &[Append]) -> Result<i64, JournalError> {
        let bytes = group.iter().map(|append| bytes_of(&append.events)).sum::<usize>();
        self.room.ask(Writer::Intake, bytes as u64)?;
        let store = lock(&self.store);
        let Some(store) = store.as_ref() else {
            return Err(JournalError::Closed);
        };
        let first = self.end.load(Ordering::Acquire);
        let mut batch = store.database.batch().durability(Some(PersistMode::SyncData));
        for (index, append) in group.iter().enumerate() {
            batch.insert(
                &store.entries,
                key(first + index as i64),
                encode(append.received, &append.events),
            );
        }
        batch.commit()?;
        Ok(first)
    }

    /// Opens a store that was closed, which cuts off a torn write, once its disk has room.
    fn open_again(&self) -> Result<(), JournalError> {
        let mut store = lock(&self.store);
        if store.is_some() {
            return Ok(());
        }
        self.room.ask(Writer::Intake, 1)?;
        let opened = OpenStore::open(&self.folder)?;
        opened.remove_from(self.end.load(Ordering::Acquire))?;
        *store = Some(opened);
        drop(store);
        tracing::info!("the journal is open again");
        self.wake_readers();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn what_is_acknowledged_is_there_after_reopening_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime();
        {
            let journal = Journal::open(folder.path(), 0).unwrap();
            for number in 0..5_u8 {
                let offset = runtime
                    .block_on(journal.append(
                        EventTime::from_micros(i64::from(number)),
                        vec![vec![number; 3], vec![]],
                    ))
                    .unwrap();
                assert_eq!(offset, i64::from(number));
            }
        }
        // The committer of the first journal ends once its sender is gone; only then is the lock free.
        let journal = loop {
            if let Ok(journal) = Journal::open(folder.path(), 0) {
                break journal;
            }
        };
        assert_eq!(journal.end(), 5);
        let entries = journal
            .read(
                3,
                AtMost {
                    entries: 10,
                    bytes: usize::MAX,
                },
                Duration::ZERO,
            )
            .unwrap();
        assert_eq!(entries.len(), 2);
        // Each entry has 19 bytes: one is read whatever it takes, and no more once it is enough.
        for (bytes, expected) in [(1, 1), (19, 1), (20, 2), (57, 3), (usize::MAX, 5)] {
            let entries = journal
                .read(0, AtMost { entries: 10, bytes }, Duration::ZERO)
                .unwrap();
            assert_eq!(entries.len(), expected, "{bytes}");
        }
        assert_eq!(entries[0].events, [vec![3; 3], vec![]]);
        assert_eq!(journal.expire(5, EventTime::from_micros(10)).unwrap(), 4);
        assert_eq!(
            journal
                .read(
                    0,
                    AtMost {
                        entries: 10,
                        bytes: usize::MAX
                    },
                    Duration::ZERO
                )
                .unwrap()
                .len(),
            1
        );
        assert_eq!(journal.end(), 5);
    }

    #[test]
    fn all_that_is_past_its_time_goes_at_once_and_commits_go_on_meanwhile() {
        const OLD: i64 = 60_000;
        const NEW: i64 = 300;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), 0).unwrap();
        let runtime = runtime();
        let append_all = |times: std::ops::Range<i64>| {
            let appends: Vec<_> = times
                .map(|time| {
                    let journal = journal.clone();
                    async move {
                        loop {
                            let entry = (EventTime::from_micros(time), vec![b"event".to_vec()]);
                            match journal.append(entry.0, entry.1).await {
                                Ok(_) => return,
                                Err(JournalError::Busy) => tokio::task::yield_now().await,
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                })
                .collect();
            runtime.block_on(async {
                let tasks = tokio::task::LocalSet::new();
                for append in appends {
                    tasks.spawn_local(append);
                }
                tasks.await;
            });
        };
        append_all(0..OLD);
        // Appends are answered while entries are dropped.
        let dropping = journal.clone();
        let expiry =
            std::thread::spawn(move || dropping.expire(OLD, EventTime::from_micros(i64::MAX)).unwrap());
        append_all(OLD..OLD + NEW);
        assert!(expiry.join().unwrap() >= OLD as usize - 1);
        let first = journal
            .read(
                0,
                AtMost {
                    entries: 1,
                    bytes: usize::MAX,
                },
                Duration::ZERO,
            )
            .unwrap();
        assert!(first[0].offset >= OLD - 1, "{}", first[0].offset);
        assert_eq!(journal.end(), OLD + NEW);
        // What is too young stays.
        assert_eq!(
            journal
                .expire(OLD + NEW, EventTime::from_micros(OLD + 10))
                .unwrap(),
            first_left(&first)
        );
    }

    /// Of entries up to number 60 010, those that are still there.
    fn first_left(first: &[JournalEntry]) -> usize {
        (60_010 - first[0].offset) as usize
    }
}
