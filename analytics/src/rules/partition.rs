//! The rules on sensors of one partition: judging, timers, and the state for its checkpoint.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::observer::Step;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::rule::Rule;
use super::step::{Change, InstanceState, Judged, Pace, Phase, advance, step};
use super::transition::{At, Pending, Transition};

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
    /// Event time.
    pub at: EventTime,
    /// Ids of the areas that hold its place, ascending.
    pub areas: &'a [Arc<str>],
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

/// What changed since a generation.
pub(super) const FORMAT: u8 = 2;
/// Everything, sensors at rest too.
const OLD_FORMAT: u8 = 1;

/// Instances that are pending or firing of one rule in one partition. A further one is not judged, and counted in
/// [`PartitionRules::refused_readings`]; about 100 MB for a rule at the limit.
pub const MAX_INSTANCES: usize = 1_000_000;

/// The rules on sensors of one partition; a worker may own it without locks.
///
/// Only instances that are pending or firing are remembered: who feeds it gives each sensor's readings in the order of
/// their times, so a sensor at rest has nothing to be remembered by.
pub struct PartitionRules {
    rules: Arc<[Rule]>,
    rules_of_layer: HashMap<String, Vec<usize>>,
    /// In the order of `rules`.
    instances: Vec<HashMap<Box<str>, Instance>>,
    /// The next timer of each instance: due time, index of the rule, sensor.
    timers: BTreeSet<(EventTime, usize, Box<str>)>,
    transitions: Vec<Transition>,
    refused_readings: u64,
    changes: Changes,
}

/// What a step of a checkpoint says of the rules: of each rule by its id, the instances that changed; those that are at
/// rest again have none.
type SavedStep<'a> = Vec<(&'a str, Vec<(&'a str, Option<Instance>)>)>;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Instance {
    state: InstanceState,
    cell: u64,
}

impl PartitionRules {
    /// Without any state.
    pub fn new(rules: Arc<[Rule]>) -> Self {
        let mut rules_of_layer: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            if let Some(sensors) = rule.what.on_sensors() {
                rules_of_layer
                    .entry_ref(sensors.layer.as_str())
                    .or_default()
                    .push(index);
            }
        }
        let instances = rules.iter().map(|_| HashMap::new()).collect();
        let changes = Changes::of_rules(rules.len());
        Self {
            rules,
            rules_of_layer,
            instances,
            timers: BTreeSet::new(),
            transitions: Vec::new(),
            refused_readings: 0,
            changes,
        }
    }

    /// Takes another set of rules. Rules that stay, by id, and watch what they watched, keep their state; that of others
    /// is dropped.
    pub fn set_rules(&mut self, rules: Arc<[Rule]>) {
        let mut replacement = Self::new(rules);
        let mut kept: HashMap<String, HashMap<Box<str>, Instance>> = self
            .rules
            .iter()
            .map(|rule| rule.id.clone())
            .zip(self.instances.drain(..))
            .collect();
        let earlier = Arc::clone(&self.rules);
        let before: HashMap<&str, &Rule> = earlier.iter().map(|rule| (&*rule.id, rule)).collect();
        for (rule, instances) in replacement.rules.iter().zip(&mut replacement.instances) {
            let was = before.get(&*rule.id);
            if rule.enabled && was.is_none_or(|was| rule.is_same_watch(was)) {
                *instances = kept.remove(rule.id.as_str()).unwrap_or_default();
            }
        }
        let places: Vec<Option<usize>> = {
            let known: HashMap<&str, usize> = self.rules.iter().map(|rule| &*rule.id).zip(0..).collect();
            let rules = replacement.rules.iter();
            rules.map(|rule| known.get(&*rule.id).copied()).collect()
        };
        replacement.changes = std::mem::take(&mut self.changes).moved(places.into_iter());
        replacement.transitions = std::mem::take(&mut self.transitions);
        replacement.refused_readings = self.refused_readings;
        replacement.start_timers();
        *self = replacement;
    }

    /// Judges one reading by every rule of its layer. A reading older than the newest of a sensor that is pending or
    /// firing, or not finite, changes nothing.
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
            let Some(limit) = rule.what.limit().filter(|_| is_within(rule, &reading)) else {
                continue;
            };
            let pace = Pace::from(rule);
            let before = instances.get(reading.sensor).map(|known| known.state);
            if before.is_some_and(|before| reading.at < before.newest) {
                continue;
            }
            let judged = Judged {
                verdict: limit.judge(reading.value),
                value: reading.value,
            };
            let (after, changes) = step(before, judged, reading.at, &pace);
            let was_at_rest = before.is_none();
            if after.phase == Phase::Quiet {
                if was_at_rest {
                    continue;
                }
                instances.remove(reading.sensor);
            } else if was_at_rest && instances.len() >= MAX_INSTANCES {
                self.refused_readings += 1;
                continue;
            } else {
                let instance = Instance {
                    state: after,
                    cell: reading.cell,
                };
                match instances.get_mut(reading.sensor) {
                    Some(known) => *known = instance,
                    None => drop(instances.insert(reading.sensor.into(), instance)),
                }
            }
            // With the same phase too: what is pending fires with its newest value, what fires expires by its time.
            self.changes.note(index, reading.sensor);
            let (due_before, due_after) = (before.and_then(|state| state.due(&pace)), after.due(&pace));
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
                    At::sensor(reading.sensor, reading.cell),
                    change,
                ));
            }
        }
    }

    /// Lets timers run out that were due before `now`, an event time; transitions come in the order of their times.
    pub fn advance(&mut self, now: EventTime) {
        while self.timers.first().is_some_and(|(due, ..)| *due < now) {
            let Some((_, index, sensor)) = self.timers.pop_first() else {
                return;
            };
            let (Some(rule), Some(instances)) = (self.rules.get(index), self.instances.get_mut(index)) else {
                continue;
            };
            let Some(instance) = instances.get_mut(&sensor) else {
                continue;
            };
            let pace = Pace::from(rule);
            let (state, change) = advance(instance.state, now, &pace);
            instance.state = state;
            let cell = instance.cell;
            if state.phase == Phase::Quiet {
                instances.remove(&sensor);
            }
            self.changes.note(index, &sensor);
            let at = At::sensor(&sensor, cell);
            self.transitions
                .extend(change.map(|change: Change| Transition::new(rule, at, change)));
            if let Some(due) = state.due(&pace) {
                self.timers.insert((due, index, sensor));
            }
        }
    }

    /// What happened since the last call, in the order of deciding.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Instances that are over and do not fire yet.
    pub fn pending(&self) -> impl Iterator<Item = Pending> {
        self.rules
            .iter()
            .zip(&self.instances)
            .flat_map(|(rule, instances)| {
                let pace = Pace::from(rule);
                instances.iter().filter_map(move |(sensor, instance)| {
                    Pending::of(rule, &At::sensor(sensor, instance.cell), &instance.state, &pace)
                })
            })
    }

    /// Instances that are pending or firing.
    pub fn instances(&self) -> usize {
        self.instances.iter().map(HashMap::len).sum()
    }

    /// Readings that were not judged because a rule already remembers its largest number of sensors.
    pub fn refused_readings(&self) -> u64 {
        self.refused_readings
    }

    /// What changed as bytes, for a step of a checkpoint; equal states
    /// that changed alike give equal bytes.
    pub fn save(&mut self, Step { since, generation }: Step) -> Vec<u8> {
        self.changes.begin_step(since, generation);
        let mut step: SavedStep<'_> = Vec::new();
        for (index, (rule, instances)) in self.rules.iter().zip(&self.instances).enumerate() {
            let mut of_rule: Vec<(&str, Option<Instance>)> = if since == 0 {
                instances
                    .iter()
                    .map(|(sensor, instance)| (&**sensor, Some(*instance)))
                    .collect()
            } else {
                let changed = self.changes.since(index, since);
                changed
                    .map(|sensor| (sensor, instances.get(sensor).copied()))
                    .collect()
            };
            if !of_rule.is_empty() {
                of_rule.sort_unstable_by(|left, right| left.0.cmp(right.0));
                step.push((&*rule.id, of_rule));
            }
        }
        postcard::to_extend(&step, vec![FORMAT]).unwrap_or_default()
    }

    /// The state that the steps of a checkpoint hold (each with its generation, the oldest first, which holds everything),
    /// for the rules that still exist.
    pub fn restore(rules: Arc<[Rule]>, steps: &[(u64, Vec<u8>)]) -> Result<Self, RestoreError> {
        let mut partition = Self::new(rules);
        let places: HashMap<String, usize> = partition
            .rules
            .iter()
            .map(|rule| rule.id.clone())
            .zip(0..)
            .collect();
        for (number, (generation, saved)) in steps.iter().enumerate() {
            let generation = (number > 0).then_some(*generation);
            match saved.split_first() {
                None => {}
                Some((&FORMAT, bytes)) => {
                    let step: SavedStep<'_> = postcard::from_bytes(bytes)?;
                    for (rule, changed) in step {
                        let Some(index) = places.get(rule) else { continue };
                        for (sensor, instance) in changed {
                            partition.put(*index, sensor, instance, generation);
                        }
                    }
                }
                Some((&OLD_FORMAT, bytes)) => {
                    let whole: Vec<(&str, Vec<(&str, Instance)>)> = postcard::from_bytes(bytes)?;
                    partition.clear(generation);
                    for (rule, instances) in whole {
                        let Some(index) = places.get(rule) else { continue };
                        for (sensor, instance) in instances {
                            let instance = Some(instance).filter(|known| known.state.phase != Phase::Quiet);
                            partition.put(*index, sensor, instance, generation);
                        }
                    }
                }
                Some((&found, _)) => return Err(RestoreError::Format { found }),
            }
        }
        partition.start_timers();
        Ok(partition)
    }

    /// `generation` is that of the step that says so, unless it is the first.
    fn put(&mut self, index: usize, sensor: &str, instance: Option<Instance>, generation: Option<u64>) {
        if let Some(instances) = self.instances.get_mut(index) {
            match instance {
                Some(instance) => drop(instances.insert(sensor.into(), instance)),
                None => drop(instances.remove(sensor)),
            }
        }
        if let Some(generation) = generation {
            self.changes.note_in(index, sensor, generation);
        }
    }

    fn clear(&mut self, generation: Option<u64>) {
        for index in 0..self.instances.len() {
            let instances = self.instances.get_mut(index).map(std::mem::take);
            for sensor in instances.unwrap_or_default().into_keys() {
                self.put(index, &sensor, None, generation);
            }
        }
    }

    fn start_timers(&mut self) {
        for (index, (rule, instances)) in self.rules.iter().zip(&self.instances).enumerate() {
            let pace = Pace::from(rule);
            let timers = instances
                .iter()
                .filter_map(|(sensor, instance)| Some((instance.state.due(&pace)?, index, sensor.clone())));
            self.timers.extend(timers);
        }
    }
}

/// Whether a rule has instances where a sensor stands.
fn is_within(rule: &Rule, reading: &SensorReading<'_>) -> bool {
    let has = |id: &String| reading.areas.iter().any(|area| **area == **id);
    (rule.areas.is_empty() || rule.areas.iter().any(has))
        && rule.seen.admits(Some(reading.layer), Some(reading.cell))
}
