//! Judging again what late data changed: a rule runs anew from how it stood before the first time that changed, and what is
//! stored is brought into line with what it says now.

use std::collections::{BTreeMap, BTreeSet};

use riskgrid_analytics::rules::{
    Evaluated, InstanceChange, InstanceKey, Instances, Phase, Rule, RuleKnown, Transition, TransitionKind,
};
use riskgrid_ingest::EventTime;

use super::NotifyPolicy;
use crate::alerts::Alerting;
use crate::alerts::store::{RerunEpisode, RuleRevision};
use crate::database::Standing;

/// One rule that is judged again.
pub(super) struct Rerun {
    /// The first time that may be another.
    from: EventTime,
    /// How the rule stood before it went back.
    saved: RuleKnown,
    touched: BTreeSet<InstanceKey>,
    episodes: Vec<RerunEpisode>,
    /// Where in `episodes` those stand that are open.
    open: BTreeMap<String, usize>,
}

impl Rerun {
    /// Takes a rule back to before what changed at `changed`; `None` where that is settled.
    pub(super) fn begin(state: &mut Instances, rule: &Rule, changed: EventTime) -> Option<Self> {
        let from = state.revisable_from(&rule.id, changed)?;
        let saved = state.of_one(&rule.id)?;
        let undone = state.go_back(&rule.id, from)?;
        let mut rerun = Self {
            from,
            saved,
            touched: undone.into_iter().map(|(key, _)| key).collect(),
            episodes: Vec::new(),
            open: BTreeMap::new(),
        };
        for (key, known) in state.of_rule(&rule.id) {
            if let Phase::Firing { fired_at, .. } | Phase::Clearing { fired_at, .. } = known.state.phase {
                rerun.push(key.text().into_owned(), fired_at, None);
            }
        }
        Some(rerun)
    }

    fn push(&mut self, instance: String, fired_at: EventTime, firing: Option<Transition>) {
        self.open.insert(instance.clone(), self.episodes.len());
        self.episodes.push(RerunEpisode {
            instance,
            fired_at,
            firing,
            end: None,
        });
    }

    /// Notes what an evaluation made again came to.
    pub(super) fn note(&mut self, evaluated: Evaluated) {
        self.touched
            .extend(evaluated.changes.into_iter().map(|(key, _)| key));
        for transition in evaluated.transitions {
            if transition.kind == TransitionKind::Firing {
                self.push(transition.instance.clone(), transition.fired_at, Some(transition));
            } else if let Some(episode) = self
                .open
                .remove(&transition.instance)
                .and_then(|place| self.episodes.get_mut(place))
            {
                episode.end = Some(transition);
            }
        }
    }

    /// Leaves the rule as it stood before.
    pub(super) fn take_back(self, state: &mut Instances, rule: &Rule) {
        state.put_one(&rule.id, self.saved);
    }

    /// Stores what the rule says now; whether it could be stored. If not, the rule stands as it stood.
    pub(super) async fn store(
        self,
        alerting: &Alerting,
        policy: &NotifyPolicy,
        (domain, standing, wall): (&str, Standing, EventTime),
        rule: &Rule,
        state: &mut Instances,
    ) -> bool {
        let Some(evaluated) = state.evaluated(&rule.id) else {
            return true;
        };
        let changes: Vec<InstanceChange> = self
            .touched
            .iter()
            .map(|key| (key.clone(), state.known(&rule.id, key).copied()))
            .collect();
        let past: Vec<(EventTime, &[InstanceChange])> = state.past_since(&rule.id, self.from).collect();
        let revision = RuleRevision {
            rule,
            standing,
            from: self.from,
            evaluated,
            episodes: &self.episodes,
            changes: &changes,
            past: &past,
        };
        let (notify, now) = policy.of(domain, wall, evaluated);
        match alerting.record_revision(&revision, notify, now.micros()).await {
            Ok(over) => {
                let keys: Vec<InstanceKey> = state
                    .of_rule(&rule.id)
                    .map(|(key, _)| key.clone())
                    .filter(|key| over.contains(&*key.text()))
                    .collect();
                for key in keys {
                    state.put_to_rest(&rule.id, &key);
                }
                true
            }
            Err(error) => {
                tracing::error!(%error, rule = rule.name, "what late data changed is not stored yet; it is tried again");
                self.take_back(state, rule);
                false
            }
        }
    }
}
