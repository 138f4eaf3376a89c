//! Rules on sensors, on the thread that applies events: what they decide is stored before a checkpoint covers it.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use riskgrid_analytics::rules::{MAX_INSTANCES, Rule, SensorReading, SensorRules, Transition};
use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::observer::{EventObserver, Step};
use riskgrid_ingest::{Event, EventTime, LIVE_DOMAIN, Layer};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::alerts::Alerting;
use crate::alerts::pending::MOST_SHOWN;
use crate::alerts::store::Notify;

/// Transitions that wait while the database cannot be written. Beyond them the worker waits for the database.
const WAITING_TRANSITIONS: usize = 10_000;

/// How often what is pending is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Numbers of observers; 0 is whoever judges rules at times of their own.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Which domains wake anybody.
#[derive(Clone, Debug, Default)]
pub struct NotifyPolicy {
    /// Historic feeds replayed with `notify = true`.
    replayed: BTreeSet<String>,
}

impl NotifyPolicy {
    /// The live feeds, and these historic domains.
    pub fn new(replayed: impl IntoIterator<Item = String>) -> Self {
        Self {
            replayed: replayed.into_iter().collect(),
        }
    }

    /// Whether transitions of a domain are sent, and the clock that judges their age: the wall clock for live feeds, the
    /// replay's own (`now` of its events) for historic ones.
    pub fn of(&self, domain: &str, wall: EventTime, replay_now: EventTime) -> (Notify, EventTime) {
        if domain == LIVE_DOMAIN {
            (Notify::Send, wall)
        } else if self.replayed.contains(domain) {
            (Notify::Send, replay_now)
        } else {
            (Notify::NotSentStale, wall)
        }
    }
}

/// The observer of one worker of the pipeline: each has its own, for its own partitions.
pub struct SensorObserver {
    rules: SensorRules,
    changed: watch::Receiver<Arc<[Rule]>>,
    alerting: Arc<Alerting>,
    policy: NotifyPolicy,
    runtime: Handle,
    /// Readings that were not judged, as told last.
    refused: u64,
    /// Sensors that are pending or firing, as told last.
    instances: u64,
    /// Its number among those that show what is pending.
    number: u64,
    /// When that was shown last.
    shown_at: Option<Instant>,
    /// Decided and not stored yet, with the domain and `now` that they were decided in.
    waiting: Vec<(String, i64, Vec<Transition>)>,
}

impl SensorObserver {
    /// Follows the rules of `alerting`; stores by way of `runtime`, on which it must not itself run.
    pub fn new(alerting: Arc<Alerting>, policy: NotifyPolicy, runtime: Handle) -> Self {
        let mut changed = alerting.on_rules_changed.subscribe();
        let rules = Arc::clone(&changed.borrow_and_update());
        Self {
            rules: SensorRules::new(rules),
            changed,
            alerting,
            policy,
            runtime,
            refused: 0,
            instances: 0,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            shown_at: None,
            waiting: Vec::new(),
        }
    }

    /// Takes up rules made or deleted meanwhile: the first event after a rule's making is judged by it.
    fn follow_rules(&mut self) {
        if self.changed.has_changed().unwrap_or(false) {
            let rules = Arc::clone(&self.changed.borrow_and_update());
            self.rules.set_rules(rules);
        }
    }

    /// Shows what is pending, not more often than people look.
    fn show_pending(&mut self) {
        if self
            .shown_at
            .is_some_and(|shown_at| shown_at.elapsed() < SHOW_EVERY)
        {
            return;
        }
        self.shown_at = Some(Instant::now());
        let pending = self.rules.pending().take(MOST_SHOWN).collect();
        self.alerting.pending.show(self.number, pending);
    }

    fn tell_refused(&mut self) {
        let refused = self.rules.refused_readings();
        if refused > self.refused {
            if self.refused == 0 {
                tracing::warn!(
                    most = MAX_INSTANCES,
                    "a rule remembers as many sensors as it may: further ones are not judged; make it narrower"
                );
            }
            let counter = &self.alerting.evaluators.refused_readings;
            counter.fetch_add(refused - self.refused, Ordering::Relaxed);
        }
        self.refused = refused;
    }

    fn store(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        while let Some((domain, replay_now, transitions)) = self.waiting.first() {
            let wall = EventTime::from_micros((self.alerting.clock)());
            let (notify, now) = self.policy.of(domain, wall, EventTime::from_micros(*replay_now));
            self.runtime
                .block_on(self.alerting.record(transitions, notify, now.micros()))?;
            self.waiting.remove(0);
        }
        Ok(())
    }
}

impl EventObserver for SensorObserver {
    fn newest_reading(&mut self, partition: &PartitionId, event: &Event<'_>, layer: &Layer, value: f64) {
        let Some(position) = event.position else { return };
        self.follow_rules();
        if !self.rules.concern(&layer.id) {
            return;
        }
        let reading = SensorReading {
            layer: &layer.id,
            sensor: &event.entity,
            cell: position.cell.into(),
            value,
            at: event.time,
            areas: event.areas.as_deref().unwrap_or_default(),
        };
        self.rules.observe(&partition.to_string(), reading);
    }

    fn advance(&mut self, partition: &PartitionId, domain: &str, now: EventTime) {
        self.follow_rules();
        self.rules.advance(&partition.to_string(), now);
        self.tell_refused();
        self.show_pending();
        let transitions = self.rules.take_transitions();
        if !transitions.is_empty() {
            self.waiting.push((domain.to_owned(), now.micros(), transitions));
        }
        if let Err(error) = self.store() {
            tracing::error!(%error, "alert decisions are not stored yet; they are tried again");
            while self
                .waiting
                .iter()
                .map(|(_, _, transitions)| transitions.len())
                .sum::<usize>()
                > WAITING_TRANSITIONS
                && self.store().is_err()
            {
                std::thread::park_timeout(std::time::Duration::from_millis(500));
            }
        }
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        // All observers add to one number.
        let instances = self.rules.instances() as u64;
        let counter = &self.alerting.evaluators.sensors;
        counter.fetch_add(instances.wrapping_sub(self.instances), Ordering::Relaxed);
        self.instances = instances;
        self.store()
    }

    fn save(&mut self, partition: &PartitionId, step: Step) -> Vec<u8> {
        self.rules.save(&partition.to_string(), step)
    }

    fn restore(&mut self, partition: &PartitionId, steps: &[(u64, Vec<u8>)]) {
        if let Err(error) = self.rules.restore(&partition.to_string(), steps) {
            tracing::warn!(%error, %partition, "timers of alert rules start anew; alerts that fire are in the database");
        }
    }

    fn forget(&mut self, partition: &PartitionId) {
        self.rules.forget(&partition.to_string());
    }
}
