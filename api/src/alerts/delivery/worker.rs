//! The worker that empties the outbox.
//!
//! One task looks for what is due and starts attempts, at most a few at a time per endpoint, so that a receiver that
//! lets every request run into the timeout holds up nobody else. All state is in the database: a stop at any moment
//! leaves a delivery pending, and it is made again, under the same id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use riskgrid_ingest::EventTime;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinHandle, JoinSet};

use super::durations::DeliveryDurations;
use super::rate::Rates;
use super::schedule::RetrySchedule;
use super::sender::{Outgoing, Sender};
use super::steady_clock::SteadyClock;
use crate::alerts::store::{Decisions, DecisionsError, Delivery, DeliveryState};
use crate::alerts::webhook::Attempt;
use crate::database::Standing;

/// Tells the wall clock in µs since 1970 UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Whether addresses that are not public, and http, are allowed. Default: no.
    pub allow_private: bool,
    /// How long one attempt may take. Default: 15 s.
    pub timeout: Duration,
    /// When to try again. Default: over three days.
    pub retries: RetrySchedule,
    /// Attempts to one endpoint at the same time. Default: 4.
    pub concurrency: usize,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            allow_private: false,
            timeout: Duration::from_secs(15),
            retries: RetrySchedule::default(),
            concurrency: 4,
        }
    }
}

/// The running worker.
pub struct Deliveries {
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    durations: DeliveryDurations,
}

/// Looked at again at least so often, in case the wall clock was set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// Looked at again so often where other nodes decide too.
const AFTER_OTHERS: Duration = Duration::from_secs(1);
const AFTER_DATABASE_ERROR: Duration = Duration::from_secs(1);
/// Answers that say that the message itself is not taken, after which it is given up.
const MOST_REFUSALS: u32 = 3;

impl Deliveries {
    /// Starts the worker; it begins with what an earlier process left.
    ///
    /// # Errors
    /// When the name of a metric is not valid, which is a defect.
    pub fn start(
        decisions: Decisions,
        standing: watch::Receiver<Standing>,
        sender: Sender,
        settings: DeliverySettings,
        clock: Clock,
    ) -> prometheus::Result<Self> {
        let durations = DeliveryDurations::new()?;
        let wake = Arc::new(Notify::new());
        let (stop, stopping) = watch::channel(false);
        let worker = Worker {
            decisions,
            standing,
            sender,
            settings,
            steady: Arc::new(SteadyClock::new(Arc::clone(&clock))),
            clock,
            wake: Arc::clone(&wake),
            stopping,
            attempts: JoinSet::new(),
            running: HashMap::new(),
            rates: Rates::default(),
            durations: durations.clone(),
        };
        Ok(Self {
            wake,
            stop,
            task: tokio::sync::Mutex::new(Some(tokio::spawn(worker.run()))),
            durations,
        })
    }

    /// Puts how long attempts and deliveries take on a page.
    ///
    /// # Errors
    /// When a name is there already, which is a defect.
    pub fn register(&self, registry: &prometheus::Registry) -> prometheus::Result<()> {
        self.durations.register(registry)
    }

    /// Tells the worker that the outbox has something new.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Starts no more attempts, and waits for those that run: not longer than one may take.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the worker for webhooks had failed");
        }
    }
}

struct Worker {
    /// Its transactions fail once another node has taken over.
    decisions: Decisions,
    standing: watch::Receiver<Standing>,
    sender: Sender,
    settings: DeliverySettings,
    clock: Clock,
    steady: Arc<SteadyClock>,
    wake: Arc<Notify>,
    stopping: watch::Receiver<bool>,
    attempts: JoinSet<()>,
    /// Endpoint and delivery, by its place in the outbox, of each running attempt: at most `concurrency` per endpoint.
    running: HashMap<Id, (String, i64)>,
    rates: Rates,
    durations: DeliveryDurations,
}

impl Worker {
    async fn run(mut self) {
        self.limit_waits().await;
        loop {
            if !self.has_its_turn().await {
                break;
            }
            self.follow_the_clock().await;
            let now = self.steady.now();
            let sleep = match self.start_due(now).await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the outbox cannot be read"
                    );
                    AFTER_DATABASE_ERROR
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                Some(ended) = self.attempts.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            tracing::error!(%error, "an attempt failed inside; it is made again");
                            error.id()
                        }
                    };
                    self.running.remove(&id);
                }
                () = tokio::time::sleep(sleep) => {}
                // An error means that nobody holds the other end any more: stop as well.
                _ = self.stopping.wait_for(|stop| *stop) => break,
            }
        }
        while self.attempts.join_next().await.is_some() {}
    }

    /// Waits until this node is the one that sends; false when it is to stop.
    async fn has_its_turn(&mut self) -> bool {
        loop {
            let standing = *self.standing.borrow_and_update();
            if standing != Standing::Waiting {
                self.decisions = self.decisions.under(standing);
                return true;
            }
            tokio::select! {
                changed = self.standing.changed() => if changed.is_err() { return false },
                _ = self.stopping.wait_for(|stop| *stop) => return false,
            }
        }
    }

    /// The longest time without a look: other nodes wake nobody here.
    fn longest_sleep(&self) -> Duration {
        if self.decisions.database().is_shared() {
            AFTER_OTHERS
        } else {
            LONGEST_SLEEP
        }
    }

    /// Moves what waits for another attempt when the wall clock was set: it was to wait for a time, not until an hour.
    async fn follow_the_clock(&self) {
        let Some(set_by) = self.steady.was_set_by() else {
            return;
        };
        match self.decisions.move_retries(set_by).await {
            Ok(moved) => {
                tracing::warn!(
                    seconds = set_by / 1_000_000,
                    moved,
                    "the wall clock was set; deliveries wait as long as they would have"
                );
                self.steady.follow(set_by);
            }
            Err(error) => log_database(&error, "waits of deliveries cannot be moved with the clock"),
        }
    }

    /// While nobody looked the wall clock may have been set back: nothing waits for longer than the longest wait.
    async fn limit_waits(&self) {
        let latest = self
            .steady
            .now()
            .saturating_add(self.settings.retries.longest().as_micros() as i64);
        if let Err(error) = self.decisions.limit_retries(latest).await {
            log_database(&error, "waits of deliveries cannot be looked through");
        }
    }

    /// Starts what is due and has room; answers how long there will be nothing new.
    async fn start_due(&mut self, now: i64) -> Result<Duration, DecisionsError> {
        let endpoints = self.decisions.endpoints_due(now).await?;
        if !endpoints.is_empty() && self.decisions.ask_for_room().is_err() {
            // What could not be noted would be sent again and again.
            return Ok(AFTER_DATABASE_ERROR);
        }
        let mut too_fast_for = LONGEST_SLEEP;
        for endpoint in endpoints {
            let running: HashSet<i64> = self
                .running
                .values()
                .filter(|(of_endpoint, _)| *of_endpoint == endpoint.id)
                .map(|(_, delivery)| *delivery)
                .collect();
            let room = self.settings.concurrency.saturating_sub(running.len());
            if room == 0 {
                continue;
            }
            // Those that run are pending too, so ask for as many more.
            let due = self
                .decisions
                .due(&endpoint.id, now, room + running.len())
                .await?;
            let new: Vec<Delivery> = due
                .into_iter()
                .filter(|delivery| !running.contains(&delivery.seq))
                .take(room)
                .collect();
            for delivery in new {
                if let Some(rate) = endpoint.rate
                    && let Err(wait) = self.rates.admit(&endpoint.id, rate, Instant::now())
                {
                    too_fast_for = too_fast_for.min(wait);
                    break;
                }
                self.start(delivery);
            }
        }
        let next = self.decisions.next_due_after(now).await?;
        let longest = self.longest_sleep();
        let wait = next.map_or(longest, |next| Duration::from_micros((next - now).max(0) as u64));
        Ok(wait.min(longest).min(too_fast_for))
    }

    fn start(&mut self, delivery: Delivery) {
        let key = (delivery.webhook.clone(), delivery.seq);
        let messenger = Messenger {
            decisions: self.decisions.clone(),
            sender: self.sender.clone(),
            retries: self.settings.retries.clone(),
            wall: Arc::clone(&self.clock),
            steady: Arc::clone(&self.steady),
            durations: self.durations.clone(),
        };
        let handle = self.attempts.spawn(async move {
            if let Err(error) = messenger.attempt(&delivery).await {
                // It stays pending and is sent again: at least once.
                log_unstored(&error, &delivery.id);
                tokio::time::sleep(AFTER_DATABASE_ERROR).await;
            }
        });
        self.running.insert(handle.id(), key);
    }
}

fn log_database(error: &(dyn std::error::Error + 'static), what: &str) {
    tracing::error!(error, "{what}");
}

fn log_unstored(error: &(dyn std::error::Error + 'static), delivery_id: &str) {
    tracing::error!(error, delivery_id, "an attempt could not be stored");
}

/// Makes one attempt, and has stored what follows from it.
struct Messenger {
    decisions: Decisions,
    sender: Sender,
    retries: RetrySchedule,
    wall: Clock,
    steady: Arc<SteadyClock>,
    durations: DeliveryDurations,
}

impl Messenger {
    fn now(&self) -> EventTime {
        EventTime::from_micros((self.wall)())
    }

    async fn attempt(&self, delivery: &Delivery) -> Result<(), DecisionsError> {
        let (id, body) = if delivery.is_open {
            let Some(sealed) = self.decisions.seal(delivery.seq, self.now()).await? else {
                return Ok(());
            };
            sealed
        } else {
            (delivery.id.clone(), delivery.body.clone())
        };
        let attempt = self
            .sender
            .send(
                &Outgoing {
                    url: &delivery.url,
                    secret: &delivery.secret,
                    id: &id,
                    body: &body,
                },
                self.now(),
            )
            .await;
        let attempts = delivery.attempts.saturating_add(1);
        let becomes = self.what_follows(delivery, (&id, attempts), &attempt);
        let (webhook, latency_ms) = (&delivery.webhook, attempt.latency_ms);
        self.durations
            .attempt(attempt.is_delivered(), Duration::from_millis(latency_ms));
        if becomes == DeliveryState::Delivered {
            let latency = i64::try_from(latency_ms)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000);
            let now = attempt.at.saturating_add(latency);
            self.durations
                .delivered_after(now.saturating_sub(delivery.created_at));
        }
        log_attempt(becomes, webhook, (&id, attempts), &attempt);
        self.decisions
            .attempted((webhook, &id), &attempt, becomes)
            .await?;
        let has_failed_for_long =
            !attempt.is_delivered() && self.decisions.is_gone(webhook, attempt.at).await?;
        if attempt.is_gone() || has_failed_for_long {
            tracing::error!(
                webhook,
                "the receiver is gone; its webhook is switched off until a test succeeds"
            );
            self.decisions.disable_endpoint(webhook, attempt.at).await?;
        }
        Ok(())
    }

    fn what_follows(
        &self,
        delivery: &Delivery,
        (id, attempts): (&str, u32),
        attempt: &Attempt,
    ) -> DeliveryState {
        if attempt.is_delivered() {
            return DeliveryState::Delivered;
        }
        let is_refused = attempt.is_refusal() && delivery.refusals + 1 >= MOST_REFUSALS;
        match self.retries.wait_after(id, attempts, attempt.retry_after) {
            Some(wait) if !attempt.is_gone() && !is_refused => DeliveryState::Pending {
                next_attempt_at: self.steady.now().saturating_add(wait.as_micros() as i64),
            },
            _ => DeliveryState::Dead,
        }
    }
}

fn log_attempt(
    becomes: DeliveryState,
    webhook: &str,
    (delivery_id, attempts): (&str, u32),
    attempt: &Attempt,
) {
    let (status, latency_ms) = (attempt.status, attempt.latency_ms);
    match becomes {
        DeliveryState::Delivered => {
            tracing::info!(webhook, delivery_id, attempts, latency_ms, "webhook delivered");
        }
        DeliveryState::Pending { .. } => {
            tracing::warn!(
                webhook,
                delivery_id,
                attempts,
                status,
                "webhook not delivered, will try again"
            );
        }
        DeliveryState::Dead => {
            tracing::error!(
                webhook,
                delivery_id,
                attempts,
                status,
                "webhook given up; a replay revives it"
            );
        }
    }
}
