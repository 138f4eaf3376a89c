//! Rules on sensors: judged on every reading, where the partition is owned.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::rule::{Per, Rule};
use super::step::{Change, InstanceState, advance, step};
use super::transition::Transition;

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

const FORMAT: u8 = 1;

/// Sensors remembered for one rule in one partition. A new sensor beyond them is not judged, and counted in
/// [`PartitionRules::refused_instances`]; about 100 MB for a rule at the limit.
const MAX_INSTANCES: usize = 1_000_000;

/// The rules on sensors of all partitions of one process.
///
/// Transitions are kept until [`SensorRules::take_transitions`]: take them after each batch, and store them before
/// the [`SensorRules::save`] of that batch is stored, so that nothing between the two is lost.
pub struct SensorRules {
    rules: Arc<[Rule]>,
    partitions: HashMap<String, PartitionRules>,
}

impl SensorRules {
    /// Without any state.
    pub fn new(rules: Arc<[Rule]>) -> Self {
        Self {
            rules,
            partitions: HashMap::new(),
        }
    }

    /// Takes another set of rules. Rules that stay keep their state, by id; that of others is dropped.
    pub fn set_rules(&mut self, rules: Arc<[Rule]>) {
        for partition in self.partitions.values_mut() {
            partition.set_rules(Arc::clone(&rules));
        }
        self.rules = rules;
    }

    /// Judges one reading.
    pub fn observe(&mut self, partition: &str, reading: SensorReading<'_>) {
        self.partition(partition).observe(reading);
    }

    /// Lets timers run out that were due before `now`, an event time in µs.
    pub fn advance(&mut self, partition: &str, now: i64) {
        self.partition(partition).advance(now);
    }

    /// What happened since the last call: per partition in the order of deciding.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.partitions
            .values_mut()
            .flat_map(PartitionRules::take_transitions)
            .collect()
    }

    /// The state of one partition, for its checkpoint. Transitions not yet taken are not in it.
    pub fn save(&self, partition: &str) -> Vec<u8> {
        self.partitions
            .get(partition)
            .map(PartitionRules::save)
            .unwrap_or_default()
    }

    /// Puts a saved state in the place of the present one; states of rules that no longer exist are dropped.
    /// Empty bytes are the state of a partition that was never seen.
    pub fn restore(&mut self, partition: &str, saved: &[u8]) -> Result<(), RestoreError> {
        if saved.is_empty() {
            self.partitions.remove(partition);
            return Ok(());
        }
        let restored = PartitionRules::restore(Arc::clone(&self.rules), saved)?;
        self.partitions.insert(partition.to_owned(), restored);
        Ok(())
    }

    /// Forgets a partition that another node owns now.
    pub fn forget(&mut self, partition: &str) {
        self.partitions.remove(partition);
    }

    fn partition(&mut self, partition: &str) -> &mut PartitionRules {
        let Self { rules, partitions } = self;
        partitions
            .entry_ref(partition)
            .or_insert_with(|| PartitionRules::new(Arc::clone(rules)))
    }
}

/// The rules on sensors of one partition; a worker may own it without locks.
pub struct PartitionRules {
    rules: Arc<[Rule]>,
    rules_of_layer: HashMap<String, Vec<usize>>,
    /// In the order of `rules`.
    instances: Vec<HashMap<Box<str>, Instance>>,
    /// Timers of pending instances: due time, index of the rule, sensor.
    timers: BTreeSet<(i64, usize, Box<str>)>,
    transitions: Vec<Transition>,
    refused_instances: u64,
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
            refused_instances: 0,
        }
    }

    /// As [`SensorRules::set_rules`].
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
        replacement.refused_instances = self.refused_instances;
        replacement.start_timers();
        *self = replacement;
    }

    /// Judges one reading by every rule of its layer. A reading older than the sensor's newest changes nothing.
    pub fn observe(&mut self, reading: SensorReading<'_>) {
        let Some(of_layer) = self.rules_of_layer.get(reading.layer) else {
            return;
        };
        for &index in of_layer {
            let (Some(rule), Some(instances)) = (self.rules.get(index), self.instances.get_mut(index)) else {
                continue;
            };
            let known = instances.get_mut(reading.sensor);
            let before = known.as_ref().map(|instance| instance.state);
            if before.is_none() && (instances_full(instances) || !reading.value.is_finite()) {
                self.refused_instances += u64::from(reading.value.is_finite());
                continue;
            }
            let (after, changes) = step(before, reading.value, reading.at, rule);
            let due_before = before.and_then(|state| state.due(rule));
            let due_after = after.due(rule);
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
            let is_late = before.is_some_and(|state| reading.at < state.newest);
            match instances.get_mut(reading.sensor) {
                Some(_) if is_late => {}
                Some(instance) => {
                    *instance = Instance {
                        state: after,
                        cell: reading.cell,
                    }
                }
                None => {
                    instances.insert(
                        reading.sensor.into(),
                        Instance {
                            state: after,
                            cell: reading.cell,
                        },
                    );
                }
            }
        }
    }

    /// As [`SensorRules::advance`]; transitions come in the order of their times.
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
    pub fn refused_instances(&self) -> u64 {
        self.refused_instances
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

fn instances_full(instances: &HashMap<Box<str>, Instance>) -> bool {
    instances.len() >= MAX_INSTANCES
}

#[cfg(test)]
#[path = "sensors_tests.rs"]
mod tests;
