//! What all routes share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderName, HeaderValue, Response};
use riskgrid_analytics::sql::SqlEngine;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::{GridReader, GridSnapshot, PartitionId, Span};
use riskgrid_ingest::pipeline::PipelineHandle;
use riskgrid_ingest::source::kafka::KafkaStatus;
use riskgrid_ingest::source::{Progress, Stand};

use crate::access::Access;
use crate::alerts::Alerting;
use crate::dead_letters::{Lists, Replays};
use crate::durations::Durations;
use crate::hotline::desk::Desk;
use crate::http::{BodyBudget, HttpCounters};
use crate::intake::Intake;
use crate::publication::Published;
use crate::risk::Surfaces;
use crate::stream::Changes;
use crate::tiles::TileCaches;

/// The running server.
pub struct App {
    /// Who may what.
    pub access: Arc<Access>,
    /// Takes snapshots of the grid.
    pub reader: GridReader,
    /// Makes risk surfaces.
    pub surfaces: Arc<Surfaces>,
    /// What HTTP counts.
    pub http_counters: HttpCounters,
    /// How long requests and queries take.
    pub durations: Durations,
    /// The memory of bodies.
    pub(crate) body_budget: Arc<BodyBudget>,
    /// Takes events over HTTP.
    pub intake: Arc<Intake>,
    /// Runs queries.
    pub sql: SqlEngine,
    /// Rules, alerts, webhooks.
    pub alerting: Arc<Alerting>,
    /// Cases.
    pub desk: Arc<Desk>,
    /// Refused records.
    pub dead_letters: DeadLetterStore,
    /// Bounds the lists of them that are made at once.
    pub dead_letter_lists: Lists,
    /// Replays some of them.
    pub replays: Replays,
    /// Whether each question in SQL is in the audit.
    pub audits_queries: bool,
    /// What tiles keep between requests.
    pub tiles: TileCaches,
    /// What pages are told.
    pub changes: Changes,
    /// What the public sees.
    pub publication: Published,
    /// Events that came too late for it.
    pub public_late: Arc<AtomicU64>,
    /// Applies events, publishes and saves.
    pub pipeline: PipelineHandle,
    /// The Kafka source, when there is one.
    pub kafka: Option<Arc<KafkaStatus>>,
    /// Where the journal was read from, and its end then, when it is the log.
    pub journal: Option<(i64, i64)>,
    /// The longest window of a tile: the retention, in microseconds.
    pub retention: i64,
    /// The wall clock.
    pub clock: fn() -> EventTime,
    /// Set when the server is asked to stop: then it is no longer ready.
    pub stopping: AtomicBool,
    /// When the newest checkpoint was written, if any was.
    pub checkpointed: Arc<Mutex<Option<Instant>>>,
}

impl App {
    /// Why requests should not be sent here; none once checkpoints are loaded and the source is connected and sound.
    pub fn not_ready_because(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("riskgrid is stopping".to_owned());
        }
        if self.pipeline.has_failed() {
            return Some("a thread of ingest has ended by a defect; start riskgrid again".to_owned());
        }
        let mut reasons = Vec::new();
        if let Some(late) = self.pipeline.is_late_by() {
            reasons.push(format!(
                "what readers see is {} s older than it should be: ingest stands still, and its log says why",
                late.as_secs()
            ));
        }
        if let Some(kafka) = &self.kafka {
            reasons.extend(kafka.problems(Instant::now()));
        }
        (!reasons.is_empty()).then(|| reasons.join(". "))
    }

    /// Seconds since the newest checkpoint, if any was written.
    pub fn checkpoint_age(&self) -> Option<f64> {
        let at = *self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner);
        at.map(|at| at.elapsed().as_secs_f64())
    }

    /// How many partitions of the log this node shows, and how many there are.
    pub fn partitions(&self) -> (usize, usize) {
        self.kafka.as_ref().map_or((1, 1), |kafka| kafka.partitions())
    }

    /// How much is read of what the log held when its partitions were taken up; none before the group has given any.
    pub fn progress(&self, snapshot: &GridSnapshot) -> Option<Progress> {
        if let Some(kafka) = &self.kafka {
            return kafka.progress();
        }
        let mut progress = Progress::default();
        if let Some((from, end)) = self.journal {
            let journal = PartitionId::of_journal();
            let view = snapshot.partitions.iter().find(|view| view.id == journal);
            let next = view.map_or(from, |view| view.next_offset);
            progress.add(Stand { from, next, end });
        }
        Some(progress)
    }

    /// Whether all that the log held when its partitions were taken up is in a state of the grid.
    pub fn is_caught_up(&self, snapshot: &GridSnapshot) -> bool {
        let (have, all) = self.partitions();
        have >= all && self.progress(snapshot).is_some_and(Progress::is_caught_up)
    }

    /// Puts the headers of an answer made from data: which state, of which share of the log, how much of it is loaded
    /// (until all is), complete to when, over which window.
    pub fn set_data_headers<B>(
        &self,
        response: &mut Response<B>,
        snapshot: &GridSnapshot,
        as_of: Option<EventTime>,
        window: Option<Span>,
    ) {
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        };
        set("riskgrid-version", snapshot.version.to_string());
        let (have, total) = self.partitions();
        set("riskgrid-partitions", format!("{have}/{total}"));
        let progress = self.progress(snapshot);
        if progress.is_none_or(|progress| !progress.is_caught_up()) {
            // Rounded down: it is 100 only once nothing is missing.
            let percent = progress.map_or(0.0, |progress| progress.percent().floor());
            set("riskgrid-loaded", format!("{percent}%"));
        }
        if let Some(as_of) = as_of {
            set("riskgrid-as-of", as_of.to_string());
        }
        if let Some(window) = window {
            set("riskgrid-window", format!("{}/{}", window.start, window.end));
        }
    }
}
