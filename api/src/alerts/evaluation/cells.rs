//! Rules on cells, on merged snapshots: looked at whenever the grid has a new state. Rules that look at the same window of
//! the same layer at the same resolution share one sum.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use h3o::Resolution;
use riskgrid_analytics::rules::{CellRules, Evaluated, Per, Rule, Undo};
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Metric, Version};
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};

use super::NotifyPolicy;
use super::times::ToJudge;
use crate::alerts::Alerting;
use crate::alerts::store::{CellState, Decisions};
use crate::database::Standing;

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
    // How far each rule that remembers cells is known to have been judged by the database.
    let mut evaluated: BTreeMap<String, EventTime> = BTreeMap::new();
    let mut judges = alerting.judges.clone();
    let mut standing = *judges.borrow_and_update();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let has_turned = std::mem::replace(&mut standing, *judges.borrow_and_update()) != standing;
        if standing == Standing::Waiting {
            continue;
        }
        if has_turned {
            // Another node has judged meanwhile.
            state = restore(&alerting.decisions).await;
            evaluated.clear();
        }
        let rules_changed = changed.has_changed().unwrap_or(false) || has_turned;
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
        let mut is_done = true;
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
            let Some(judged) = judged else {
                continue;
            };
            is_done &= judged.is_up_to_date;
            is_done &= store(&alerting, &policy, (standing, wall), rules, judged, &mut state).await;
        }
        let remembering: Vec<(&str, EventTime)> = state.remembering().collect();
        if let Err(error) = alerting
            .decisions
            .under(standing)
            .put_evaluated(&remembering, &mut evaluated)
            .await
        {
            tracing::error!(%error, "how far rules on cells were judged is not stored yet");
            is_done = false;
        }
        let counts = &alerting.evaluators;
        counts.cells.store(state.instances() as u64, Ordering::Relaxed);
        counts.refused_cells.store(state.refused(), Ordering::Relaxed);
        // What is not judged or stored yet is looked at again, whether or not the grid changes.
        seen = is_done.then_some(now);
    }
}

/// Stores what was decided, in the order of its times. What could not be stored, and all that followed it of the same rule,
/// is taken back; whether all was stored.
async fn store(
    alerting: &Alerting,
    policy: &NotifyPolicy,
    (standing, wall): (Standing, EventTime),
    rules: &[Rule],
    judged: Judged,
    state: &mut CellRules,
) -> bool {
    let mut undone: BTreeMap<&str, Vec<Undo>> = BTreeMap::new();
    for (at, of_rules) in judged.times {
        let (notify, now) = policy.of(&judged.domain, wall.micros(), at.micros());
        for (rule, evaluated) in rules.iter().zip(of_rules) {
            if let Some(undone) = undone.get_mut(&*rule.id) {
                undone.push(evaluated.undo);
                continue;
            }
            if evaluated.transitions.is_empty() && evaluated.changes.is_empty() {
                continue;
            }
            let changed = CellState {
                rule_id: &rule.id,
                standing,
                evaluated: at,
                changes: &evaluated.changes,
            };
            let stored = alerting.record_cells(&evaluated.transitions, notify, now, changed);
            if let Err(error) = stored.await {
                tracing::error!(%error, "alert decisions are not stored yet; they are tried again");
                undone.insert(&rule.id, vec![evaluated.undo]);
            }
        }
    }
    let is_stored = undone.is_empty();
    for (rule_id, undos) in undone {
        for undo in undos.into_iter().rev() {
            state.undo(rule_id, undo);
        }
    }
    is_stored
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

/// What the rules of a scan decided.
struct Judged {
    domain: String,
    /// The times that were judged, ascending; at each what every rule decided, in their order.
    times: Vec<(EventTime, Vec<Evaluated>)>,
    /// Nothing is left to be judged.
    is_up_to_date: bool,
}

/// Judges the rules at each end of a bucket from their last evaluation on, that one once more as its bucket may have grown,
/// up to the end of the domain's newest bucket (for live feeds, of the present one when that is later).
fn judge(
    snapshot: &GridSnapshot,
    (layer, resolution, window): &Scan,
    rules: &[Rule],
    wall: EventTime,
    state: &mut CellRules,
) -> Option<Judged> {
    let index = snapshot.layers.find(layer)?;
    let layer = snapshot.layers.get(index)?;
    let bucket = snapshot.calendar.bucket();
    let newest = snapshot.clock_of(index)?.newest_bucket_end?;
    let newest = if layer.domain == LIVE_DOMAIN {
        newest.max(wall.ceil(bucket))
    } else {
        newest
    };
    let length = i64::try_from(window.as_micros()).ok()?;
    let resolution = resolution.and_then(|resolution| Resolution::try_from(resolution).ok());
    let last = rules.iter().filter_map(|rule| state.evaluated(&rule.id)).min();
    let ToJudge {
        times,
        lost_sight,
        is_up_to_date,
    } = ToJudge::since(last, newest, bucket);
    let mut judged = Vec::with_capacity(times.len());
    for at in times {
        let span = snapshot.snap(index, at.plus(-length), at);
        let sums = snapshot.sum(index, span, resolution.unwrap_or(snapshot.resolution));
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let of_rules = rules.iter().map(|rule| {
            let lost = lost_sight
                .filter(|begin| *begin == at)
                .map(|begin| state.lose_sight(rule, begin));
            let metric: Metric = rule.metric;
            let values = values
                .entry(metric.as_str())
                .or_insert_with(|| sums.metric(metric, layer.scale()));
            let rows = sums.cells().iter().copied().zip(values.iter().copied());
            let evaluated = state.evaluate(rule, rows, at);
            match lost {
                Some(lost) => lost.then(evaluated),
                None => evaluated,
            }
        });
        let of_rules = of_rules.collect();
        judged.push((at, of_rules));
    }
    Some(Judged {
        domain: layer.domain.clone(),
        times: judged,
        is_up_to_date,
    })
}
