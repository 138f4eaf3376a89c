//! Makes surfaces while events come and time goes by, and hands the newest to whoever asks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::risk::{Conditions, RiskEngine, Surface};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Step, Version};
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

/// Surfaces of some layers only that are kept, beside those of the newest number.
const NARROWED_KEPT: usize = 64;

/// Of what the newest surface was made.
#[derive(Debug)]
struct MadeOf {
    number: u64,
    snapshot: Arc<GridSnapshot>,
    now: EventTime,
    conditions: Arc<Conditions>,
}

/// What makes surfaces, and of what it made the newest.
#[derive(Debug)]
struct Making {
    engine: RiskEngine,
    newest: Option<MadeOf>,
}

impl Making {
    /// After a panic half of what is kept may have changed; all of it follows from the grid.
    fn lock(making: &Mutex<Self>) -> MutexGuard<'_, Self> {
        making.lock().unwrap_or_else(|poisoned| {
            making.clear_poison();
            let mut making = poisoned.into_inner();
            making.engine.start_again();
            making.newest = None;
            making
        })
    }
}

/// The newest surface, and how it was made.
#[derive(Debug)]
pub struct Surfaces {
    making: Option<Mutex<Making>>,
    /// By the positions of their layers.
    narrowed: Mutex<HashMap<Vec<usize>, Arc<Surface>>>,
    newest: watch::Sender<Arc<Surface>>,
    circumstances: watch::Sender<Arc<Circumstances>>,
    scores: Arc<Scores>,
    made: AtomicU64,
    took_micros: AtomicU64,
    state_bytes: AtomicU64,
    state_cells: AtomicU64,
}

impl Surfaces {
    fn new(engine: Option<RiskEngine>, scores: Arc<Scores>) -> Self {
        let model = engine
            .as_ref()
            .map(RiskEngine::model)
            .cloned()
            .unwrap_or_default();
        Self {
            making: engine.map(|engine| Mutex::new(Making { engine, newest: None })),
            narrowed: Mutex::default(),
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
        Arc::new(Self::new(None, Arc::default()))
    }

    /// Makes surfaces, and judges days that are over, until the tasks are aborted. `clock` is the wall clock, by which live layers age.
    pub fn follow(
        engine: RiskEngine,
        reader: GridReader,
        clock: fn() -> EventTime,
    ) -> (Arc<Self>, [JoinHandle<()>; 2]) {
        let (scores, judging) = Scores::follow(engine.clone().without_classes(), reader.clone());
        let surfaces = Arc::new(Self::new(Some(engine), scores));
        let making = tokio::spawn(make_surfaces(Arc::clone(&surfaces), reader, clock));
        (surfaces, [making, judging])
    }

    /// The newest surface; take it once per request.
    pub fn newest(&self) -> Arc<Surface> {
        Arc::clone(&self.newest.borrow())
    }

    /// What of the newest surface is seen. Where a hazard group has layers that are not, it is made as if there were none of
    /// these: else they would be told by how sure one is of the others.
    pub fn seen_by(&self, permission: &Permission) -> Arc<Surface> {
        let newest = self.newest();
        let is_seen = |layer: &str| permission.admits_layer(Some(layer));
        match newest.model.seen_of_split_groups(is_seen) {
            None => newest.seen_by(permission),
            Some(layers) => self.of_layers(&newest, layers).seen_by(permission),
        }
    }

    /// The surface of some layers alone, once for each that is made of all.
    fn of_layers(&self, newest: &Arc<Surface>, layers: Vec<usize>) -> Arc<Surface> {
        let nothing = || Arc::new(Surface::empty(Arc::clone(&newest.model)));
        let known = |number: u64| {
            let narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
            narrowed
                .get(&layers)
                .filter(|surface| surface.number >= number)
                .cloned()
        };
        if newest.number == 0 {
            return nothing();
        }
        if let Some(known) = known(newest.number) {
            return known;
        }
        let Some(making) = &self.making else {
            return nothing();
        };
        // While the next one is made, the one before does: only who asks first waits.
        let is_busy = matches!(making.try_lock(), Err(TryLockError::WouldBlock));
        if let Some(before) = known(0).filter(|_| is_busy) {
            return before;
        }
        let mut making = Making::lock(making);
        let Making {
            engine,
            newest: Some(of),
        } = &mut *making
        else {
            return nothing();
        };
        // Another request of the same layers may have had the engine meanwhile.
        if let Some(known) = known(of.number) {
            return known;
        }
        let mut surface = engine.surface_of_layers(&of.snapshot, of.now, &of.conditions, &layers);
        surface.number = of.number;
        let surface = Arc::new(surface);
        let mut narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
        if narrowed.len() >= NARROWED_KEPT {
            narrowed.retain(|_, known| known.number == of.number);
        }
        narrowed.insert(layers, Arc::clone(&surface));
        surface
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

    fn publish(&self, mut surface: Surface, number: u64, engine: &RiskEngine, took: Duration) {
        surface.number = number;
        self.took_micros.store(
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.state_bytes.store(engine.bytes() as u64, Ordering::Relaxed);
        self.state_cells.store(engine.cells() as u64, Ordering::Relaxed);
        self.newest.send_replace(Arc::new(surface));
    }
}

async fn make_surfaces(surfaces: Arc<Surfaces>, reader: GridReader, clock: fn() -> EventTime) {
    let mut known = Known {
        conditions: Arc::default(),
        of: surfaces.circumstances(),
    };
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
        let surfaces = Arc::clone(&surfaces);
        let before = known.clone();
        let made = tokio::task::spawn_blocking(move || {
            let Some(making) = &surfaces.making else {
                return before;
            };
            let mut making = Making::lock(making);
            let Making { engine, newest } = &mut *making;
            let known = if is_told {
                let conditions = circumstances.conditions(engine, &snapshot, now);
                Known {
                    conditions: Arc::new(conditions),
                    of: circumstances,
                }
            } else {
                before
            };
            let surface = engine.surface(&snapshot, now, &known.conditions);
            let number = surfaces.made.fetch_add(1, Ordering::Relaxed) + 1;
            *newest = Some(MadeOf {
                number,
                snapshot,
                now,
                conditions: Arc::clone(&known.conditions),
            });
            surfaces.publish(surface, number, engine, begun.elapsed());
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
