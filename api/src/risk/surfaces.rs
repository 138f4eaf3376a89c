//! Makes surfaces while events come and time goes by, and hands the newest to whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use riskgrid_analytics::risk::{Conditions, RiskEngine, RiskModel, Surface};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{GridReader, Step, Version};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::circumstances::Circumstances;
use super::scores::Scores;

/// The time between the beginnings of two surfaces while events come.
const PACE: Duration = Duration::from_secs(10);
/// The same in an emergency.
const PACE_OF_EMERGENCY: Duration = Duration::from_secs(2);
/// How often it is looked whether there is anything new: what comes after a pause is not waited with.
const LOOK: Duration = Duration::from_millis(250);
/// After a surface that could not be made.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);
/// A surface may take this part of the time until the next; then they come less often, in an emergency too.
const SHARE_OF_TIME: u32 = 10;

/// The newest surface, and how it was made.
#[derive(Debug)]
pub struct Surfaces {
    newest: watch::Sender<Arc<Surface>>,
    circumstances: watch::Sender<Arc<Circumstances>>,
    scores: Arc<Scores>,
    made: AtomicU64,
    took_micros: AtomicU64,
    state_bytes: AtomicU64,
    state_cells: AtomicU64,
}

impl Surfaces {
    fn new(model: Arc<RiskModel>, scores: Arc<Scores>) -> Self {
        Self {
            newest: watch::Sender::new(Arc::new(Surface::empty(model))),
            circumstances: watch::Sender::new(Arc::default()),
            scores,
            made: AtomicU64::new(0),
            took_micros: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            state_cells: AtomicU64::new(0),
        }
    }

    /// Of a server without a layer on the surface: it stays empty.
    pub fn none() -> Arc<Self> {
        Arc::new(Self::new(Arc::default(), Arc::default()))
    }

    /// Makes surfaces, and judges days that are over, until the tasks are aborted. `clock` is the wall clock, by which live layers age.
    pub fn follow(
        engine: RiskEngine,
        reader: GridReader,
        clock: fn() -> EventTime,
    ) -> (Arc<Self>, [JoinHandle<()>; 2]) {
        let (scores, judging) = Scores::follow(engine.clone().without_classes(), reader.clone());
        let surfaces = Arc::new(Self::new(Arc::clone(engine.model()), scores));
        let making = tokio::spawn(make_surfaces(Arc::clone(&surfaces), engine, reader, clock));
        (surfaces, [making, judging])
    }

    /// The newest surface; take it once per request.
    pub fn newest(&self) -> Arc<Surface> {
        Arc::clone(&self.newest.borrow())
    }

    /// Tells of each new one.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Surface>> {
        self.newest.subscribe()
    }

    /// How well days were forecast.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// Tells what is known beside the events; the next surface is made by it.
    pub fn tell(&self, circumstances: Circumstances) {
        self.circumstances.send_if_modified(|known| {
            let is_new = **known != circumstances;
            if is_new {
                *known = Arc::new(circumstances);
            }
            is_new
        });
    }

    /// What was told last.
    pub fn circumstances(&self) -> Arc<Circumstances> {
        Arc::clone(&self.circumstances.borrow())
    }

    /// How many were made.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// How long the newest took.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.took_micros.load(Ordering::Relaxed))
    }

    /// Cells of all layers that something is kept of between surfaces, and the bytes that this takes.
    pub fn state(&self) -> (u64, u64) {
        (
            self.state_cells.load(Ordering::Relaxed),
            self.state_bytes.load(Ordering::Relaxed),
        )
    }

    fn publish(&self, mut surface: Surface, engine: &RiskEngine, took: Duration) {
        surface.number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        self.took_micros.store(
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.state_bytes.store(engine.bytes() as u64, Ordering::Relaxed);
        self.state_cells.store(engine.cells() as u64, Ordering::Relaxed);
        self.newest.send_replace(Arc::new(surface));
    }
}

async fn make_surfaces(
    surfaces: Arc<Surfaces>,
    engine: RiskEngine,
    reader: GridReader,
    clock: fn() -> EventTime,
) {
    let mut known = Known {
        conditions: Arc::default(),
        of: surfaces.circumstances(),
    };
    let engine = Arc::new(Mutex::new(engine));
    let mut seen: Option<(Version, EventTime, bool)> = None;
    let (mut begun, mut pause) = (Instant::now(), Duration::ZERO);
    loop {
        tokio::time::sleep(LOOK).await;
        let (snapshot, now) = (reader.snapshot(), clock());
        let circumstances = surfaces.circumstances();
        let is_emergency = circumstances.is_emergency();
        let is_told = !Arc::ptr_eq(&circumstances, &known.of);
        // Time alone changes a surface only when a bucket ends.
        let state = (
            snapshot.version,
            snapshot.calendar.span(Step::Bucket, now).end,
            is_emergency,
        );
        let pace = if is_emergency { PACE_OF_EMERGENCY } else { PACE };
        let is_due = seen.is_none() || is_told || begun.elapsed() >= pace.max(pause);
        if (seen == Some(state) && !is_told) || !is_due {
            continue;
        }
        begun = Instant::now();
        let (kept, surfaces) = (Arc::clone(&engine), Arc::clone(&surfaces));
        let before = known.clone();
        let made = tokio::task::spawn_blocking(move || {
            // After a panic half of what is kept may have changed; all of it follows from the grid.
            let mut engine = kept.lock().unwrap_or_else(|poisoned| {
                kept.clear_poison();
                let mut engine = poisoned.into_inner();
                engine.start_again();
                engine
            });
            let known = if is_told {
                let calendar = &snapshot.calendar;
                let conditions = circumstances.conditions(&engine, &snapshot.places, calendar, now);
                Known {
                    conditions: Arc::new(conditions),
                    of: circumstances,
                }
            } else {
                before
            };
            let surface = engine.surface(&snapshot, now, &known.conditions);
            surfaces.publish(surface, &engine, begun.elapsed());
            known
        });
        match made.await {
            Ok(now_known) => {
                known = now_known;
                seen = Some(state);
                pause = begun.elapsed() * SHARE_OF_TIME;
            }
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "a risk surface could not be made; the one before stays");
                pause = AFTER_A_FAULT;
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// The conditions that follow from circumstances.
#[derive(Clone, Debug)]
struct Known {
    conditions: Arc<Conditions>,
    of: Arc<Circumstances>,
}
