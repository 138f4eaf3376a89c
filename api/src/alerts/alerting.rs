//! Alerting as one thing: decisions stored, webhooks told, rules and changes handed to whoever follows them.

mod rules;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use h3o::Resolution;
use riskgrid_analytics::permission::{Permissions, Role, Scope};
use riskgrid_analytics::rules::{InstanceChange, Rule, RuleBounds, Seen, Transition};
use riskgrid_ingest::grid::{GridReader, GridSnapshot};
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::JoinHandle;

use super::evaluation::Sight;
use super::pending::PendingInstances;
use super::terms::watch_terms;
use crate::alerts::delivery::{Clock, Deliveries, DeliverySettings, Sender, SenderError};
use crate::alerts::store::{
    Alert, Decisions, DecisionsError, ENDED_AT_ONCE, Held, Keep, Notify, RETRACTED, Recorded, RuleRevision,
    RuleState, StoredRule, Terms,
};
use crate::audit::Deed;
use crate::database::Standing;

pub use rules::{Maker, RuleError};

/// Changes of alerts that a slow follower may be behind; one that is further behind is told that it missed some.
const CHANGES_KEPT: usize = 1_024;
/// Transitions that are stored in one transaction: others can write between two.
const STORED_AT_ONCE: usize = 500;
/// How long a scrape of the metrics waits for the database.
const HELD_WITHIN: Duration = Duration::from_secs(2);
/// How often what has ended is looked at.
const HOUSEKEEPING: Duration = Duration::from_mins(1);
/// How often it is looked what other nodes were told.
const OTHERS_FOLLOWED_EVERY: Duration = Duration::from_secs(2);
/// When to try again after the database refused.
const AFTER_DATABASE_ERROR: Duration = Duration::from_secs(1);

/// Everything that the alerting routes and the evaluators of rules share.
pub struct Alerting {
    /// What is stored.
    pub decisions: Decisions,
    /// Sends tests by the same way as deliveries.
    pub sender: Sender,
    /// The worker of the outbox.
    pub deliveries: Deliveries,
    /// All rules; changes when one is made or deleted.
    pub on_rules_changed: watch::Sender<Arc<[Rule]>>,
    /// Each alert that began, ended or was acknowledged, as it is then.
    pub changes: broadcast::Sender<Arc<Alert>>,
    /// The wall clock.
    pub clock: Clock,
    /// What evaluators count.
    pub evaluators: EvaluatorCounts,
    /// What is over and does not fire yet.
    pub pending: PendingInstances,
    /// Whether it is the one that sends.
    sends: watch::Receiver<Standing>,
    /// Whether this node is the one that judges what rules ask of the grid.
    pub judges: watch::Receiver<Standing>,
    bounds: RuleBounds,
    /// Tells which layers there are, once the grid is there.
    grid: OnceLock<GridReader>,
    /// What rules look at beside the grid, once it is there.
    sight: OnceLock<Sight>,
    /// What scopes mean.
    permissions: Permissions,
    /// Wakes who ends the alerts of rules that are gone.
    rule_gone: Arc<tokio::sync::Notify>,
    /// Forgets, and ends the alerts of rules that are gone.
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    /// What the database held when it was asked last.
    held: std::sync::Mutex<Held>,
    /// Held from the change of a rule to its announcement, so that the newest set is announced last.
    rule_changes: Mutex<()>,
}

/// What evaluators of rules remember, and what they could not take up.
#[derive(Debug, Default)]
pub struct EvaluatorCounts {
    /// Cells that are pending or firing.
    pub cells: AtomicU64,
    /// Sensors that are pending or firing.
    pub sensors: AtomicU64,
    /// Evaluations of a cell that were left out because its rule remembers as many as it may.
    pub refused_cells: AtomicU64,
    /// Readings that were not judged because the rule remembers as many sensors as it may.
    pub refused_readings: AtomicU64,
    /// Evaluations that failed.
    pub failed: AtomicU64,
    /// Rules that were judged again for late data.
    pub revised: AtomicU64,
    /// Alerts that would not have been, by late data.
    pub retracted: AtomicU64,
}

/// Alerting could not start.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// The database.
    #[error(transparent)]
    Decisions(#[from] DecisionsError),
    /// The client for webhooks.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// A metric.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Alerting {
    /// Loads the rules and starts the worker of the outbox.
    pub async fn start(
        decisions: Decisions,
        settings: DeliverySettings,
        bounds: RuleBounds,
        keep: Keep,
        clock: Clock,
    ) -> Result<Arc<Self>, AlertingError> {
        let resolution = Resolution::try_from(bounds.base_resolution).unwrap_or(Resolution::Fifteen);
        let permissions = Permissions::new(Arc::clone(decisions.places()), resolution);
        let rules = decisions.rules().await?;
        let rules = rules
            .into_iter()
            .map(|stored| with_sight(&permissions, stored))
            .collect();
        decisions.gather_open().await?;
        let sender = Sender::new(settings.allow_private, settings.timeout)?;
        decisions.look_at_modes(clock()).await?;
        let database = decisions.database();
        let (sends, mut leases) = {
            let clock = Arc::clone(&clock);
            let (standing, keeping) = database.keep_lease("outbox", move || clock()).await;
            (standing, Vec::from_iter(keeping))
        };
        let of_rules = {
            let clock = Arc::clone(&clock);
            let (standing, keeping) = database.keep_lease("rules", move || clock()).await;
            leases.extend(keeping);
            standing
        };
        let deliveries = Deliveries::start(
            decisions.clone(),
            sends.clone(),
            sender.clone(),
            settings,
            Arc::clone(&clock),
        )?;
        let alerting = Arc::new(Self {
            decisions,
            sender,
            deliveries,
            on_rules_changed: watch::Sender::new(rules),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            clock,
            evaluators: EvaluatorCounts::default(),
            pending: PendingInstances::default(),
            judges: of_rules,
            sends,
            bounds,
            grid: OnceLock::new(),
            sight: OnceLock::new(),
            permissions,
            rule_gone: Arc::default(),
            tasks: std::sync::Mutex::default(),
            held: std::sync::Mutex::default(),
            rule_changes: Mutex::new(()),
        });
        let tasks = [
            tokio::spawn(keep_house(
                alerting.decisions.clone(),
                keep,
                Arc::clone(&alerting.clock),
            )),
            // It must not keep alive what it works for.
            tokio::spawn(end_alerts_of_gone_rules(
                Arc::downgrade(&alerting),
                Arc::clone(&alerting.rule_gone),
            )),
            tokio::spawn(watch_terms(Arc::downgrade(&alerting))),
            tokio::spawn(follow_other_nodes(Arc::downgrade(&alerting))),
        ];
        if let Ok(mut running) = alerting.tasks.lock() {
            running.extend(tasks);
            running.extend(leases);
        }
        Ok(alerting)
    }

    /// From now on rules are checked against the layers of this grid.
    pub fn watch_layers_of(&self, grid: GridReader) {
        self.decisions.watch_layers_of(grid.clone());
        // Set once, at the start.
        let _ = self.grid.set(grid);
    }

    /// Announces the rules as they are stored, if they are others than were announced.
    async fn take_up_rules(&self) {
        let _turn = self.rule_changes.lock().await;
        match self.decisions.rules().await {
            Ok(stored) => {
                let rules = stored
                    .into_iter()
                    .map(|stored| with_sight(&self.permissions, stored));
                let rules: Arc<[Rule]> = rules.collect();
                self.on_rules_changed.send_if_modified(|known| {
                    let is_new = *known != rules;
                    if is_new {
                        *known = rules;
                    }
                    is_new
                });
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "rules of other nodes are not taken up yet"
            ),
        }
    }

    /// The state of the grid, once it is there.
    pub(crate) fn snapshot(&self) -> Option<Arc<GridSnapshot>> {
        self.grid.get().map(GridReader::snapshot)
    }

    /// Stores transitions (see [`Decisions::record`]) piece by piece, then wakes the worker and tells followers.
    ///
    /// # Errors
    /// Then some pieces may be stored: the same call again changes nothing of those.
    pub async fn record(
        &self,
        transitions: &[Transition],
        notify: Notify,
        now: i64,
    ) -> Result<(), DecisionsError> {
        for piece in transitions.chunks(STORED_AT_ONCE) {
            let recorded = self.decisions.record(piece, notify, now, None).await?;
            self.announce(recorded);
        }
        Ok(())
    }

    /// As [`record`](Self::record), with what changed of a rule: each instance in the transaction of its transitions. Both
    /// are in the order of instances.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn record_judged(
        &self,
        mut transitions: &[Transition],
        notify: Notify,
        now: i64,
        state: RuleState<'_>,
    ) -> Result<(), DecisionsError> {
        let decisions = self.decisions.under(state.standing);
        let (mut changes, mut before): (&[InstanceChange], &[InstanceChange]) = (state.changes, state.before);
        while !transitions.is_empty() || !changes.is_empty() {
            let mut end = transitions.len().min(STORED_AT_ONCE);
            let instance = |at: usize| transitions.get(at).map(|transition| transition.instance.as_str());
            while end > 0 && end < transitions.len() && instance(end) == instance(end - 1) {
                end += 1;
            }
            let (piece, later) = transitions.split_at(end);
            let last = piece.last().map(|transition| transition.instance.as_str());
            let of_piece = match last {
                Some(last) if !later.is_empty() => {
                    let place = changes.iter().position(|(key, _)| key.text() == last);
                    place.map_or(0, |place| place + 1)
                }
                _ => changes.len().min(STORED_AT_ONCE),
            };
            let (changed, changed_later) = changes.split_at(of_piece);
            let (stood, stood_later) = before.split_at(of_piece.min(before.len()));
            let is_last = later.is_empty() && changed_later.is_empty();
            let state = RuleState {
                changes: changed,
                before: if is_last { before } else { stood },
                // The time is judged once all of it is stored.
                evaluated: if is_last {
                    state.evaluated
                } else {
                    state.evaluated.plus(-1)
                },
                ..state
            };
            let recorded = decisions.record(piece, notify, now, Some(state)).await?;
            self.announce(recorded);
            (transitions, changes, before) = (later, changed_later, stood_later);
        }
        Ok(())
    }

    /// Brings what is stored of a rule into line with what it says after late data; answers the instances whose alert is over
    /// as it is stored (see [`Decisions::record_revision`]).
    ///
    /// # Errors
    /// As [`Decisions::record_revision`].
    pub async fn record_revision(
        &self,
        revision: &RuleRevision<'_>,
        notify: Notify,
        now: i64,
    ) -> Result<BTreeSet<String>, DecisionsError> {
        let decisions = self.decisions.under(revision.standing);
        let (recorded, over) = decisions.record_revision(revision, notify, now).await?;
        let retracted = recorded.alerts.iter();
        let retracted = retracted.filter(|alert| alert.reason.as_deref() == Some(RETRACTED));
        let counts = &self.evaluators;
        counts
            .retracted
            .fetch_add(retracted.count() as u64, Ordering::Relaxed);
        counts.revised.fetch_add(1, Ordering::Relaxed);
        self.announce(recorded);
        Ok(over)
    }

    /// Tells of open alerts that are graver or less grave now, or of which more are to be told (see
    /// [`Decisions::update_open`]).
    ///
    /// # Errors
    /// As [`Decisions::update_open`].
    pub async fn update_open(&self, rule_id: Option<&str>) -> Result<(), DecisionsError> {
        let recorded = self.decisions.update_open(rule_id, (self.clock)()).await?;
        self.announce(recorded);
        Ok(())
    }

    /// From now on rules see what is beside the grid.
    pub fn watch(&self, sight: Sight) {
        // Set once, at the start.
        let _ = self.sight.set(sight);
    }

    /// What rules look at beside the grid, once it is there.
    pub fn sight(&self) -> Option<&Sight> {
        self.sight.get()
    }

    /// Whether all that the log held at the start is in this state of the grid.
    pub fn is_caught_up(&self, snapshot: &GridSnapshot) -> bool {
        self.sight
            .get()
            .is_some_and(|sight| (sight.is_caught_up)(snapshot))
    }

    /// What the database holds; as it was told last, when it does not answer soon.
    pub async fn held(&self) -> Held {
        let now = tokio::time::timeout(HELD_WITHIN, self.decisions.held()).await;
        let mut known = self
            .held
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Ok(Ok(now)) = now {
            *known = now;
        }
        *known
    }

    /// Takes an alert on these terms; `None` when there is no such alert.
    pub async fn acknowledge(
        &self,
        id: &str,
        terms: &Terms,
        deed: &Deed,
    ) -> Result<Option<Alert>, DecisionsError> {
        let alert = self
            .decisions
            .acknowledge(id, terms, (self.clock)(), deed)
            .await?;
        if let Some(alert) = &alert {
            self.tell(alert.clone());
        }
        Ok(alert)
    }

    /// Gives an alert back; `None` when there is no such alert.
    pub async fn unacknowledge(
        &self,
        id: &str,
        terms: &Terms,
        deed: &Deed,
    ) -> Result<Option<Alert>, DecisionsError> {
        let alert = self
            .decisions
            .unacknowledge(id, terms, (self.clock)(), deed)
            .await?;
        if let Some(alert) = &alert {
            self.tell(alert.clone());
        }
        Ok(alert)
    }

    /// Takes all alerts of an incident that fire and that are seen, on these terms. Answers how many.
    ///
    /// # Errors
    /// The database's; then some may be taken.
    pub async fn acknowledge_incident(
        &self,
        id: &str,
        is_seen: impl Fn(&Alert) -> bool,
        terms: &Terms,
        deed: &Deed,
    ) -> Result<usize, DecisionsError> {
        let mut taken = 0;
        for alert in self.decisions.firing_of_incident(id).await? {
            if !is_seen(&alert) {
                continue;
            }
            match self.acknowledge(&alert.id, terms, deed).await {
                Ok(alert) => taken += usize::from(alert.is_some()),
                // It ended meanwhile.
                Err(DecisionsError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Stops the worker. Evaluators stop before; whoever opened the database closes it after.
    pub async fn stop(&self) {
        let tasks = self
            .tasks
            .lock()
            .map(|mut tasks| std::mem::take(&mut *tasks))
            .unwrap_or_default();
        for task in tasks {
            task.abort();
            // It was told to end, so how it ended says nothing.
            let _ = task.await;
        }
        self.deliveries.stop().await;
        for standing in [&self.judges, &self.sends] {
            let standing = *standing.borrow();
            if let Standing::Holder(lease) = standing {
                // Else it ends by itself.
                let _ = self.decisions.database().give_back(lease).await;
            }
        }
    }

    fn announce(&self, recorded: Recorded) {
        if recorded.queued > 0 {
            self.deliveries.wake();
        }
        recorded.alerts.into_iter().for_each(|alert| self.tell(alert));
    }

    pub(super) fn tell(&self, alert: Alert) {
        // An error means that nobody follows.
        let _ = self.changes.send(Arc::new(alert));
    }
}

/// Forgets what has been kept for long enough, until the runtime ends.
async fn keep_house(decisions: Decisions, keep: Keep, clock: Clock) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = decisions.count_anew().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what other nodes decided is not counted yet"
            );
        }
        match decisions.forget_old(&keep, clock()).await {
            Ok(forgotten) if forgotten != crate::alerts::store::Forgotten::default() => {
                tracing::info!(?forgotten, "what had ended long ago was forgotten");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "what ended long ago stays for now"
            ),
        }
    }
}

/// Takes up the rules that other nodes were told of, where there are any.
async fn follow_other_nodes(alerting: std::sync::Weak<Alerting>) {
    loop {
        let Some(alerting) = alerting
            .upgrade()
            .filter(|alerting| alerting.decisions.database().is_shared())
        else {
            return;
        };
        alerting.take_up_rules().await;
        drop(alerting);
        tokio::time::sleep(OTHERS_FOLLOWED_EVERY).await;
    }
}

/// Ends what rules left open that are gone, also what an earlier process left.
async fn end_alerts_of_gone_rules(alerting: std::sync::Weak<Alerting>, rule_gone: Arc<tokio::sync::Notify>) {
    loop {
        let Some(alerting) = alerting.upgrade() else {
            return;
        };
        let now = (alerting.clock)();
        match alerting
            .decisions
            .end_alerts_of_gone_rules(ENDED_AT_ONCE, now)
            .await
        {
            Ok(recorded) if recorded.alerts.is_empty() => {
                // An evaluator that has not heard of the change began nothing, so only a change gives work.
                drop(alerting);
                rule_gone.notified().await;
            }
            Ok(recorded) => {
                alerting.announce(recorded);
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "alerts of a rule that is gone are not ended yet"
                );
                tokio::time::sleep(AFTER_DATABASE_ERROR).await;
            }
        }
    }
}

fn with_sight(permissions: &Permissions, stored: StoredRule) -> Rule {
    let seen = sight_of(permissions, &stored.scope);
    Rule { seen, ..stored.rule }
}

fn sight_of(permissions: &Permissions, scope: &Scope) -> Seen {
    if scope.is_all() {
        return Seen::default();
    }
    Seen::within(permissions.of(Role::Operator, scope.clone()))
}
