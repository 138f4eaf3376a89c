//! Rules on sensors: judged on every reading, where the partition is owned.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::observer::Step;

use super::partition::{PartitionRules, RestoreError, SensorReading};
use super::rule::Rule;
use super::transition::{Pending, Transition};

/// The rules on sensors of all partitions of one process.
///
/// Transitions are kept until [`SensorRules::take_transitions`]: take them after each batch, and store them before
/// the [`SensorRules::save`] of that batch is stored, so that nothing between the two is lost.
pub struct SensorRules {
    rules: Arc<[Rule]>,
    /// Layers that some rule on sensors is about: readings of others need no look at the rules.
    layers: HashSet<String>,
    partitions: HashMap<String, PartitionRules>,
}

impl SensorRules {
    /// Without any state.
    pub fn new(rules: Arc<[Rule]>) -> Self {
        Self {
            layers: layers_of(&rules),
            rules,
            partitions: HashMap::new(),
        }
    }

    /// Takes another set of rules. Rules that stay keep their state, by id; that of others is dropped.
    pub fn set_rules(&mut self, rules: Arc<[Rule]>) {
        for partition in self.partitions.values_mut() {
            partition.set_rules(Arc::clone(&rules));
        }
        self.layers = layers_of(&rules);
        self.rules = rules;
    }

    /// Whether any rule on sensors is about this layer.
    pub fn concern(&self, layer: &str) -> bool {
        self.layers.contains(layer)
    }

    /// Judges one reading.
    pub fn observe(&mut self, partition: &str, reading: SensorReading<'_>) {
        self.partition(partition).observe(reading);
    }

    /// Lets timers run out that were due before `now`, an event time.
    pub fn advance(&mut self, partition: &str, now: EventTime) {
        self.partition(partition).advance(now);
    }

    /// What happened since the last call: per partition in the order of deciding.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.partitions
            .values_mut()
            .flat_map(PartitionRules::take_transitions)
            .collect()
    }

    /// What changed of one partition, for a step of its checkpoint, see
    /// [`PartitionRules::save`]. Transitions not yet taken are not in it.
    pub fn save(&mut self, partition: &str, step: Step) -> Vec<u8> {
        let known = self.partitions.get_mut(partition);
        known.map(|known| known.save(step)).unwrap_or_default()
    }

    /// Puts the state that the steps of a checkpoint hold in the place of the present one, see
    /// [`PartitionRules::restore`]; states of rules that no longer exist are dropped.
    /// Empty steps are those of a partition that no rule had looked at.
    pub fn restore(&mut self, partition: &str, steps: &[(u64, Vec<u8>)]) -> Result<(), RestoreError> {
        if steps.iter().all(|(_, saved)| saved.is_empty()) {
            self.partitions.remove(partition);
            return Ok(());
        }
        let restored = PartitionRules::restore(Arc::clone(&self.rules), steps)?;
        self.partitions.insert(partition.to_owned(), restored);
        Ok(())
    }

    /// Forgets a partition that another node owns now.
    pub fn forget(&mut self, partition: &str) {
        self.partitions.remove(partition);
    }

    /// Instances that are over and do not fire yet, of all partitions.
    pub fn pending(&self) -> impl Iterator<Item = Pending> {
        self.partitions.values().flat_map(PartitionRules::pending)
    }

    /// Instances that are pending or firing, of all partitions.
    pub fn instances(&self) -> usize {
        self.partitions.values().map(PartitionRules::instances).sum()
    }

    /// Readings that were not judged, by reason of [`PartitionRules::refused_readings`].
    pub fn refused_readings(&self) -> u64 {
        self.partitions
            .values()
            .map(PartitionRules::refused_readings)
            .sum()
    }

    fn partition(&mut self, partition: &str) -> &mut PartitionRules {
        let Self {
            rules, partitions, ..
        } = self;
        partitions
            .entry_ref(partition)
            .or_insert_with(|| PartitionRules::new(Arc::clone(rules)))
    }
}

fn layers_of(rules: &[Rule]) -> HashSet<String> {
    let on_sensors = rules
        .iter()
        .filter(|rule| rule.enabled)
        .filter_map(|rule| rule.what.on_sensors());
    on_sensors.map(|sensors| sensors.layer.clone()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "sensors_tests.rs"]
mod tests;
