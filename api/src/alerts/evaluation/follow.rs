//! Rules that are judged at times of their own: looked at whenever the grid has a new state, and as time goes by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use riskgrid_analytics::rules::{Evaluated, Instances, REVISE_FOR, Rule, What};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{CellSet, GridReader, GridSnapshot};

use super::NotifyPolicy;
use super::clocks::{Clocks, DomainTimes};
use super::late::LateData;
use super::others::{Look, Others};
use super::revise::Rerun;
use super::sums::{Levels, Scan, Summed, absent};
use super::times::{ToJudge, micros, open_times};
use crate::alerts::Alerting;
use crate::alerts::pending::MOST_SHOWN;
use crate::alerts::store::{Decisions, RuleState};
use crate::database::Standing;

/// How often the grid is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How far each rule was judged is stored so often where nothing changes.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// The rules that share a sum, in the order in which they were made.
type Scans = Vec<(Scan, Arc<[Rule]>)>;

/// What one evaluation of a rule came to.
pub(super) struct Decided {
    pub(super) at: EventTime,
    pub(super) rule: usize,
    pub(super) evaluated: Evaluated,
    /// How far the rule was judged before.
    pub(super) before: Option<EventTime>,
}

/// What the rules of a scan decided, in the order of times.
struct Judged {
    domain: String,
    decided: Vec<Decided>,
    /// Nothing is left to be judged.
    is_up_to_date: bool,
}

/// Evaluates rules until the runtime ends. What they remember is stored with the transitions, in one transaction.
pub async fn follow_rules(
    reader: GridReader,
    alerting: Arc<Alerting>,
    policy: NotifyPolicy,
    patience: Duration,
) {
    let mut changed = alerting.on_rules_changed.subscribe();
    let mut rules = Arc::clone(&changed.borrow_and_update());
    let mut state = restore(&alerting.decisions, &rules).await;
    let mut scans = scans_of(&rules);
    let mut levels = Levels::default();
    let mut late = LateData::default();
    // From when on the rules of a scan are to be judged again. What came while nobody looked is not known to have come.
    let mut changed_from: BTreeMap<Scan, EventTime> = everything_of(&scans);
    let mut others = Others::default();
    let mut seen = None;
    // How far each rule is known to have been judged by the database, and since when.
    let mut noted: BTreeMap<String, EventTime> = BTreeMap::new();
    let mut noted_at = tokio::time::Instant::now();
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
            state = restore(&alerting.decisions, &rules).await;
            noted.clear();
            changed_from = everything_of(&scans);
        }
        let rules_changed = changed.has_changed().unwrap_or(false) || has_turned;
        if rules_changed {
            let newest = Arc::clone(&changed.borrow_and_update());
            state.set_rules(&newest, &rules);
            noted.clear();
            rules = newest;
            others.set_rules(&rules);
            scans = scans_of(&rules);
            changed_from.retain(|scan, _| scans.iter().any(|(known, _)| known == scan));
        }
        let snapshot = reader.snapshot();
        let clocks = Clocks {
            wall: EventTime::from_micros((alerting.clock)()),
            is_caught_up: alerting.is_caught_up(&snapshot),
            patience,
        };
        // Time alone matters by the bucket, and by the second while a timer may run out.
        let by_the_second =
            state.instances() > 0 || rules.iter().any(|rule| rule.what.is_judged_beside_the_grid());
        let grain = if by_the_second {
            1_000_000
        } else {
            snapshot.calendar.bucket()
        };
        let now = (snapshot.version, clocks.wall.floor(grain), clocks.is_caught_up);
        if seen == Some(now) && !rules_changed {
            continue;
        }
        let mut is_done = true;
        look_for_late(&mut late, &snapshot, &scans, &clocks, &mut changed_from);
        for (scan, of_scan) in &scans {
            let (work, of_rules) = ((Arc::clone(&snapshot), scan.clone()), Arc::clone(of_scan));
            let (mut taken, mut known) = (std::mem::take(&mut state), std::mem::take(&mut levels));
            let judged = tokio::task::spawn_blocking(move || {
                let judged = judge(&work.0, &work.1, &of_rules, &clocks, &mut taken, &mut known);
                (taken, known, judged)
            });
            let Ok((back, known, judged)) = judged.await else {
                tracing::error!("rules failed inside; what they remember is read again");
                state = restore(&alerting.decisions, &rules).await;
                continue;
            };
            (state, levels) = (back, known);
            let Some(judged) = judged else {
                continue;
            };
            is_done &= judged.is_up_to_date;
            let (is_up_to_date, domain) = (judged.is_up_to_date, judged.domain.clone());
            let wall = (standing, clocks.wall);
            let is_stored = store(&alerting, &policy, wall, of_scan, judged, &mut state).await;
            is_done &= is_stored;
            let Some(changed) = changed_from.get(scan).copied() else {
                continue;
            };
            if !is_up_to_date || !is_stored {
                continue;
            }
            let (mut taken, mut known) = (std::mem::take(&mut state), std::mem::take(&mut levels));
            let work = (Arc::clone(&snapshot), scan.clone(), Arc::clone(of_scan));
            let judged = tokio::task::spawn_blocking(move || {
                let (snapshot, scan, rules) = &work;
                let again = judge_again(snapshot, (scan, changed), rules, &clocks, &mut taken, &mut known);
                (taken, known, again)
            });
            let Ok((back, known, again)) = judged.await else {
                tracing::error!("rules failed inside; what they remember is read again");
                state = restore(&alerting.decisions, &rules).await;
                continue;
            };
            (state, levels) = (back, known);
            // Where not all is there yet that was judged, it is judged again later.
            let Some(again) = again else { continue };
            let mut is_revised = true;
            for (number, rerun) in again {
                if let Some(rule) = of_scan.get(number) {
                    let wall = (&*domain, standing, clocks.wall);
                    is_revised &= rerun.store(&alerting, &policy, wall, rule, &mut state).await;
                }
            }
            if is_revised {
                changed_from.remove(scan);
            }
            is_done &= is_revised;
        }
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            let look = Look {
                alerting: &alerting,
                snapshot: &snapshot,
                clocks: &clocks,
                rules: &rules,
                number,
                rule,
            };
            let Some(looked) = others.look(&look, &mut state).await else {
                continue;
            };
            is_done &= looked.is_up_to_date;
            let judged = Judged {
                domain: looked.domain,
                decided: looked.decided,
                is_up_to_date: true,
            };
            let wall = (standing, clocks.wall);
            is_done &= store(&alerting, &policy, wall, &rules, judged, &mut state).await;
        }
        if noted_at.elapsed() >= NOTE_EVERY || rules_changed {
            noted_at = tokio::time::Instant::now();
            let evaluated: Vec<(&str, EventTime, Option<EventTime>)> = state.all_evaluated().collect();
            if let Err(error) = alerting
                .decisions
                .under(standing)
                .put_evaluated(&evaluated, &mut noted)
                .await
            {
                tracing::error!(%error, "how far rules were judged is not stored yet");
                is_done = false;
            } else {
                state.forget_what_is_settled();
            }
        }
        let pending = rules.iter().flat_map(|rule| state.pending(rule));
        alerting.pending.show(0, pending.take(MOST_SHOWN).collect());
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
    state: &mut Instances,
) -> bool {
    let mut undone: BTreeMap<usize, Vec<Decided>> = BTreeMap::new();
    for decided in judged.decided {
        let Some(rule) = rules.get(decided.rule) else {
            continue;
        };
        if let Some(undone) = undone.get_mut(&decided.rule) {
            undone.push(decided);
            continue;
        }
        if decided.evaluated.is_empty() {
            continue;
        }
        let (notify, now) = policy.of(&judged.domain, wall, decided.at);
        let now = now.micros();
        let changed = RuleState {
            rule_id: &rule.id,
            rule_version: rule.version,
            standing,
            evaluated: decided.at,
            changes: &decided.evaluated.changes,
            before: &decided.evaluated.undo,
            of: decided.evaluated.of.unwrap_or(decided.at),
        };
        let stored = alerting.record_judged(&decided.evaluated.transitions, notify, now, changed);
        if let Err(error) = stored.await {
            tracing::error!(%error, "alert decisions are not stored yet; they are tried again");
            undone.insert(decided.rule, vec![decided]);
        }
    }
    let is_stored = undone.is_empty();
    for (rule, decided) in undone {
        let Some(rule) = rules.get(rule) else { continue };
        for decided in decided.into_iter().rev() {
            state.undo(&rule.id, decided.before, decided.evaluated.undo);
        }
    }
    is_stored
}

async fn restore(decisions: &Decisions, rules: &[Rule]) -> Instances {
    decisions.rule_instances(rules).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the state of rules could not be read; their timers start anew");
        Instances::new()
    })
}

fn everything_of(scans: &Scans) -> BTreeMap<Scan, EventTime> {
    let scans = scans.iter();
    scans
        .map(|(scan, _)| (scan.clone(), EventTime::from_micros(i64::MIN)))
        .collect()
}

/// Notes from when on late data change what the rules of each scan say.
fn look_for_late(
    late: &mut LateData,
    snapshot: &GridSnapshot,
    scans: &Scans,
    clocks: &Clocks,
    changed_from: &mut BTreeMap<Scan, EventTime>,
) {
    let mut reaches: BTreeMap<&str, i64> = BTreeMap::new();
    for (scan, _) in scans {
        let reach = micros(REVISE_FOR).saturating_add(micros(scan.window));
        let known = reaches.entry(&scan.layer).or_insert(reach);
        *known = reach.max(*known);
    }
    for (layer, reach) in reaches {
        let index = snapshot.layers.find(layer);
        let of_layer = index.and_then(|index| Some((index, snapshot.layers.get(index)?)));
        let Some((index, of_layer)) = of_layer else {
            continue;
        };
        let Some(times) = clocks.of(snapshot, &of_layer.domain) else {
            continue;
        };
        let Some(changed) = late.look(snapshot, index, times.complete_to, reach) else {
            continue;
        };
        // The times behind its beginning have it in their windows.
        let changed = changed.plus(1);
        for (scan, _) in scans.iter().filter(|(scan, _)| scan.layer == layer) {
            let known = changed_from.entry(scan.clone()).or_insert(changed);
            *known = changed.min(*known);
        }
    }
}

/// Judges again what was judged from a time on; `None` where some of it is not there yet. Nothing else is to be judged.
fn judge_again(
    snapshot: &GridSnapshot,
    (scan, changed): (&Scan, EventTime),
    rules: &[Rule],
    clocks: &Clocks,
    state: &mut Instances,
    levels: &mut Levels,
) -> Option<Vec<(usize, Rerun)>> {
    let index = snapshot.layers.find(&scan.layer)?;
    let times = clocks.of(snapshot, &snapshot.layers.get(index)?.domain)?;
    let evaluated = rules.iter().filter_map(|rule| state.evaluated(&rule.id)).max();
    if evaluated.is_some_and(|evaluated| evaluated > times.complete_to) {
        return None;
    }
    let rules_again = rules.iter().enumerate();
    let mut again: BTreeMap<usize, Rerun> = rules_again
        .filter_map(|(number, rule)| Some((number, Rerun::begin(state, rule, changed)?)))
        .collect();
    loop {
        let judged = judge(snapshot, scan, rules, clocks, state, levels)?;
        for decided in judged.decided {
            if let Some(rerun) = again.get_mut(&decided.rule) {
                rerun.note(decided.evaluated);
            }
        }
        if judged.is_up_to_date {
            return Some(again.into_iter().collect());
        }
    }
}

fn scans_of(rules: &[Rule]) -> Scans {
    let mut scans: BTreeMap<Scan, Vec<Rule>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        if let Some(scan) = Scan::of(rule) {
            scans.entry(scan).or_default().push(rule.clone());
        }
    }
    scans
        .into_iter()
        .map(|(scan, rules)| (scan, rules.into()))
        .collect()
}

/// Judges the rules at each of their times that is complete and was not judged, then looks at what is open, then lets timers
/// run out.
fn judge(
    snapshot: &GridSnapshot,
    scan: &Scan,
    rules: &[Rule],
    clocks: &Clocks,
    state: &mut Instances,
    levels: &mut Levels,
) -> Option<Judged> {
    let index = snapshot.layers.find(&scan.layer)?;
    let layer = snapshot.layers.get(index)?;
    let times = clocks.of(snapshot, &layer.domain)?;
    let every = scan.every.map_or(snapshot.calendar.bucket(), micros);
    let everywhere = CellSet::all();
    let seen = rules
        .first()
        .and_then(|rule| rule.seen.cells())
        .unwrap_or(&everywhere);
    let summed_at =
        |at: EventTime, levels: &mut Levels| Summed::new(snapshot, (index, layer), scan, seen, levels, at);
    let newest = times.complete_to.floor(every);
    // A rule that was never judged begins with the newest time.
    let last = rules
        .iter()
        .map(|rule| state.evaluated(&rule.id).unwrap_or(newest.plus(-every)));
    let to_judge = ToJudge::since(last.min(), times.complete_to, every);
    let mut decided = Vec::new();
    for at in to_judge.times {
        let mut summed = summed_at(at, levels);
        for (number, rule) in rules.iter().enumerate() {
            let What::Threshold(threshold) = &rule.what else {
                continue;
            };
            let before = state.evaluated(&rule.id);
            let is_first = before.is_none() && at < newest;
            if is_first || before.is_some_and(|before| at <= before) {
                continue;
            }
            let lost = to_judge.lost_sight.filter(|begin| *begin == at);
            let lost = lost.map(|_| state.lose_sight(rule, at.plus(-1)));
            let rows = summed.rows(rule, threshold, state);
            let mut evaluated = state.evaluate(rule, rows, absent(threshold), at);
            if let Some(lost) = lost {
                evaluated.changes.splice(0..0, lost);
            }
            decided.push(Decided {
                at,
                rule: number,
                evaluated,
                before,
            });
        }
    }
    if to_judge.is_up_to_date {
        look_ahead(
            rules,
            state,
            &times,
            every,
            |at| summed_at(at, levels),
            &mut decided,
        );
        for (number, rule) in rules.iter().enumerate() {
            let Some(before) = state.evaluated(&rule.id) else {
                continue;
            };
            let next = before.floor(every).plus(every);
            let evaluated = state.advance(rule, times.now, next);
            if !evaluated.is_empty() {
                decided.push(Decided {
                    at: before,
                    rule: number,
                    evaluated,
                    before: Some(before),
                });
            }
        }
    }
    Some(Judged {
        domain: layer.domain.clone(),
        decided,
        is_up_to_date: to_judge.is_up_to_date,
    })
}

/// Looks at buckets that are open, for rules whose values only grow in them.
fn look_ahead<'a>(
    rules: &[Rule],
    state: &mut Instances,
    times: &DomainTimes,
    every: i64,
    mut summed_at: impl FnMut(EventTime) -> Summed<'a>,
    decided: &mut Vec<Decided>,
) {
    let growing = |rule: &Rule| matches!(&rule.what, What::Threshold(it) if it.only_grows_over());
    if !rules.iter().any(growing) {
        return;
    }
    let ends = open_times(times.complete_to, times.newest, every);
    let mut sums: Vec<(EventTime, Summed<'a>)> = ends.into_iter().map(|end| (end, summed_at(end))).collect();
    for (number, rule) in rules.iter().enumerate() {
        let What::Threshold(threshold) = &rule.what else {
            continue;
        };
        let (Some(before), true) = (state.evaluated(&rule.id), threshold.only_grows_over()) else {
            continue;
        };
        let looks: Vec<_> = sums
            .iter_mut()
            .filter(|(end, _)| *end > before)
            .map(|(end, summed)| {
                (
                    *end,
                    (*end).min(times.newest),
                    summed.rows(rule, threshold, state),
                )
            })
            .collect();
        let evaluated = state.look_ahead(rule, looks, absent(threshold));
        if !evaluated.is_empty() {
            decided.push(Decided {
                at: before,
                rule: number,
                evaluated,
                before: Some(before),
            });
        }
    }
}
