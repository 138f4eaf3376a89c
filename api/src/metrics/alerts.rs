//! Rules, alerts and webhooks: all from the first scrape on.

use std::sync::atomic::{AtomicU64, Ordering};

use super::reading::{Reading, Samples, by, count, counter, gauge, one};

pub(super) const READINGS: &[Reading] = &[
    gauge(
        "riskgrid_rules",
        "rules; alerts.max_rules bounds them",
        &[],
        |seen| count(seen.held.rules),
    ),
    gauge(
        "riskgrid_alerts",
        "alerts in the decisions database; alerts.max_open bounds the open ones, alerts.keep and max_ended the others",
        &["state"],
        |seen| by([("open", seen.held.open), ("ended", seen.held.ended)]),
    ),
    counter(
        "riskgrid_alert_changes_total",
        "alerts that began, and that ended",
        &["change"],
        |seen| {
            let tally = seen.app.alerting.decisions.tally();
            loaded([("began", &tally.began), ("ended", &tally.ended)])
        },
    ),
    gauge(
        "riskgrid_incidents_open",
        "incidents of which something is active",
        &[],
        |seen| count(seen.held.incidents),
    ),
    gauge(
        "riskgrid_alerts_held",
        "open alerts of which nobody is told yet, as a silence, a mute or another alert holds them back",
        &[],
        |seen| count(seen.held.alerts_held),
    ),
    gauge(
        "riskgrid_areas_in_emergency",
        "areas in emergency mode",
        &[],
        |seen| count(seen.app.alerting.decisions.areas_in_emergency().len() as u64),
    ),
    counter(
        "riskgrid_alerts_refused_total",
        "alerts that did not begin, by the limit that was reached",
        &["limit"],
        |seen| {
            let tally = seen.app.alerting.decisions.tally();
            loaded([
                ("max_open_per_rule", &tally.refused_by_rule),
                ("max_open", &tally.refused_by_all),
            ])
        },
    ),
    gauge(
        "riskgrid_rule_instances",
        "sensors and cells that are pending or firing",
        &["per"],
        |seen| {
            let evaluators = &seen.app.alerting.evaluators;
            loaded([("cell", &evaluators.cells), ("sensor", &evaluators.sensors)])
        },
    ),
    counter(
        "riskgrid_rule_instances_refused_total",
        "readings and values that were not judged, because a rule remembers as many sensors or cells as it may",
        &["per"],
        |seen| {
            let evaluators = &seen.app.alerting.evaluators;
            loaded([
                ("cell", &evaluators.refused_cells),
                ("sensor", &evaluators.refused_readings),
            ])
        },
    ),
    counter(
        "riskgrid_rule_failures_total",
        "evaluations of rules that failed, so that nothing was decided",
        &[],
        |seen| one(seen.app.alerting.evaluators.failed.load(Ordering::Relaxed) as f64),
    ),
    counter(
        "riskgrid_rule_revisions_total",
        "rules that were judged again for late data",
        &[],
        |seen| one(seen.app.alerting.evaluators.revised.load(Ordering::Relaxed) as f64),
    ),
    counter(
        "riskgrid_alerts_retracted_total",
        "alerts that would not have been, by late data",
        &[],
        |seen| one(seen.app.alerting.evaluators.retracted.load(Ordering::Relaxed) as f64),
    ),
    gauge(
        "riskgrid_webhook_deliveries",
        "deliveries: gathering changes, not tried yet, tried in vain and to be tried again, given up",
        &["state"],
        |seen| {
            by([
                ("open", seen.held.gathering),
                ("pending", seen.held.pending),
                ("failed", seen.held.failed),
                ("dead", seen.held.dead),
            ])
        },
    ),
    gauge(
        "riskgrid_webhook_oldest_pending_seconds",
        "age of the oldest delivery that is still to be made; 0 when there is none",
        &[],
        |seen| {
            let oldest = seen.held.oldest_pending;
            let age = oldest.map_or(0, |oldest| seen.now.micros().saturating_sub(oldest).max(0));
            one(age as f64 / 1e6)
        },
    ),
    counter(
        "riskgrid_webhook_attempts_total",
        "attempts to deliver, by what became of them",
        &["result"],
        |seen| {
            let tally = seen.app.alerting.decisions.tally();
            loaded([
                ("delivered", &tally.attempts_delivered),
                ("failed", &tally.attempts_failed),
            ])
        },
    ),
    counter(
        "riskgrid_forgotten_total",
        "what ended long ago and was forgotten",
        &["what"],
        |seen| {
            let tally = seen.app.alerting.decisions.tally();
            loaded([
                ("alerts", &tally.forgotten_alerts),
                ("deliveries", &tally.forgotten_deliveries),
            ])
        },
    ),
];

fn loaded<const N: usize>(values: [(&'static str, &AtomicU64); N]) -> Samples {
    by(values.map(|(label, value)| (label, value.load(Ordering::Relaxed))))
}
