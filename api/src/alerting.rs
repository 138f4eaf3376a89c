//! Alerting as one thing: decisions stored, webhooks told, rules and changes handed to whoever follows them.

use std::sync::Arc;

use riskgrid_analytics::rules::{InvalidRule, Rule, RuleBounds, Transition};
use serde_json::Value;
use tokio::sync::{Mutex, broadcast, watch};

use crate::decisions::{Alert, Decisions, DecisionsError, Notify, Recorded, random_hex};
use crate::webhooks::{Clock, Deliveries, DeliverySettings, Sender, SenderError};

/// Changes of alerts that a slow follower may be behind; one that is further behind is told that it missed some.
const CHANGES_KEPT: usize = 1_024;

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
    bounds: RuleBounds,
    /// Held from the change of a rule to its announcement, so that the newest set is announced last.
    rule_changes: Mutex<()>,
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
}

/// A rule could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It says something that is not allowed.
    #[error(transparent)]
    Invalid(#[from] InvalidRule),
    /// It could not be stored.
    #[error(transparent)]
    Decisions(#[from] DecisionsError),
}

impl Alerting {
    /// Loads the rules and starts the worker of the outbox.
    pub async fn start(
        decisions: Decisions,
        settings: DeliverySettings,
        bounds: RuleBounds,
        clock: Clock,
    ) -> Result<Arc<Self>, AlertingError> {
        let rules = decisions.rules().await?;
        let sender = Sender::new(settings.allow_private, settings.timeout)?;
        let deliveries = Deliveries::start(decisions.clone(), sender.clone(), settings, Arc::clone(&clock));
        Ok(Arc::new(Self {
            decisions,
            sender,
            deliveries,
            on_rules_changed: watch::Sender::new(rules),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            clock,
            bounds,
            rule_changes: Mutex::new(()),
        }))
    }

    /// Stores transitions (see [`Decisions::record`]), then wakes the worker and tells followers.
    pub async fn record(
        &self,
        transitions: &[Transition],
        notify: Notify,
        now: i64,
        state: Option<(&str, &[u8])>,
    ) -> Result<(), DecisionsError> {
        let recorded = self.decisions.record(transitions, notify, now, state).await?;
        self.announce(recorded);
        Ok(())
    }

    /// Checks a client's rule, stores it and hands the new set to the evaluators.
    pub async fn create_rule(&self, json: &Value) -> Result<Rule, RuleError> {
        let rule = Rule::from_json(&random_hex().map_err(RuleError::Decisions)?, json, &self.bounds)?;
        let _announced_in_order = self.rule_changes.lock().await;
        self.decisions.create_rule(&rule, (self.clock)()).await?;
        self.on_rules_changed.send_replace(self.decisions.rules().await?);
        Ok(rule)
    }

    /// Deletes a rule and resolves its open alerts; `false` when there is no such rule.
    pub async fn delete_rule(&self, id: &str) -> Result<bool, DecisionsError> {
        let _announced_in_order = self.rule_changes.lock().await;
        let Some(recorded) = self.decisions.delete_rule(id, (self.clock)()).await? else {
            return Ok(false);
        };
        self.on_rules_changed.send_replace(self.decisions.rules().await?);
        self.announce(recorded);
        Ok(true)
    }

    /// Acknowledges an alert; `None` when there is no such alert.
    pub async fn acknowledge(&self, id: &str) -> Result<Option<Alert>, DecisionsError> {
        let alert = self.decisions.acknowledge(id, (self.clock)()).await?;
        if let Some(alert) = &alert {
            self.tell(alert.clone());
        }
        Ok(alert)
    }

    /// Stops the worker, then closes the database. Evaluators stop before.
    pub async fn stop(&self) {
        self.deliveries.stop().await;
        self.decisions.close().await;
    }

    fn announce(&self, recorded: Recorded) {
        if recorded.queued > 0 {
            self.deliveries.wake();
        }
        recorded.alerts.into_iter().for_each(|alert| self.tell(alert));
    }

    fn tell(&self, alert: Alert) {
        // An error means that nobody follows.
        let _ = self.changes.send(Arc::new(alert));
    }
}
