//! Rules on cells: judged on merged snapshots, at the end of a bucket, on one node at a time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::partition::{FORMAT, RestoreError};
use super::rule::Rule;
use super::step::{InstanceState, Phase, advance, step};
use super::transition::Transition;

/// The state of the rules on cells. Only cells that are pending or firing are remembered, so it stays small.
#[derive(Clone, Debug, Default)]
pub struct CellRules {
    rules: BTreeMap<String, RuleCells>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RuleCells {
    /// Event time of the newest evaluation, µs.
    evaluated: Option<i64>,
    cells: BTreeMap<u64, InstanceState>,
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
    /// rule's resolution, with the rule's metric over `[at - window, at)`. Then lets timers run out that were due
    /// before `now`. Both in µs.
    ///
    /// A cell that is not in `rows` has the value 0 for count, weight, sum and sources. For the other metrics it has
    /// none: a pending cell becomes quiet, a firing one stays as it is, because no news is not an all-clear.
    /// An evaluation older than the newest one changes nothing.
    pub fn evaluate(
        &mut self,
        rule: &Rule,
        rows: impl Iterator<Item = (u64, f64)>,
        at: i64,
        now: i64,
    ) -> Vec<Transition> {
        let known = self.rules.entry(rule.id.clone()).or_default();
        if known.evaluated.is_some_and(|evaluated| at < evaluated) {
            return Vec::new();
        }
        known.evaluated = Some(at);
        let values = values_of_concern(rule, &known.cells, rows);
        let mut transitions = Vec::new();
        for (cell, value) in values {
            let before = known.cells.remove(&cell);
            let (after, changes) = match (value, before) {
                (Some(value), before) => step(before, value, at, rule),
                (None, Some(before)) => without_value(before, at, rule),
                (None, None) => continue,
            };
            let (after, timer_change) = advance(after, now, rule);
            let changes = changes.into_iter().chain(timer_change);
            transitions.extend(changes.map(|change| Transition::new(rule, None, Some(cell), change)));
            if after.phase != Phase::Quiet {
                known.cells.insert(cell, after);
            }
        }
        transitions
    }

    /// The state as bytes; store it in the transaction that stores the transitions.
    pub fn save(&self) -> Vec<u8> {
        postcard::to_extend(&self.rules, vec![FORMAT]).unwrap_or_default()
    }

    /// The state that [`CellRules::save`] wrote; empty bytes are no state.
    pub fn restore(saved: &[u8]) -> Result<Self, RestoreError> {
        match saved.split_first() {
            None => Ok(Self::default()),
            Some((&FORMAT, bytes)) => Ok(Self {
                rules: postcard::from_bytes(bytes)?,
            }),
            Some((&found, _)) => Err(RestoreError::Format { found }),
        }
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

fn without_value(before: InstanceState, at: i64, rule: &Rule) -> (InstanceState, Vec<super::step::Change>) {
    let (advanced, change) = advance(before, at, rule);
    let phase = match advanced.phase {
        Phase::Pending { .. } => Phase::Quiet,
        other => other,
    };
    (
        InstanceState {
            newest: at,
            phase,
            ..advanced
        },
        change.into_iter().collect(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "cells_tests.rs"]
mod tests;
