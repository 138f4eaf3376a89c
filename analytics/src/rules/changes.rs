//! Which instances changed since which checkpoint, so that a checkpoint holds what changed and not everything again.
//!
//! A checkpoint is a chain of steps, each with what changed since the generation of the one before; the first holds
//! everything. A step may be written anew together with those after it, and then asks for changes of long ago.

use hashbrown::HashMap;

/// The generation of what no step holds yet.
const UNSAVED: u64 = u64::MAX;

/// By rule, in the order of the rules: the generation of the newest change of each instance that changed since the chain's
/// first step, those among them that are gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    by_rule: Vec<HashMap<Box<str>, u64>>,
    /// The generation of the newest step that was to hold everything.
    whole_at: Option<u64>,
}

impl Changes {
    pub(super) fn of_rules(rules: usize) -> Self {
        Self {
            by_rule: vec![HashMap::new(); rules],
            whole_at: None,
        }
    }

    /// An instance changed.
    pub(super) fn note(&mut self, rule: usize, sensor: &str) {
        self.note_in(rule, sensor, UNSAVED);
    }

    /// A step of this generation says of an instance.
    pub(super) fn note_in(&mut self, rule: usize, sensor: &str, generation: u64) {
        if let Some(of_rule) = self.by_rule.get_mut(rule) {
            if let Some(known) = of_rule.get_mut(sensor) {
                *known = generation;
            } else {
                of_rule.insert(sensor.into(), generation);
            }
        }
    }

    /// A step of `generation` is about to be written, with all changes after `since`.
    pub(super) fn begin_step(&mut self, since: u64, generation: u64) {
        match self.whole_at {
            // A chain with a step of then or later begins with one that holds everything of then.
            Some(whole_at) if since >= whole_at => {
                for of_rule in &mut self.by_rule {
                    of_rule.retain(|_, changed| *changed > whole_at);
                }
            }
            // It was not written.
            Some(_) if since > 0 => self.whole_at = None,
            _ => {}
        }
        for changed in self.by_rule.iter_mut().flat_map(HashMap::values_mut) {
            if *changed == UNSAVED {
                *changed = generation;
            }
        }
        if since == 0 {
            self.whole_at = Some(generation);
        }
    }

    /// The instances of a rule that changed after a generation.
    pub(super) fn since(&self, rule: usize, since: u64) -> impl Iterator<Item = &str> {
        let of_rule = self.by_rule.get(rule).into_iter().flatten();
        of_rule
            .filter(move |(_, changed)| **changed > since)
            .map(|(sensor, _)| &**sensor)
    }

    /// For another list of rules: `place` tells where each of its rules was in the present one.
    #[must_use]
    pub(super) fn moved(mut self, place: impl Iterator<Item = Option<usize>>) -> Self {
        let take = |old: Option<usize>| old.and_then(|old| self.by_rule.get_mut(old)).map(std::mem::take);
        Self {
            by_rule: place.map(take).map(Option::unwrap_or_default).collect(),
            whole_at: self.whole_at,
        }
    }
}
