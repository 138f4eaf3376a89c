//! Rules on cells, on merged snapshots: looked at whenever the grid has a new state. Rules that look at the same window of
//! the same layer at the same resolution share one sum.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use h3o::Resolution;
use riskgrid_analytics::rules::{CellRules, Evaluated, Per, Rule};
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Metric, Version};
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};

use super::NotifyPolicy;
use crate::alerts::Alerting;
use crate::alerts::store::{CellState, Decisions};

/// How often the grid is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is summed once: a layer's window at a resolution.
type Scan = (String, Option<u8>, Duration);
/// The rules of each, in the order in which they were made.
type Scans = Vec<(Scan, Arc<[Rule]>)>;

/// Evaluates rules on cells until the runtime ends. What they remember is stored with the transitions, in one transaction.
pub async fn follow_cells(reader: GridReader, alerting: Arc<Alerting>, policy: NotifyPolicy) {
    let mut state = restore(&alerting.decisions).await;
    let mut changed = alerting.on_rules_changed.subscribe();
    let mut scans = scans_of(&changed.borrow_and_update());
    let mut seen: Option<(Version, i64)> = None;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let rules_changed = changed.has_changed().unwrap_or(false);
        if rules_changed {
            let rules = Arc::clone(&changed.borrow_and_update());
            state.set_rules(&rules);
            scans = scans_of(&rules);
        }
        let snapshot = reader.snapshot();
        let wall = EventTime::from_micros((alerting.clock)());
        // The wall clock matters by the bucket: a silent stream's window must still move on.
        let now = (snapshot.version, wall.floor(snapshot.calendar.bucket()).micros());
        if seen == Some(now) && !rules_changed {
            continue;
        }
        let mut is_stored = true;
        for (scan, rules) in &scans {
            let (work, of_rules) = ((Arc::clone(&snapshot), scan.clone()), Arc::clone(rules));
            let mut taken = std::mem::take(&mut state);
            let judged = tokio::task::spawn_blocking(move || {
                let judged = judge(&work.0, &work.1, &of_rules, wall, &mut taken);
                (taken, judged)
            });
            let Ok((back, judged)) = judged.await else {
                tracing::error!("rules on cells failed inside; what they remember is read again");
                state = restore(&alerting.decisions).await;
                continue;
            };
            state = back;
            let Some((domain, at, judged)) = judged else {
                continue;
            };
            for (rule, evaluated) in rules.iter().zip(judged) {
                if evaluated.transitions.is_empty() && evaluated.changes.is_empty() {
                    continue;
                }
                let (notify, now) = policy.of(&domain, wall.micros(), at.micros());
                let changed = CellState {
                    rule_id: &rule.id,
                    evaluated: at,
                    changes: &evaluated.changes,
                };
                let stored = alerting.record_cells(&evaluated.transitions, notify, now, changed);
                if let Err(error) = stored.await {
                    tracing::error!(%error, "alert decisions are not stored yet; they are tried again");
                    state.undo(&rule.id, evaluated.undo);
                    is_stored = false;
                }
            }
        }
        let counts = &alerting.evaluators;
        counts.cells.store(state.instances() as u64, Ordering::Relaxed);
        counts.refused_cells.store(state.refused(), Ordering::Relaxed);
        // What could not be stored is looked at again, whether or not the grid changes.
        seen = is_stored.then_some(now);
    }
}

async fn restore(decisions: &Decisions) -> CellRules {
    decisions.cell_rules().await.unwrap_or_else(|error| {
        tracing::error!(%error, "the state of rules on cells could not be read; their timers start anew");
        CellRules::new()
    })
}

fn scans_of(rules: &[Rule]) -> Scans {
    let mut scans: BTreeMap<Scan, Vec<Rule>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.per == Per::Cell) {
        if let Some(window) = rule.window {
            let scan = (rule.layer.clone(), rule.resolution, window);
            scans.entry(scan).or_default().push(rule.clone());
        }
    }
    scans
        .into_iter()
        .map(|(scan, rules)| (scan, rules.into()))
        .collect()
}

/// What each rule decides of its scan, in their order.
type Judged = (String, EventTime, Vec<Evaluated>);

/// Judges the rules by the window that ends with the domain's newest bucket (for live feeds, with the present one when that
/// is later).
fn judge(
    snapshot: &GridSnapshot,
    (layer, resolution, window): &Scan,
    rules: &[Rule],
    wall: EventTime,
    state: &mut CellRules,
) -> Option<Judged> {
    let index = snapshot.layers.find(layer)?;
    let layer = snapshot.layers.get(index)?;
    let newest = snapshot.clock_of(index)?.newest_bucket_end?;
    let at = if layer.domain == LIVE_DOMAIN {
        newest.max(wall.ceil(snapshot.calendar.bucket()))
    } else {
        newest
    };
    let length = i64::try_from(window.as_micros()).ok()?;
    let span = snapshot.snap(index, at.plus(-length), at);
    let resolution = resolution.and_then(|resolution| Resolution::try_from(resolution).ok());
    let sums = snapshot.sum(index, span, resolution.unwrap_or(snapshot.resolution));
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let judged = rules.iter().map(|rule| {
        let metric: Metric = rule.metric;
        let values = values
            .entry(metric.as_str())
            .or_insert_with(|| sums.metric(metric, layer.scale()));
        let rows = sums.cells().iter().copied().zip(values.iter().copied());
        state.evaluate(rule, rows, at)
    });
    let judged = judged.collect();
    Some((layer.domain.clone(), at, judged))
}
