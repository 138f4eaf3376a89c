//! Rules on cells: judged on merged snapshots, at the end of a bucket, on one node at a time.

use std::collections::{BTreeMap, BTreeSet};

use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

use super::partition::{MAX_INSTANCES, RestoreError};
use super::rule::Rule;
use super::step::{InstanceState, Phase, advance_all, step, step_without_value};
use super::transition::Transition;

/// The format of a state that is one value.
const WHOLE_FORMAT: u8 = 1;

/// The state of the rules on cells. Only cells that are pending or firing are remembered, so it stays small.
#[derive(Clone, Debug, Default)]
pub struct CellRules {
    rules: BTreeMap<String, RuleCells>,
    /// Cells that were not judged because their rule remembers as many as it may.
    refused: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct RuleCells {
    /// Event time of the newest evaluation.
    evaluated: Option<EventTime>,
    cells: BTreeMap<u64, InstanceState>,
}

/// A cell whose phase changed: as it is now, `None` at rest.
pub type CellChange = (u64, Option<InstanceState>);

/// What an evaluation did.
#[derive(Clone, Debug, Default)]
pub struct Evaluated {
    /// Alerts that began or ended, in the order of cells.
    pub transitions: Vec<Transition>,
    /// Store these in the transaction that stores the transitions.
    pub changes: Vec<CellChange>,
    /// How to take it back, when it could not be stored.
    pub undo: Undo,
}

impl Evaluated {
    /// This and then `later`, of the same rule, as one.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        self.transitions.extend(later.transitions);
        let mut changes: BTreeMap<u64, Option<InstanceState>> = self.changes.into_iter().collect();
        changes.extend(later.changes);
        // What was first is taken back last.
        let mut cells = later.undo.cells;
        cells.extend(self.undo.cells);
        Self {
            transitions: self.transitions,
            changes: changes.into_iter().collect(),
            undo: Undo {
                evaluated: self.undo.evaluated,
                cells,
            },
        }
    }
}

/// What was before an evaluation.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    evaluated: Option<EventTime>,
    cells: Vec<CellChange>,
}

impl CellRules {
    /// Without any state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes another set of rules: the state of rules that are not in it is dropped.
    pub fn set_rules(&mut self, rules: &[Rule]) {
        let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        self.rules.retain(|id, _| ids.contains(id.as_str()));
    }

    /// Judges the cells of one rule at the event time `at`, in the order of cells; `rows` has each cell once, at the
    /// rule's resolution, with the rule's metric over `[at - window, at)`. Then lets timers run out that were due before
    /// it.
    ///
    /// A cell that is not in `rows` has the value 0 for count, weight, sum and sources. For the other metrics it has
    /// none: a pending cell becomes quiet, a firing one stays as it is, because no news is not an all-clear.
    /// An evaluation older than the newest one changes nothing.
    pub fn evaluate(
        &mut self,
        rule: &Rule,
        rows: impl Iterator<Item = (u64, f64)>,
        at: EventTime,
    ) -> Evaluated {
        let known = self.rules.entry(rule.id.clone()).or_default();
        let mut done = Evaluated::default();
        done.undo.evaluated = known.evaluated;
        if known.evaluated.is_some_and(|evaluated| at < evaluated) {
            return done;
        }
        known.evaluated = Some(at);
        let values = values_of_concern(rule, &known.cells, rows);
        for (cell, value) in values {
            let before = known.cells.get(&cell).copied();
            if before.is_none() && known.cells.len() >= MAX_INSTANCES {
                self.refused += 1;
                continue;
            }
            let (after, mut changes) = match (value, before) {
                (Some(value), before) => step(before, value, at, rule),
                (None, Some(before)) => step_without_value(before, at, rule),
                (None, None) => continue,
            };
            let after = advance_all(after, at, rule, &mut changes);
            let changes = changes.into_iter();
            done.transitions
                .extend(changes.map(|change| Transition::new(rule, None, Some(cell), change)));
            let after = Some(after).filter(|after| after.phase != Phase::Quiet);
            match after {
                Some(after) => drop(known.cells.insert(cell, after)),
                None => drop(known.cells.remove(&cell)),
            }
            done.undo.cells.push((cell, before));
            if before.map(|before| before.phase) != after.map(|after| after.phase) {
                done.changes.push((cell, after));
            }
        }
        done
    }

    /// When a rule was evaluated last.
    pub fn evaluated(&self, rule_id: &str) -> Option<EventTime> {
        self.rules.get(rule_id)?.evaluated
    }

    /// The rules that remember cells, each with when it was evaluated last.
    pub fn remembering(&self) -> impl Iterator<Item = (&str, EventTime)> {
        let remembering = self.rules.iter().filter(|(_, known)| !known.cells.is_empty());
        remembering.filter_map(|(id, known)| Some((id.as_str(), known.evaluated?)))
    }

    /// Nothing is known of a time before `at`: what was pending then is not known to have been over the limit all the time.
    /// An evaluation at `at` or later goes on from here.
    pub fn lose_sight(&mut self, rule: &Rule, at: EventTime) -> Evaluated {
        let known = self.rules.entry(rule.id.clone()).or_default();
        let mut done = Evaluated::default();
        done.undo.evaluated = known.evaluated;
        if known.evaluated.is_none_or(|evaluated| at <= evaluated) {
            return done;
        }
        known.evaluated = Some(at);
        known.cells.retain(|cell, state| {
            let is_pending = matches!(state.phase, Phase::Pending { .. });
            if is_pending {
                done.undo.cells.push((*cell, Some(*state)));
                done.changes.push((*cell, None));
            }
            !is_pending
        });
        done
    }

    /// Takes the newest evaluation of a rule back.
    pub fn undo(&mut self, rule_id: &str, undo: Undo) {
        let Some(known) = self.rules.get_mut(rule_id) else {
            return;
        };
        known.evaluated = undo.evaluated;
        for (cell, before) in undo.cells {
            match before {
                Some(before) => drop(known.cells.insert(cell, before)),
                None => drop(known.cells.remove(&cell)),
            }
        }
    }

    /// Puts back what was stored of a rule: when it was evaluated, and its cells that are pending or firing.
    pub fn put_back(
        &mut self,
        rule_id: &str,
        evaluated: Option<EventTime>,
        cells: impl IntoIterator<Item = (u64, InstanceState)>,
    ) {
        let known = self.rules.entry(rule_id.to_owned()).or_default();
        known.evaluated = evaluated.max(known.evaluated);
        known.cells.extend(cells);
    }

    /// Everything that is remembered: of each rule when it was evaluated, and its cells.
    pub fn all(&self) -> impl Iterator<Item = (&str, Option<EventTime>, Vec<CellChange>)> {
        self.rules.iter().map(|(id, known)| {
            let cells = known.cells.iter().map(|(cell, state)| (*cell, Some(*state)));
            (id.as_str(), known.evaluated, cells.collect())
        })
    }

    /// Cells that are pending or firing.
    pub fn instances(&self) -> usize {
        self.rules.values().map(|known| known.cells.len()).sum()
    }

    /// Cells that were not judged because their rule remembers as many as it may.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The state as one value, as it was stored before it was stored by cell.
    pub fn restore(saved: &[u8]) -> Result<Self, RestoreError> {
        let rules = match saved.split_first() {
            None => BTreeMap::new(),
            Some((&WHOLE_FORMAT, bytes)) => postcard::from_bytes(bytes)?,
            Some((&found, _)) => return Err(RestoreError::Format { found }),
        };
        Ok(Self { rules, refused: 0 })
    }
}

/// The cells that may change: those over the limit and those remembered, with their values.
fn values_of_concern(
    rule: &Rule,
    remembered: &BTreeMap<u64, InstanceState>,
    rows: impl Iterator<Item = (u64, f64)>,
) -> BTreeMap<u64, Option<f64>> {
    let absent = rule.metric.is_additive().then_some(0.0);
    let mut values: BTreeMap<u64, Option<f64>> = remembered.keys().map(|cell| (*cell, absent)).collect();
    for (cell, value) in rows.filter(|(_, value)| value.is_finite()) {
        if rule.limit.is_exceeded_by(value) || remembered.contains_key(&cell) {
            values.insert(cell, Some(value));
        }
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "cells_tests.rs"]
mod tests;
