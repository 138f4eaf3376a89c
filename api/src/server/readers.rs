//! The threads that read the log into the pipeline: the journal's reader, and file feeds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use riskgrid_ingest::EventTime;
use riskgrid_ingest::decode::feed::{FeedOrigin, FeedSettings};
use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::pipeline::{Feed, PartitionBatch, Payload, PipelineHandle, Record, Records};
use riskgrid_ingest::source::file::{FileOptions, FileRow, FileRows, Pace};
use riskgrid_ingest::source::journal::{AtMost, Journal};

/// Rows of a file handed over at once.
const ROWS: usize = 2_000;
/// About so many bytes are handed over at once, of the journal and of files; one entry or row may be larger.
const BYTES: usize = 4 << 20;
/// Of the journal.
const AT_ONCE: AtMost = AtMost {
    entries: 256,
    bytes: BYTES,
};
/// How often a thread looks whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A feed that is read from a file.
pub(super) struct FileFeed<'a> {
    /// Compiled.
    pub(super) feed: Arc<Feed>,
    /// As written.
    pub(super) settings: &'a FeedSettings,
    /// Where its relative path starts.
    pub(super) folder: &'a Path,
    /// Wins over the feed's own.
    pub(super) speed: Option<f64>,
    /// The row that is read first.
    pub(super) offset: i64,
    /// Bytes of the largest event.
    pub(super) max_event: usize,
}

/// Threads that read, until they are told to stop.
#[derive(Default)]
pub(super) struct Readers {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Reads the journal from `offset` on, for as long as the process runs.
    pub(super) fn read_journal(
        &mut self,
        journal: Journal,
        mut offset: i64,
        pipeline: PipelineHandle,
    ) -> io::Result<()> {
        let stopping = Arc::clone(&self.stopping);
        let thread = std::thread::Builder::new()
            .name("journal-reader".to_owned())
            .spawn(move || {
                while !stopping.load(Ordering::Relaxed) {
                    if let Some(from) = pipeline.take_rewind(&PartitionId::of_journal()) {
                        offset = from;
                    }
                    let entries = match journal.read(offset, AT_ONCE, LOOK_EVERY) {
                        Ok(entries) => entries,
                        Err(error) => {
                            tracing::error!(%error, "the journal cannot be read; trying again");
                            std::thread::park_timeout(Duration::from_secs(1));
                            continue;
                        }
                    };
                    let Some(last) = entries.last() else { continue };
                    offset = last.offset + 1;
                    let records = entries.into_iter().map(|entry| Record {
                        offset: entry.offset,
                        received: entry.received,
                        payload: Payload::Group(entry.events),
                    });
                    let batch = PartitionBatch {
                        partition: PartitionId::of_journal(),
                        feed: None,
                        records: Records::Owned(records.collect()),
                        caught_up: offset >= journal.end(),
                    };
                    if pipeline.send(batch).is_err() {
                        return;
                    }
                }
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Reads a file feed once, from its offset on, and again from an earlier row where the pipeline asks for it.
    pub(super) fn read_file(
        &mut self,
        file: FileFeed<'_>,
        pipeline: PipelineHandle,
        clock: fn() -> EventTime,
    ) -> io::Result<()> {
        let FileFeed {
            feed,
            settings,
            folder,
            speed,
            offset,
            max_event,
        } = file;
        let FeedOrigin::File {
            path,
            speed: own_speed,
        } = &settings.from
        else {
            return Ok(());
        };
        let reader = FileReader {
            path: folder.join(path),
            options: FileOptions::new(settings, u64::try_from(offset).unwrap_or(0), max_event),
            speed: speed.or(*own_speed),
            partition: PartitionId::of_file(&feed.name),
            feed,
            pipeline,
            clock,
            stopping: Arc::clone(&self.stopping),
        };
        let thread = std::thread::Builder::new()
            .name("file".to_owned())
            .spawn(move || reader.run())?;
        self.threads.push(thread);
        Ok(())
    }

    /// Tells all to stop, and waits until they have.
    pub(super) fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a reading thread panicked");
            }
        }
    }
}

struct FileReader {
    path: PathBuf,
    options: FileOptions,
    speed: Option<f64>,
    partition: PartitionId,
    feed: Arc<Feed>,
    pipeline: PipelineHandle,
    clock: fn() -> EventTime,
    stopping: Arc<AtomicBool>,
}

impl FileReader {
    /// Reads the file, and again from an earlier row where the pipeline asks for it, for as long as the process runs.
    fn run(mut self) {
        self.read();
        while !self.stopping.load(Ordering::Relaxed) {
            if self.is_rewound() {
                self.read();
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// Whether the file is to be read again, from the row that is the first one now.
    fn is_rewound(&mut self) -> bool {
        let Some(offset) = self.pipeline.take_rewind(&self.partition) else {
            return false;
        };
        self.options.skip_rows = u64::try_from(offset).unwrap_or(0);
        true
    }

    fn read(&self) {
        let mut rows = match FileRows::open(&self.path, self.options) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, feed = self.feed.name, "the feed's file cannot be read; mend it and start again");
                return;
            }
        };
        let started = Instant::now();
        let mut pace: Option<Pace> = None;
        let mut records: Vec<Record> = Vec::with_capacity(ROWS);
        let (mut row, mut bytes) = (FileRow::default(), 0);
        loop {
            match rows.read_row(&mut row) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(path = %self.path.display(), row = rows.next_row(), %error, "the feed's file ends early");
                    break;
                }
            }
            if self.speed.is_some()
                && let Some(time) = self.time_of(&row)
            {
                let pace = pace.get_or_insert(Pace {
                    speed: self.speed,
                    first_event: time,
                });
                let due = pace.due(time);
                if due > started.elapsed() {
                    // What is due is handed over before waiting for what is not.
                    if !self.send(&mut records) || !self.wait_until(started, due) {
                        return;
                    }
                }
            }
            let record = self.record(&mut row);
            bytes += record.payload.bytes();
            records.push(record);
            if records.len() >= ROWS || bytes >= BYTES {
                bytes = 0;
                if !self.send(&mut records) || self.pipeline.is_rewound(&self.partition) {
                    return;
                }
            }
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
        }
        if self.send(&mut records) {
            tracing::info!(
                feed = self.feed.name,
                rows = rows.next_row(),
                "the feed's file is read"
            );
        }
    }

    fn record(&self, row: &mut FileRow) -> Record {
        let payload = if row.is_truncated() {
            Payload::TooLarge(std::mem::take(&mut row.bytes), row.length)
        } else {
            Payload::Row(std::mem::take(&mut row.bytes))
        };
        Record {
            offset: i64::try_from(row.row).unwrap_or(i64::MAX),
            received: (self.clock)(),
            payload,
        }
    }

    /// Whether the pipeline still takes records.
    fn send(&self, records: &mut Vec<Record>) -> bool {
        if records.is_empty() {
            return true;
        }
        let batch = PartitionBatch {
            partition: self.partition.clone(),
            feed: Some(Arc::clone(&self.feed)),
            records: Records::Owned(std::mem::replace(records, Vec::with_capacity(ROWS))),
            caught_up: false,
        };
        self.pipeline.send(batch).is_ok()
    }

    fn wait_until(&self, started: Instant, due: Duration) -> bool {
        while !self.stopping.load(Ordering::Relaxed) {
            let Some(rest) = due.checked_sub(started.elapsed()).filter(|rest| !rest.is_zero()) else {
                return true;
            };
            std::thread::park_timeout(rest.min(LOOK_EVERY));
        }
        false
    }

    /// The event time of a row's first event, to pace it by.
    fn time_of(&self, row: &FileRow) -> Option<EventTime> {
        let candidates = self.feed.mapper.map(&row.bytes);
        let first = candidates.into_iter().next()?.ok()?;
        match first.time {
            riskgrid_ingest::CandidateTime::Resolved(time) => Some(time),
            riskgrid_ingest::CandidateTime::Rfc3339(text) => EventTime::parse_rfc3339(&text),
            _ => None,
        }
    }
}
