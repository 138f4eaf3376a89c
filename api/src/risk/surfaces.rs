//! Makes surfaces while events come and time goes by, and hands the newest to whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use riskgrid_analytics::risk::{Conditions, RiskEngine, RiskModel, Surface};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{GridReader, Step, Version};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The shortest time between the beginnings of two surfaces.
const SOONEST: Duration = Duration::from_secs(2);
/// The longest, where one takes long to make.
const LATEST: Duration = Duration::from_secs(10);
/// A surface may take this part of the time until the next; then they come less often.
const SHARE_OF_TIME: u32 = 10;

/// The newest surface, and how it was made.
#[derive(Debug)]
pub struct Surfaces {
    newest: watch::Sender<Arc<Surface>>,
    made: AtomicU64,
    took_micros: AtomicU64,
    state_bytes: AtomicU64,
    state_cells: AtomicU64,
}

impl Surfaces {
    fn new(model: Arc<RiskModel>) -> Self {
        Self {
            newest: watch::Sender::new(Arc::new(Surface::empty(model))),
            made: AtomicU64::new(0),
            took_micros: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            state_cells: AtomicU64::new(0),
        }
    }

    /// Of a server without a layer on the surface: it stays empty.
    pub fn none() -> Arc<Self> {
        Arc::new(Self::new(Arc::default()))
    }

    /// Makes surfaces until the task is aborted. `clock` is the wall clock, by which live layers age.
    pub fn follow(
        engine: RiskEngine,
        reader: GridReader,
        clock: fn() -> EventTime,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let surfaces = Arc::new(Self::new(Arc::clone(engine.model())));
        let task = tokio::spawn(make_surfaces(Arc::clone(&surfaces), engine, reader, clock));
        (surfaces, task)
    }

    /// The newest surface; take it once per request.
    pub fn newest(&self) -> Arc<Surface> {
        Arc::clone(&self.newest.borrow())
    }

    /// Tells of each new one.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Surface>> {
        self.newest.subscribe()
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
    let engine = Arc::new(Mutex::new(engine));
    let mut seen: Option<(Version, EventTime)> = None;
    let mut pause = Duration::ZERO;
    loop {
        tokio::time::sleep(pause).await;
        pause = SOONEST;
        let (snapshot, now) = (reader.snapshot(), clock());
        // Time alone changes a surface only when a bucket ends.
        let state = (snapshot.version, snapshot.calendar.span(Step::Bucket, now).end);
        if seen == Some(state) {
            continue;
        }
        let (kept, surfaces) = (Arc::clone(&engine), Arc::clone(&surfaces));
        let made = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            // After a panic half of what is kept may have changed; all of it follows from the grid.
            let mut engine = kept.lock().unwrap_or_else(|poisoned| {
                kept.clear_poison();
                let mut engine = poisoned.into_inner();
                engine.start_again();
                engine
            });
            let surface = engine.surface(&snapshot, now, &Conditions::default());
            surfaces.publish(surface, &engine, begun.elapsed());
            begun.elapsed()
        });
        match made.await {
            Ok(took) => {
                seen = Some(state);
                pause = (took * SHARE_OF_TIME).clamp(SOONEST, LATEST);
            }
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "a risk surface could not be made; the one before stays");
                pause = LATEST;
            }
        }
    }
}
