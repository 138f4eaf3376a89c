//! Rules, alerts and webhooks in numbers: all from the first scrape on.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{GaugeVec, Opts, Registry};
use riskgrid_ingest::EventTime;

use super::{counter, gauge, register};
use crate::alerts::Alerting;
use crate::alerts::store::Held;

/// Puts them into the registry.
pub(super) fn register_all(
    registry: &Registry,
    alerting: &Alerting,
    held: &Held,
    now: EventTime,
) -> prometheus::Result<()> {
    gauge(
        registry,
        "riskgrid_rules",
        "rules; alerts.max_rules bounds them",
        held.rules as f64,
    )?;
    gauges(
        registry,
        "riskgrid_alerts",
        "alerts in the decisions database; alerts.max_open bounds the open ones, alerts.keep and max_ended the others",
        "state",
        &[("open", held.open as f64), ("ended", held.ended as f64)],
    )?;
    let tally = alerting.decisions.tally();
    counters(
        registry,
        "riskgrid_alert_changes_total",
        "alerts that began, and that ended",
        "change",
        &[("began", &tally.began), ("ended", &tally.ended)],
    )?;
    counters(
        registry,
        "riskgrid_alerts_refused_total",
        "alerts that did not begin, by the limit that was reached",
        "limit",
        &[
            ("max_open_per_rule", &tally.refused_by_rule),
            ("max_open", &tally.refused_by_all),
        ],
    )?;
    let evaluators = &alerting.evaluators;
    gauges(
        registry,
        "riskgrid_rule_instances",
        "sensors and cells that are pending or firing",
        "per",
        &[
            ("cell", evaluators.cells.load(Ordering::Relaxed) as f64),
            ("sensor", evaluators.sensors.load(Ordering::Relaxed) as f64),
        ],
    )?;
    counters(
        registry,
        "riskgrid_rule_instances_refused_total",
        "readings and values that were not judged, because a rule remembers as many sensors or cells as it may",
        "per",
        &[
            ("cell", &evaluators.refused_cells),
            ("sensor", &evaluators.refused_readings),
        ],
    )?;
    gauges(
        registry,
        "riskgrid_webhook_deliveries",
        "deliveries: not tried yet, tried in vain and to be tried again, given up",
        "state",
        &[
            ("pending", held.pending as f64),
            ("failed", held.failed as f64),
            ("dead", held.dead as f64),
        ],
    )?;
    let oldest = held
        .oldest_pending
        .map_or(0, |oldest| now.micros().saturating_sub(oldest).max(0));
    gauge(
        registry,
        "riskgrid_webhook_oldest_pending_seconds",
        "age of the oldest delivery that is still to be made; 0 when there is none",
        oldest as f64 / 1e6,
    )?;
    counters(
        registry,
        "riskgrid_webhook_attempts_total",
        "attempts to deliver, by what became of them",
        "result",
        &[
            ("delivered", &tally.attempts_delivered),
            ("failed", &tally.attempts_failed),
        ],
    )?;
    counters(
        registry,
        "riskgrid_forgotten_total",
        "what ended long ago and was forgotten",
        "what",
        &[
            ("alerts", &tally.forgotten_alerts),
            ("deliveries", &tally.forgotten_deliveries),
        ],
    )
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, &AtomicU64)],
) -> prometheus::Result<()> {
    let counter = counter(registry, name, help, &[label])?;
    for (value, count) in values {
        counter
            .with_label_values(&[*value])
            .inc_by(count.load(Ordering::Relaxed));
    }
    Ok(())
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, f64)],
) -> prometheus::Result<()> {
    let gauge = GaugeVec::new(Opts::new(name, help), &[label])?;
    for (value, number) in values {
        gauge.with_label_values(&[*value]).set(*number);
    }
    register(registry, gauge)
}
