//! Rules that are judged at times of their own, on merged snapshots and on answers of queries, on one node at a time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

use super::partition::MAX_INSTANCES;
use super::rule::Rule;
use super::step::{Change, InstanceState, Judged, Pace, Phase, advance_all, step, step_without_value};
use super::transition::{At, Pending, Transition, TransitionKind};
use super::words::Verdict;

/// What an instance is known by within its rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceKey {
    /// A cell of the grid.
    Cell(u64),
    /// An area's id, or the keys of a row.
    Text(Box<str>),
}

impl InstanceKey {
    /// As it stands in alerts and in the database; cells in hex.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Cell(cell) => format!("{cell:x}").into(),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// An instance that is pending or firing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Where it stands.
    pub state: InstanceState,
    /// The cell that it lies in, where it has a place.
    pub cell: Option<u64>,
}

/// One instance with what was found of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub key: InstanceKey,
    /// The cell that it lies in, where it has a place.
    pub cell: Option<u64>,
    /// What was found; `None`: no value, which is no all-clear.
    pub judged: Option<Judged>,
}

/// What an evaluation says of an instance that is not among its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Absent {
    /// Nothing.
    NoValue,
    /// This.
    Is(Judged),
    /// It is clear, with the value that it had.
    Clear,
}

/// An instance whose phase changed: as it is now, `None` at rest.
pub type InstanceChange = (InstanceKey, Option<Known>);

/// What an evaluation did.
#[derive(Clone, Debug, Default)]
pub struct Evaluated {
    /// Alerts that began or ended, in the order of instances.
    pub transitions: Vec<Transition>,
    /// Store these in the transaction that stores the transitions.
    pub changes: Vec<InstanceChange>,
    /// How to take it back: as each changed instance was before.
    pub undo: Vec<InstanceChange>,
    /// Late data from before this time make it again.
    pub of: Option<EventTime>,
}

impl Evaluated {
    /// Whether anything came of it.
    pub fn is_empty(&self) -> bool {
        self.transitions.is_empty() && self.changes.is_empty()
    }
}

/// An evaluation that can still be taken back because of late data.
#[derive(Clone, Debug, PartialEq)]
struct Past {
    at: EventTime,
    before: Vec<InstanceChange>,
}

/// What one rule remembers, to be put back where what was made of it could not be stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleKnown {
    /// Event time of the newest evaluation.
    evaluated: Option<EventTime>,
    /// Evaluations up to this one are made no more, whatever comes.
    settled: Option<EventTime>,
    instances: BTreeMap<InstanceKey, Known>,
    /// Evaluations that changed something, ascending.
    past: VecDeque<Past>,
}

impl RuleKnown {
    /// Remembers how what changed stood before, for late data from before `at`.
    fn note(&mut self, done: Evaluated, at: EventTime) -> Evaluated {
        if done.undo.is_empty() {
            return done;
        }
        self.past.push_back(Past {
            at,
            before: done.undo.clone(),
        });
        Evaluated { of: Some(at), ..done }
    }
}

/// The state of rules that are judged at times of their own. Only instances that are pending or firing are remembered.
#[derive(Clone, Debug, Default)]
pub struct Instances {
    rules: BTreeMap<String, RuleKnown>,
    /// Evaluations of an instance that were left out because its rule remembers as many as it may.
    refused: u64,
}

impl Instances {
    /// Without any state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes another set of rules: the state of those that are not in it, are off, or watch something else, is dropped. What
    /// a rule said before it was changed stays as it said it.
    pub fn set_rules(&mut self, rules: &[Rule], before: &[Rule]) {
        for was in before {
            if rules
                .iter()
                .any(|rule| rule.id == was.id && rule.version != was.version)
            {
                self.settle(&was.id);
            }
        }
        let ids: BTreeSet<&str> = rules
            .iter()
            .filter(|rule| rule.enabled)
            .filter(|rule| {
                let was = before.iter().find(|was| was.id == rule.id);
                was.is_none_or(|was| rule.is_same_watch(was))
            })
            .map(|rule| rule.id.as_str())
            .collect();
        self.rules.retain(|id, _| ids.contains(id.as_str()));
    }

    /// Judges the instances of one rule at the event time `at`, in their order; each stands in `rows` once. Then lets timers
    /// run out that were due before it. Rows that are neither over nor remembered may be left out or not: they change
    /// nothing. An evaluation older than the newest one changes nothing.
    pub fn evaluate(
        &mut self,
        rule: &Rule,
        rows: impl IntoIterator<Item = Row>,
        absent: Absent,
        at: EventTime,
    ) -> Evaluated {
        let known = self.rules.entry(rule.id.clone()).or_default();
        if known.evaluated.is_some_and(|evaluated| at < evaluated) {
            return Evaluated::default();
        }
        if known.evaluated.is_none() {
            // Before its first time it judged nothing.
            known.settled = known.settled.max(Some(at.plus(-1)));
        }
        known.evaluated = Some(at);
        let (done, refused) = judge_rows(&mut known.instances, rule, rows, absent, at);
        self.refused += refused;
        known.note(done, at)
    }

    /// Looks at times whose data are not complete and only grow, each with when it is looked at and its rows: what fires
    /// there fires at once, then, and nothing else changes. The times ascend.
    pub fn look_ahead(
        &mut self,
        rule: &Rule,
        looks: impl IntoIterator<Item = (EventTime, EventTime, Vec<Row>)>,
        absent: Absent,
    ) -> Evaluated {
        let known = self.rules.entry(rule.id.clone()).or_default();
        let mut scratch: Option<BTreeMap<InstanceKey, Known>> = None;
        let (mut done, mut first) = (Evaluated::default(), None);
        for (end, at, rows) in looks {
            first = first.or(Some(end));
            let is_idle = scratch.is_none() && known.instances.is_empty();
            let is_any_over = rows.iter().any(|row| is_over(row.judged));
            if is_idle && !is_any_over {
                continue;
            }
            let scratch = scratch.get_or_insert_with(|| known.instances.clone());
            let (found, refused) = judge_rows(scratch, rule, rows, absent, at);
            self.refused += refused;
            let firings = found.transitions.into_iter();
            let mut firings: BTreeMap<String, Transition> = firings
                .filter(|transition| transition.kind == TransitionKind::Firing)
                .map(|transition| (transition.instance.clone(), transition))
                .collect();
            for (key, fired) in found.changes {
                let (Some(fired), Some(transition)) = (fired, firings.remove(&*key.text())) else {
                    continue;
                };
                let before = known.instances.insert(key.clone(), fired);
                let is_open = before.is_some_and(|before| before.state.phase.is_open());
                if is_open {
                    // It ended and fired again in what is not complete: that is for later.
                    known.instances.extend(before.map(|before| (key, before)));
                    continue;
                }
                done.undo.push((key.clone(), before));
                done.changes.push((key, Some(fired)));
                done.transitions.push(transition);
            }
        }
        match first {
            Some(first) => known.note(done, first),
            None => done,
        }
    }

    /// Lets timers of a rule run out that were due before `now`, as far as no evaluation comes before them: `next` is the
    /// time of the next.
    pub fn advance(&mut self, rule: &Rule, now: EventTime, next: EventTime) -> Evaluated {
        let Some(known) = self.rules.get_mut(&rule.id) else {
            return Evaluated::default();
        };
        let (pace, until) = (Pace::from(rule), now.min(next));
        let mut done = Evaluated::default();
        for (key, instance) in &known.instances {
            if instance.state.due(&pace).is_none_or(|due| due >= until) {
                continue;
            }
            let mut changes = Vec::new();
            let state = advance_all(instance.state, until, &pace, &mut changes);
            let spot = || At {
                instance: key.text().into_owned().into(),
                sensor: None,
                cell: instance.cell,
            };
            let changes = changes
                .into_iter()
                .map(|change| Transition::new(rule, spot(), change));
            done.transitions.extend(changes);
            let after = (state.phase != Phase::Quiet).then_some(Known { state, ..*instance });
            done.undo.push((key.clone(), Some(*instance)));
            done.changes.push((key.clone(), after));
        }
        put_all(&mut known.instances, done.changes.iter().cloned());
        known.note(done, until)
    }

    /// When a rule was evaluated last.
    pub fn evaluated(&self, rule_id: &str) -> Option<EventTime> {
        self.rules.get(rule_id)?.evaluated
    }

    /// How far each rule was judged, and up to when that stays as it is.
    pub fn all_evaluated(&self) -> impl Iterator<Item = (&str, EventTime, Option<EventTime>)> {
        self.rules
            .iter()
            .filter_map(|(id, known)| Some((id.as_str(), known.evaluated?, known.settled)))
    }

    /// Whether the rule remembers the instance.
    pub fn remembers(&self, rule_id: &str, key: &InstanceKey) -> bool {
        self.rules
            .get(rule_id)
            .is_some_and(|known| known.instances.contains_key(key))
    }

    /// What a rule remembers.
    pub fn of_rule(&self, rule_id: &str) -> impl Iterator<Item = (&InstanceKey, &Known)> {
        self.rules
            .get(rule_id)
            .into_iter()
            .flat_map(|known| &known.instances)
    }

    /// Nothing is known of a time before `at`: what was pending then is not known to have been over the limit all the time.
    /// An evaluation at `at` or later goes on from here.
    pub fn lose_sight(&mut self, rule: &Rule, at: EventTime) -> Vec<InstanceChange> {
        let known = self.rules.entry(rule.id.clone()).or_default();
        if known.evaluated.is_none_or(|evaluated| at <= evaluated) {
            return Vec::new();
        }
        known.evaluated = Some(at);
        known.settled = known.evaluated;
        known.past.clear();
        let mut changes = Vec::new();
        known.instances.retain(|key, instance| {
            let is_pending = matches!(instance.state.phase, Phase::Pending { .. });
            if is_pending {
                changes.push((key.clone(), None));
            }
            !is_pending
        });
        changes
    }

    /// Evaluations of a rule that were made stay as they are: it judges otherwise from now on.
    pub fn settle(&mut self, rule_id: &str) {
        if let Some(known) = self.rules.get_mut(rule_id) {
            known.settled = known.evaluated;
            known.past.clear();
        }
    }

    /// Up to when evaluations of a rule are made no more, whatever comes.
    pub fn settled(&self, rule_id: &str) -> Option<EventTime> {
        self.rules.get(rule_id)?.settled
    }

    /// From when on the evaluations of a rule are made again for late data that change those from `from` on; `None` where
    /// none is.
    pub fn revisable_from(&self, rule_id: &str, from: EventTime) -> Option<EventTime> {
        let known = self.rules.get(rule_id)?;
        let evaluated = known.evaluated?;
        let kept_from = evaluated.plus(-(REVISE_FOR.as_micros() as i64));
        let settled = known.settled.map(|settled| settled.plus(1));
        let from = settled.into_iter().fold(from.max(kept_from), EventTime::max);
        (from <= evaluated).then_some(from)
    }

    /// Goes back to how a rule stood before its evaluations at `to` and later, so that they are made again. Answers what is
    /// to be stored; `None` where that is too long ago, and nothing changes.
    pub fn go_back(&mut self, rule_id: &str, to: EventTime) -> Option<Vec<InstanceChange>> {
        if self.revisable_from(rule_id, to)? != to {
            return None;
        }
        let known = self.rules.get_mut(rule_id)?;
        let mut changes: BTreeMap<InstanceKey, Option<Known>> = BTreeMap::new();
        while let Some(past) = known.past.pop_back_if(|past| past.at >= to) {
            put_all(&mut known.instances, past.before.iter().cloned());
            changes.extend(past.before);
        }
        // Everything up to just before it stands; values that changed nothing were not remembered, and are looked at again.
        let stands = to.plus(-1);
        for instance in known.instances.values_mut() {
            instance.state.newest = instance.state.newest.min(stands);
        }
        known.evaluated = Some(stands);
        Some(changes.into_iter().collect())
    }

    /// How instances stood before the evaluations from `from` on, oldest first.
    pub fn past_since(
        &self,
        rule_id: &str,
        from: EventTime,
    ) -> impl Iterator<Item = (EventTime, &[InstanceChange])> {
        let past = self.rules.get(rule_id).into_iter().flat_map(|known| &known.past);
        past.filter(move |past| past.at >= from)
            .map(|past| (past.at, past.before.as_slice()))
    }

    /// What a rule remembers of an instance.
    pub fn known(&self, rule_id: &str, key: &InstanceKey) -> Option<&Known> {
        self.rules.get(rule_id)?.instances.get(key)
    }

    /// All that is remembered of a rule, as it is now.
    pub fn of_one(&self, rule_id: &str) -> Option<RuleKnown> {
        self.rules.get(rule_id).cloned()
    }

    /// Puts back what [`of_one`](Self::of_one) answered.
    pub fn put_one(&mut self, rule_id: &str, known: RuleKnown) {
        self.rules.insert(rule_id.to_owned(), known);
    }

    /// An instance is at rest: what is stored of it is over, and stays so.
    pub fn put_to_rest(&mut self, rule_id: &str, key: &InstanceKey) {
        if let Some(known) = self.rules.get_mut(rule_id) {
            known.instances.remove(key);
        }
    }

    /// Forgets how a rule stood before `at`: evaluations before it are made no more.
    pub fn forget_past(&mut self, rule_id: &str, at: EventTime) {
        if let Some(known) = self.rules.get_mut(rule_id) {
            while known.past.pop_front_if(|past| past.at < at).is_some() {}
        }
    }

    /// Forgets of every rule how it stood before evaluations that are made no more, because they are longer ago than
    /// [`REVISE_FOR`].
    pub fn forget_what_is_settled(&mut self) {
        for known in self.rules.values_mut() {
            let Some(evaluated) = known.evaluated else {
                continue;
            };
            let kept_from = evaluated.plus(-(REVISE_FOR.as_micros() as i64));
            while known.past.pop_front_if(|past| past.at < kept_from).is_some() {}
        }
    }

    /// Takes the newest evaluation of a rule back, which could not be stored; `evaluated` is how far it was judged before.
    pub fn undo(&mut self, rule_id: &str, evaluated: Option<EventTime>, undo: Vec<InstanceChange>) {
        let Some(known) = self.rules.get_mut(rule_id) else {
            return;
        };
        known.evaluated = evaluated;
        if !undo.is_empty() {
            known.past.pop_back();
        }
        put_all(&mut known.instances, undo);
    }

    /// Puts back what was stored of a rule: when it was evaluated and up to when that stays, its instances that are pending or firing, and how those
    /// stood before that late data may change, by the times of the evaluations, ascending.
    pub fn put_back(
        &mut self,
        rule_id: &str,
        (evaluated, settled): (Option<EventTime>, Option<EventTime>),
        instances: impl IntoIterator<Item = (InstanceKey, Known)>,
        past: impl IntoIterator<Item = (EventTime, Vec<InstanceChange>)>,
    ) {
        let known = self.rules.entry(rule_id.to_owned()).or_default();
        known.evaluated = evaluated.max(known.evaluated);
        known.settled = settled.max(known.settled);
        known.instances.extend(instances);
        known
            .past
            .extend(past.into_iter().map(|(at, before)| Past { at, before }));
    }

    /// Instances of a rule that are over and do not fire yet.
    pub fn pending(&self, rule: &Rule) -> impl Iterator<Item = Pending> {
        let pace = Pace::from(rule);
        self.of_rule(&rule.id).filter_map(move |(key, known)| {
            let at = At {
                instance: key.text(),
                sensor: None,
                cell: known.cell,
            };
            Pending::of(rule, &at, &known.state, &pace)
        })
    }

    /// Instances that are pending or firing.
    pub fn instances(&self) -> usize {
        self.rules.values().map(|known| known.instances.len()).sum()
    }

    /// Evaluations of an instance that were left out because its rule remembers as many as it may.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Each rule, with how many of its instances are pending and how many fire.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.rules.iter().map(|(id, known)| {
            let open = known
                .instances
                .values()
                .filter(|one| one.state.phase.is_open())
                .count() as u64;
            (id.as_str(), known.instances.len() as u64 - open, open)
        })
    }
}

/// How long ago evaluations may be made again.
pub const REVISE_FOR: Duration = Duration::from_hours(1);

fn is_over(judged: Option<Judged>) -> bool {
    judged.is_some_and(|judged| judged.verdict == Verdict::Over)
}

fn put_all(instances: &mut BTreeMap<InstanceKey, Known>, changes: impl IntoIterator<Item = InstanceChange>) {
    for (key, known) in changes {
        match known {
            Some(known) => drop(instances.insert(key, known)),
            None => drop(instances.remove(&key)),
        }
    }
}

/// Moves instances by rows; also answers how many were too many.
fn judge_rows(
    instances: &mut BTreeMap<InstanceKey, Known>,
    rule: &Rule,
    rows: impl IntoIterator<Item = Row>,
    absent: Absent,
    at: EventTime,
) -> (Evaluated, u64) {
    let pace = Pace::from(rule);
    let (mut done, mut refused) = (Evaluated::default(), 0);
    for (key, (cell, judged)) in of_concern(instances, rows, absent) {
        let before = instances.get(&key).copied();
        if before.is_none() && instances.len() >= MAX_INSTANCES {
            refused += 1;
            continue;
        }
        let state = before.map(|before| before.state);
        let (after, mut changes) = match (judged, state) {
            (Some(judged), state) => step(state, judged, at, &pace),
            (None, Some(state)) => step_without_value(state, at, &pace),
            (None, None) => continue,
        };
        let after = advance_all(after, at, &pace, &mut changes);
        let cell = cell.or(before.and_then(|before| before.cell));
        let spot = || At {
            instance: key.text().into_owned().into(),
            sensor: None,
            cell,
        };
        let changes = changes.into_iter();
        done.transitions
            .extend(changes.map(|change: Change| Transition::new(rule, spot(), change)));
        let after = (after.phase != Phase::Quiet).then_some(Known { state: after, cell });
        if before == after {
            continue;
        }
        put_all(instances, [(key.clone(), after)]);
        let phase = |known: Option<Known>| known.map(|known| known.state.phase);
        let is_pending = matches!(phase(after), Some(Phase::Pending { .. }));
        // What is pending fires with its newest value.
        if is_pending || phase(before) != phase(after) {
            done.changes.push((key.clone(), after));
            done.undo.push((key, before));
        }
    }
    (done, refused)
}

type Found = (Option<u64>, Option<Judged>);

/// The instances that may change: those that are over and those remembered, with what was found of them.
fn of_concern(
    remembered: &BTreeMap<InstanceKey, Known>,
    rows: impl IntoIterator<Item = Row>,
    absent: Absent,
) -> BTreeMap<InstanceKey, Found> {
    let mut found: BTreeMap<InstanceKey, Found> = remembered
        .iter()
        .map(|(key, known)| {
            let judged = match absent {
                Absent::NoValue => None,
                Absent::Is(judged) => Some(judged),
                Absent::Clear => Some(Judged {
                    verdict: Verdict::Clear,
                    value: known.state.value,
                }),
            };
            (key.clone(), (known.cell, judged))
        })
        .collect();
    for row in rows {
        if is_over(row.judged) || found.contains_key(&row.key) {
            found.insert(row.key, (row.cell, row.judged));
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "instances_tests.rs"]
mod tests;
