//! Rules on cells, on merged snapshots: looked at whenever the grid has a new state.

use std::sync::Arc;
use std::time::Duration;

use h3o::Resolution;
use riskgrid_analytics::rules::{CellRules, Per, Rule};
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Version};
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};

use super::NotifyPolicy;
use crate::alerting::Alerting;
use crate::decisions::Decisions;

/// How often the grid is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Key of the evaluator's state in the decisions database.
const STATE: &str = "cell_rules";

/// Evaluates rules on cells until the runtime ends. Their state is stored with the transitions, in one transaction.
pub async fn follow_cells(reader: GridReader, alerting: Arc<Alerting>, policy: NotifyPolicy) {
    let mut state = restore(&alerting.decisions).await;
    let mut changed = alerting.on_rules_changed.subscribe();
    let mut rules = Arc::clone(&changed.borrow_and_update());
    let mut seen: Option<(Version, i64)> = None;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let rules_changed = changed.has_changed().unwrap_or(false);
        if rules_changed {
            rules = Arc::clone(&changed.borrow_and_update());
            state.set_rules(&rules);
        }
        let snapshot = reader.snapshot();
        let wall = EventTime::from_micros((alerting.clock)());
        // The wall clock matters by the bucket: a silent stream's window must still move on.
        let now = (snapshot.version, wall.floor(snapshot.calendar.bucket()).micros());
        if seen == Some(now) && !rules_changed {
            continue;
        }
        for rule in rules.iter().filter(|rule| rule.per == Per::Cell) {
            let work = (Arc::clone(&snapshot), rule.clone());
            let Ok(Some((domain, at, rows))) =
                tokio::task::spawn_blocking(move || rows(&work.0, &work.1, wall)).await
            else {
                continue;
            };
            let before = state.clone();
            let transitions = state.evaluate(rule, rows.into_iter(), at.micros(), at.micros());
            if transitions.is_empty() {
                continue;
            }
            let (notify, now) = policy.of(&domain, wall.micros(), at.micros());
            let saved = state.save();
            if let Err(error) = alerting
                .record(&transitions, notify, now, Some((STATE, &saved)))
                .await
            {
                tracing::error!(%error, "alert decisions are not stored yet; they are tried again");
                state = before;
            }
        }
        seen = Some(now);
    }
}

async fn restore(decisions: &Decisions) -> CellRules {
    match decisions.meta(STATE).await {
        Ok(Some(saved)) => CellRules::restore(&saved).unwrap_or_else(|error| {
            tracing::warn!(%error, "timers of rules on cells start anew; alerts that fire are in the database");
            CellRules::new()
        }),
        Ok(None) => CellRules::new(),
        Err(error) => {
            tracing::error!(%error, "the state of rules on cells could not be read; their timers start anew");
            CellRules::new()
        }
    }
}

type CellRows = (String, EventTime, Vec<(u64, f64)>);

/// The rule's metric of each cell over the window that ends with the domain's newest bucket (for live feeds, with the
/// present one when that is later).
fn rows(snapshot: &GridSnapshot, rule: &Rule, wall: EventTime) -> Option<CellRows> {
    let index = snapshot.layers.find(&rule.layer)?;
    let layer = snapshot.layers.get(index)?;
    let clock = snapshot.clock_of(index)?;
    let newest = clock.newest_bucket_end?;
    let at = if layer.domain == LIVE_DOMAIN {
        newest.max(wall.ceil(snapshot.calendar.bucket()))
    } else {
        newest
    };
    let length = i64::try_from(rule.window?.as_micros()).ok()?;
    let span = snapshot.snap(index, at.plus(-length), at);
    let resolution = rule
        .resolution
        .and_then(|resolution| Resolution::try_from(resolution).ok());
    let sums = snapshot.sum(index, span, resolution.unwrap_or(snapshot.resolution));
    let values = sums.metric(rule.metric, layer.scale());
    let rows = sums.cells().iter().copied().zip(values).collect();
    Some((layer.domain.clone(), at, rows))
}
