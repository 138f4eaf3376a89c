//! Alerting: rules, the worker of the outbox, and who follows the grid for rules on cells.

use std::sync::Arc;

use riskgrid_ingest::decode::feed::FeedClock;
use riskgrid_ingest::grid::GridReader;

use super::state::State;
use super::{StartError, Started, wall_clock};
use crate::alerts::Alerting;
use crate::alerts::delivery::DeliverySettings;
use crate::alerts::evaluation::{NotifyPolicy, follow_rules};
use crate::alerts::store::Keep;
use crate::config::{Checked, ConfigError};

/// Loads the rules and starts telling.
pub(super) async fn start(
    checked: &Checked,
    state: &State,
    started: &mut Started,
) -> Result<Arc<Alerting>, StartError> {
    let config = &checked.config;
    let alerting = Alerting::start(
        state.decisions.clone(),
        DeliverySettings {
            allow_private: config.webhooks.allow_private,
            timeout: config.webhooks.timeout.0,
            ..DeliverySettings::default()
        },
        checked.rule_bounds,
        Keep {
            ended_alerts: config.alerts.keep.0,
            max_ended_alerts: config.alerts.max_ended,
            delivered: config.webhooks.keep_delivered.0,
            dead: config.webhooks.keep_dead.0,
        },
        Arc::new(|| wall_clock().micros()),
    )
    .await?;
    let taken = alerting.take_files(checked.rules.clone()).await;
    let stopping = Arc::clone(&alerting);
    started.push("alerting", async move {
        stopping.stop().await;
        Ok(())
    });
    taken.map_err(|error| ConfigError::of("alerts.rules", error))?;
    Ok(alerting)
}

/// Judges rules at their times from now on. It starts before the grid moves and ends after it stands.
pub(super) fn follow(checked: &Checked, alerting: &Arc<Alerting>, reader: GridReader, started: &mut Started) {
    alerting.watch_layers_of(reader.clone());
    let grid = &checked.config.grid;
    let patience = grid.allowed_lateness.0 + grid.idle_after.0;
    let following = follow_rules(reader, Arc::clone(alerting), policy(checked), patience);
    started.push_task("rules at their times", tokio::spawn(following));
}

/// The live feeds, and the historic ones whose alerts are sent.
pub(super) fn policy(checked: &Checked) -> NotifyPolicy {
    let replayed = checked
        .feeds
        .iter()
        .filter(|feed| feed.settings.notify && feed.settings.clock == FeedClock::Event);
    NotifyPolicy::new(replayed.map(|feed| feed.feed.rules.domain.clone()))
}
