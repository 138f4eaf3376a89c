//! The rules on sensors of one partition: judging, timers, and the state for its checkpoint.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::step::{Change, InstanceState, advance, step};
use super::transition::Transition;
use super::words::Per;

/// One accepted reading.
#[derive(Clone, Copy, Debug)]
pub struct SensorReading<'a> {
    /// Id of the layer.
    pub layer: &'a str,
    /// Name of the sensor.
    pub sensor: &'a str,
    /// The cell it stands in, at the grid's resolution.
    pub cell: u64,
    /// In the layer's unit.
    pub value: f64,
    /// Event time, µs.
    pub at: i64,
}

/// Why a saved state cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Written by a program with another format.
    #[error(
        "rule state has format {found}, this program reads {FORMAT}; start it with the program that wrote it"
    )]
    Format {
        /// The format found, 0 for an empty state.
        found: u8,
    },
    /// Not what was written.
    #[error("rule state is damaged")]
    Damaged(#[from] postcard::Error),
}

pub(super) const FORMAT: u8 = 1;

/// Sensors remembered for one rule in one partition. A new sensor beyond them is not judged, and counted in
/// [`PartitionRules::refused_readings`]; about 100 MB for a rule at the limit.
const MAX_INSTANCES: usize = 1_000_000;

/// The rules on sensors of one partition; a worker may own it without locks.
pub struct PartitionRules {
    rules: Arc<[Rule]>,
    rules_of_layer: HashMap<String, Vec<usize>>,
    /// In the order of `rules`.
    instances: Vec<HashMap<Box<str>, Instance>>,
    /// Timers of pending instances: due time, index of the rule, sensor.
    timers: BTreeSet<(i64, usize, Box<str>)>,
    transitions: Vec<Transition>,
    refused_readings: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Instance {
    state: InstanceState,
    cell: u64,
}

impl PartitionRules {
    /// Without any state.
    pub fn new(rules: Arc<[Rule]>) -> Self {
        let mut rules_of_layer: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, rule) in rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.per == Per::Sensor)
        {
            rules_of_layer
                .entry_ref(rule.layer.as_str())
                .or_default()
                .push(index);
        }
        let instances = rules.iter().map(|_| HashMap::new()).collect();
        Self {
            rules,
            rules_of_layer,
            instances,
            timers: BTreeSet::new(),
            transitions: Vec::new(),
            refused_readings: 0,
        }
    }

    /// Takes another set of rules. Rules that stay keep their state, by id; that of others is dropped.
    pub fn set_rules(&mut self, rules: Arc<[Rule]>) {
        let mut replacement = Self::new(rules);
        let mut kept: HashMap<String, HashMap<Box<str>, Instance>> = self
            .rules
            .iter()
            .map(|rule| rule.id.clone())
            .zip(self.instances.drain(..))
            .collect();
        for (rule, instances) in replacement.rules.iter().zip(&mut replacement.instances) {
            *instances = kept.remove(rule.id.as_str()).unwrap_or_default();
        }
        replacement.transitions = std::mem::take(&mut self.transitions);
        replacement.refused_readings = self.refused_readings;
        replacement.start_timers();
        *self = replacement;
    }

    /// Judges one reading by every rule of its layer. A reading older than the sensor's newest, or not finite,
    /// changes nothing.
    pub fn observe(&mut self, reading: SensorReading<'_>) {
        let Some(of_layer) = self.rules_of_layer.get(reading.layer) else {
            return;
        };
        if !reading.value.is_finite() {
            return;
        }
        for &index in of_layer {
            let (Some(rule), Some(instances)) = (self.rules.get(index), self.instances.get_mut(index)) else {
                continue;
            };
            let is_full = instances.len() >= MAX_INSTANCES;
            let (before, after, changes) = match instances.entry(reading.sensor.into()) {
                Entry::Occupied(mut known) => {
                    let before = known.get().state;
                    if reading.at < before.newest {
                        continue;
                    }
                    let (after, changes) = step(Some(before), reading.value, reading.at, rule);
                    known.insert(Instance {
                        state: after,
                        cell: reading.cell,
                    });
                    (Some(before), after, changes)
                }
                Entry::Vacant(_) if is_full => {
                    self.refused_readings += 1;
                    continue;
                }
                Entry::Vacant(new) => {
                    let (after, changes) = step(None, reading.value, reading.at, rule);
                    new.insert(Instance {
                        state: after,
                        cell: reading.cell,
                    });
                    (None, after, changes)
                }
            };
            let (due_before, due_after) = (before.and_then(|state| state.due(rule)), after.due(rule));
            if due_before != due_after {
                if let Some(due) = due_before {
                    self.timers.remove(&(due, index, reading.sensor.into()));
                }
                if let Some(due) = due_after {
                    self.timers.insert((due, index, reading.sensor.into()));
                }
            }
            for change in changes {
                self.transitions.push(Transition::new(
                    rule,
                    Some(reading.sensor),
                    Some(reading.cell),
                    change,
                ));
            }
        }
    }

    /// Lets timers run out that were due before `now`, an event time in µs; transitions come in the order of their times.
    pub fn advance(&mut self, now: i64) {
        while self.timers.first().is_some_and(|(due, ..)| *due < now) {
            let Some((_, index, sensor)) = self.timers.pop_first() else {
                return;
            };
            let (Some(rule), Some(instance)) = (
                self.rules.get(index),
                self.instances
                    .get_mut(index)
                    .and_then(|known| known.get_mut(&sensor)),
            ) else {
                continue;
            };
            let (state, change) = advance(instance.state, now, rule);
            instance.state = state;
            self.transitions.extend(
                change
                    .map(|change: Change| Transition::new(rule, Some(&sensor), Some(instance.cell), change)),
            );
        }
    }

    /// What happened since the last call, in the order of deciding.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Readings that were not judged because a rule already remembers its largest number of sensors.
    pub fn refused_readings(&self) -> u64 {
        self.refused_readings
    }

    /// The state as bytes; equal states give equal bytes.
    pub fn save(&self) -> Vec<u8> {
        let rules: Vec<(&str, Vec<(&str, Instance)>)> = self
            .rules
            .iter()
            .zip(&self.instances)
            .filter(|(rule, _)| rule.per == Per::Sensor)
            .map(|(rule, instances)| {
                let mut sorted: Vec<(&str, Instance)> = instances
                    .iter()
                    .map(|(sensor, instance)| (&**sensor, *instance))
                    .collect();
                sorted.sort_unstable_by(|left, right| left.0.cmp(right.0));
                (rule.id.as_str(), sorted)
            })
            .collect();
        postcard::to_extend(&rules, vec![FORMAT]).unwrap_or_default()
    }

    /// The state that [`PartitionRules::save`] wrote, for the rules that still exist.
    pub fn restore(rules: Arc<[Rule]>, saved: &[u8]) -> Result<Self, RestoreError> {
        let mut partition = Self::new(rules);
        let saved: Vec<(String, Vec<(String, Instance)>)> = match saved.split_first() {
            None => return Ok(partition),
            Some((&FORMAT, bytes)) => postcard::from_bytes(bytes)?,
            Some((&found, _)) => return Err(RestoreError::Format { found }),
        };
        let mut by_id: HashMap<String, Vec<(String, Instance)>> = saved.into_iter().collect();
        for (rule, instances) in partition.rules.iter().zip(&mut partition.instances) {
            let of_rule = by_id.remove(rule.id.as_str()).unwrap_or_default();
            *instances = of_rule
                .into_iter()
                .map(|(sensor, instance)| (sensor.into_boxed_str(), instance))
                .collect();
        }
        partition.start_timers();
        Ok(partition)
    }

    fn start_timers(&mut self) {
        for (index, (rule, instances)) in self.rules.iter().zip(&self.instances).enumerate() {
            let pending = instances
                .iter()
                .filter_map(|(sensor, instance)| Some((instance.state.due(rule)?, index, sensor.clone())));
            self.timers.extend(pending);
        }
    }
}
