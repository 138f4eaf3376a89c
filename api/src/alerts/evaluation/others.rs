//! Rules that look at more than sums of the grid: queries, the risk surface, alerts of other rules, silence.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use riskgrid_analytics::rules::{
    Absent, Composite, Evaluated, Expected, InstanceKey, Instances, Judged, NoData, Of, RiskWatch, Row, Rule,
    RuleInstance, SqlWatch, Transition, TransitionKind, Verdict, What,
};
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};
use serde_json::json;
use tokio::time::Instant;

use super::clocks::Clocks;
use super::follow::Decided;
use super::queries::QueryFailure;
use super::times::{ToJudge, micros};
use super::{composite, queries, surface};
use crate::alerts::Alerting;
use crate::alerts::store::RULE_FAILING;

/// Queries of one rule at one look: others are judged between two.
const QUERIES_AT_ONCE: usize = 4;
/// Failures in a row of which somebody is told.
const TOLD_OF: i64 = 3;
/// How long after a failure a rule is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Intervals that a limit is learned from.
const LEARNED_FROM: usize = 32;

/// What is known of the silence of one sensor or feed.
#[derive(Debug)]
struct Heard {
    newest: EventTime,
    cell: Option<u64>,
    intervals: VecDeque<Duration>,
}

/// What such rules need beside their instances.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Rules that failed, and when they are tried again.
    waiting: HashMap<String, Instant>,
    /// What rules on silence listen to.
    heard: HashMap<String, BTreeMap<Box<str>, Heard>>,
}

/// One look at one rule.
pub(super) struct Look<'a> {
    pub(super) alerting: &'a Alerting,
    pub(super) snapshot: &'a Arc<GridSnapshot>,
    pub(super) clocks: &'a Clocks,
    pub(super) rules: &'a [Rule],
    /// The place of the rule among them.
    pub(super) number: usize,
    pub(super) rule: &'a Rule,
}

/// What came of it.
pub(super) struct Looked {
    pub(super) domain: String,
    pub(super) decided: Vec<Decided>,
    pub(super) is_up_to_date: bool,
}

impl Others {
    pub(super) fn set_rules(&mut self, rules: &[Rule]) {
        let is_there = |id: &String| rules.iter().any(|rule| rule.enabled && rule.id == *id);
        self.waiting.retain(|id, _| is_there(id));
        self.heard.retain(|id, _| is_there(id));
    }

    /// Judges a rule that is no threshold; `None` where there is nothing to be judged.
    pub(super) async fn look(&mut self, look: &Look<'_>, state: &mut Instances) -> Option<Looked> {
        match &look.rule.what {
            What::Threshold(_) => None,
            What::Sql(watch) => self.query(look, watch, state).await,
            What::Risk(watch) => surface_of(look, watch, state),
            What::Composite(of) => composite_of(look, of, state).await,
            What::NoData(of) => self.silence(look, of, state),
        }
    }

    async fn query(&mut self, look: &Look<'_>, watch: &SqlWatch, state: &mut Instances) -> Option<Looked> {
        let (rule, sight) = (look.rule, look.alerting.sight()?);
        if self
            .waiting
            .get(&rule.id)
            .is_some_and(|until| Instant::now() < *until)
        {
            return None;
        }
        let times = look.clocks.of(look.snapshot, &watch.domain)?;
        let every = watch.every.map_or(look.snapshot.calendar.bucket(), micros);
        let to_judge = ToJudge::since(state.evaluated(&rule.id), times.complete_to, every);
        let mut looked = Looked {
            domain: watch.domain.clone(),
            decided: Vec::new(),
            is_up_to_date: to_judge.is_up_to_date && to_judge.times.len() <= QUERIES_AT_ONCE,
        };
        for at in to_judge.times.into_iter().take(QUERIES_AT_ONCE) {
            let before = state.evaluated(&rule.id);
            match queries::rows_of(sight, look.snapshot, rule, watch, at).await {
                Ok(rows) => {
                    if self.waiting.remove(&rule.id).is_some() {
                        tell_that_it_works(look.alerting, rule, at).await;
                    }
                    looked.decided.push(look.decided(
                        at,
                        state.evaluate(rule, rows, Absent::Clear, at),
                        before,
                    ));
                }
                Err(failure) => {
                    self.waiting
                        .insert(rule.id.clone(), Instant::now() + AFTER_FAILURE);
                    tell_of_failure(look.alerting, rule, at, &failure).await;
                    break;
                }
            }
        }
        looked.add_timers(look, times.now, every, state);
        Some(looked)
    }

    /// What was not heard of for longer than it is silent otherwise. Where not all is read yet, nobody is known to be silent.
    fn silence(&mut self, look: &Look<'_>, of: &NoData, state: &mut Instances) -> Option<Looked> {
        let domain = of.layer.as_ref().and_then(|layer| {
            let index = look.snapshot.layers.find(layer)?;
            Some(look.snapshot.layers.get(index)?.domain.clone())
        });
        let domain = domain.unwrap_or_else(|| LIVE_DOMAIN.to_owned());
        let times = look.clocks.of(look.snapshot, &domain)?;
        if !look.clocks.is_caught_up {
            return None;
        }
        let now = times.now.floor(1_000_000);
        let before = state.evaluated(&look.rule.id);
        if before == Some(now) {
            return None;
        }
        let heard = self.heard.entry(look.rule.id.clone()).or_default();
        listen(heard, look, of, state, now);
        let mut limits = BTreeMap::new();
        let rows = heard.iter().filter_map(|(name, heard)| {
            let limit = match of.expected {
                Expected::Fixed(limit) => limit,
                Expected::Learned => of.limit(heard.intervals.iter().copied())?,
            };
            let silent = now.since(heard.newest);
            let is_over = silent > micros(limit) && silent <= micros(of.forget);
            limits.insert(name.clone(), (limit, silent > micros(of.forget)));
            Some(Row {
                key: InstanceKey::Text(name.clone()),
                cell: heard.cell,
                judged: Some(Judged {
                    verdict: if is_over { Verdict::Over } else { Verdict::Clear },
                    value: silent as f64 / 1e6,
                }),
            })
        });
        let rows: Vec<Row> = rows.collect();
        let mut evaluated = state.evaluate(look.rule, rows, Absent::NoValue, now);
        for transition in &mut evaluated.transitions {
            if let Some((limit, is_forgotten)) = limits.get(&*transition.instance) {
                transition.evidence["limit"] = json!(limit.as_secs_f64());
                if of.of == Of::Sensor {
                    transition.sensor = Some(transition.instance.clone());
                }
                // No news is no all-clear.
                if *is_forgotten && transition.kind == TransitionKind::Resolved {
                    transition.kind = TransitionKind::Expired;
                }
            }
        }
        let mut looked = Looked {
            domain,
            decided: vec![look.decided(now, evaluated, before)],
            is_up_to_date: true,
        };
        looked.add_timers(look, times.now, 1_000_000, state);
        Some(looked)
    }
}

/// Takes in what was heard since the last look.
fn listen(
    heard: &mut BTreeMap<Box<str>, Heard>,
    look: &Look<'_>,
    of: &NoData,
    state: &Instances,
    now: EventTime,
) {
    for name in &of.sensors {
        // One that was never heard is expected from now on.
        heard.entry(name.as_str().into()).or_insert_with(|| Heard {
            newest: now,
            cell: None,
            intervals: VecDeque::new(),
        });
    }
    let mut hear = |name: &str, newest: EventTime, cell: Option<u64>| match heard.get_mut(name) {
        None => {
            let first = Heard {
                newest,
                cell,
                intervals: VecDeque::new(),
            };
            heard.insert(name.into(), first);
        }
        Some(known) if newest > known.newest => {
            let interval = newest.since(known.newest);
            // One that ended an alert is not how it is otherwise.
            let was_silent = state.remembers(&look.rule.id, &InstanceKey::Text(name.into()));
            if !was_silent {
                known
                    .intervals
                    .push_back(Duration::from_micros(interval.cast_unsigned()));
                if known.intervals.len() > LEARNED_FROM {
                    known.intervals.pop_front();
                }
            }
            (known.newest, known.cell) = (newest, cell);
        }
        Some(_) => {}
    };
    match of.of {
        Of::Sensor => {
            let layer = of.layer.as_deref().unwrap_or_default();
            for (key, sensor) in look.snapshot.sensors() {
                let Some(reading) = sensor.reading.filter(|_| *key.scope == *layer) else {
                    continue;
                };
                let cell = reading.value.0.cell;
                if look.rule.seen.admits(Some(layer), Some(cell))
                    && super::sums::is_in(&look.snapshot.places, &look.rule.areas, cell)
                {
                    hear(&key.name, reading.time, Some(cell));
                }
            }
        }
        Of::Feed => {
            for name in &of.feeds {
                let partitions = look.snapshot.partitions.iter();
                let of_feed = partitions
                    .filter(|partition| *partition.domain == **name || partition.id.is_called(name));
                if let Some(newest) = of_feed.filter_map(|partition| partition.newest).max() {
                    hear(name, newest, None);
                }
            }
        }
    }
}

fn surface_of(look: &Look<'_>, watch: &RiskWatch, state: &mut Instances) -> Option<Looked> {
    let permission = look.rule.seen.permission().map(|permission| &**permission);
    let newest = (look.alerting.sight()?.surface)(permission)?;
    let (domain, moment, rows) = surface::rows_of(&newest, look.rule, watch, &look.snapshot.places)?;
    let every = watch.every.map_or(look.snapshot.calendar.bucket(), micros);
    // There is one surface, that of now: times between two looks have none.
    let at = moment.floor(every);
    let before = state.evaluated(&look.rule.id);
    let mut looked = Looked {
        domain: domain.clone(),
        decided: Vec::new(),
        is_up_to_date: true,
    };
    if before.is_none_or(|before| before < at) {
        let evaluated = state.evaluate(look.rule, rows, surface::absent(watch), at);
        looked.decided.push(look.decided(at, evaluated, before));
    }
    if let Some(times) = look.clocks.of(look.snapshot, &domain) {
        looked.add_timers(look, times.now, every, state);
    }
    Some(looked)
}

async fn composite_of(look: &Look<'_>, of: &Composite, state: &mut Instances) -> Option<Looked> {
    let members = look
        .rules
        .iter()
        .filter(|rule| of.members.names().contains(&rule.name));
    let domain = members.filter_map(Rule::layer).find_map(|layer| {
        let index = look.snapshot.layers.find(layer)?;
        Some(look.snapshot.layers.get(index)?.domain.clone())
    });
    let domain = domain.unwrap_or_else(|| LIVE_DOMAIN.to_owned());
    let now = look.clocks.of(look.snapshot, &domain)?.now;
    let since = now.plus(-micros(of.within)).micros();
    // What ended just before is what ends the composite.
    let asked = look
        .alerting
        .decisions
        .alerts_of_members(of.members.names(), since.saturating_sub(60_000_000))
        .await;
    let alerts = match asked {
        Ok(alerts) => alerts,
        Err(error) => {
            tracing::error!(%error, rule = look.rule.name, "alerts of a composite's members could not be read");
            return None;
        }
    };
    let (newest, rows) = composite::rows_of(look.rule, of, &alerts, look.snapshot, now);
    let before = state.evaluated(&look.rule.id);
    let is_idle = rows.is_empty() && state.of_rule(&look.rule.id).next().is_none();
    if is_idle {
        return None;
    }
    let at = newest
        .unwrap_or(now)
        .max(before.unwrap_or(EventTime::from_micros(i64::MIN)));
    let evaluated = state.evaluate(look.rule, rows, Absent::Clear, at);
    let mut looked = Looked {
        domain,
        decided: vec![look.decided(at, evaluated, before)],
        is_up_to_date: true,
    };
    looked.add_timers(look, now, i64::MAX / 4, state);
    Some(looked)
}

impl Look<'_> {
    fn decided(&self, at: EventTime, evaluated: Evaluated, before: Option<EventTime>) -> Decided {
        Decided {
            at,
            rule: self.number,
            evaluated,
            before,
        }
    }
}

impl Looked {
    /// Lets timers run out that come before the next time at which the rule is judged.
    fn add_timers(&mut self, look: &Look<'_>, now: EventTime, every: i64, state: &mut Instances) {
        let Some(before) = state.evaluated(&look.rule.id) else {
            return;
        };
        let next = before.plus(every);
        let evaluated = state.advance(look.rule, now, next);
        if !evaluated.is_empty() {
            self.decided.push(look.decided(before, evaluated, Some(before)));
        }
    }
}

/// Notes that a rule could not be judged, and tells so the third time in a row.
async fn tell_of_failure(alerting: &Alerting, rule: &Rule, at: EventTime, failure: &QueryFailure) {
    let message = failure.to_string();
    tracing::warn!(
        rule = rule.name,
        error = message,
        "a rule could not be judged; it is tried again"
    );
    let failures = match alerting.decisions.note_failure(&rule.id, &message).await {
        Ok(failures) => failures,
        Err(error) => {
            tracing::error!(%error, "that a rule could not be judged is not stored");
            return;
        }
    };
    alerting
        .evaluators
        .failed
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    if failures == TOLD_OF {
        let evidence = json!({"rule": rule.name, "value": failures, "limit": TOLD_OF, "error": message});
        tell(
            alerting,
            failing(rule, TransitionKind::Firing, at, failures as f64, evidence),
        )
        .await;
    }
}

async fn tell_that_it_works(alerting: &Alerting, rule: &Rule, at: EventTime) {
    let evidence = json!({"rule": rule.name, "value": 0, "limit": TOLD_OF, "reason": "it was judged again"});
    tell(
        alerting,
        failing(rule, TransitionKind::Resolved, at, 0.0, evidence),
    )
    .await;
}

async fn tell(alerting: &Alerting, transition: Transition) {
    let now = (alerting.clock)();
    let told = [transition];
    let stored = alerting.record(&told, crate::alerts::store::Notify::Send, now);
    if let Err(error) = stored.await {
        tracing::error!(%error, "that a rule cannot be judged, or can again, is not stored");
    }
}

fn failing(
    rule: &Rule,
    kind: TransitionKind,
    at: EventTime,
    value: f64,
    evidence: serde_json::Value,
) -> Transition {
    let instance = RuleInstance {
        rule_id: &rule.id,
        instance: RULE_FAILING,
    };
    Transition {
        episode: instance.episode(at),
        rule_id: rule.id.clone(),
        rule: RULE_FAILING.to_owned(),
        rule_version: rule.version,
        rule_kind: rule.kind(),
        kind,
        severity: rule.severity,
        layer: rule.layer().map(str::to_owned),
        group: rule.group.clone(),
        labels: rule.labels.clone(),
        instance: RULE_FAILING.to_owned(),
        sensor: None,
        cell: None,
        value,
        at,
        fired_at: at,
        webhooks: rule.webhooks.clone(),
        audience: riskgrid_analytics::rules::Audience::Staff,
        evidence,
    }
}
