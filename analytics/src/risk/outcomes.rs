//! How reports turned out, by hazard group and class of channel, over all that the grid knows of.

use hashbrown::HashMap;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;

use super::corroboration::{CLASSES, PRIORS};
use super::model::RiskModel;
use super::reliability::Outcomes;

/// With more reports, outcomes are counted once a bucket.
const REPORTS_COUNTED_EACH_TIME: usize = 20_000;

/// What was counted last, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownOutcomes {
    counted: Option<(EventTime, Vec<[Outcomes; CLASSES]>)>,
}

impl KnownOutcomes {
    /// r of each class in each group of the model; `clocks` are the layers that are there, each with its moment.
    pub(super) fn reliabilities(
        &mut self,
        snapshot: &GridSnapshot,
        model: &RiskModel,
        clocks: &[(usize, EventTime)],
    ) -> Vec<[f64; CLASSES]> {
        let newest = clocks.iter().map(|(_, at)| *at).max();
        let partitions = snapshot.partitions.iter();
        let reports: usize = partitions.map(|partition| partition.reports.len()).sum();
        let is_known = self
            .counted
            .as_ref()
            .is_some_and(|(at, _)| Some(*at) == newest && reports > REPORTS_COUNTED_EACH_TIME);
        if let (false, Some(newest)) = (is_known, newest) {
            self.counted = Some((newest, count(snapshot, model, clocks)));
        }
        match &self.counted {
            Some((_, outcomes)) => outcomes.iter().map(reliabilities_of).collect(),
            None => vec![PRIORS; model.groups.len()],
        }
    }
}

fn count(
    snapshot: &GridSnapshot,
    model: &RiskModel,
    clocks: &[(usize, EventTime)],
) -> Vec<[Outcomes; CLASSES]> {
    let mut outcomes = vec![[Outcomes::default(); CLASSES]; model.groups.len()];
    let mut groups: HashMap<&str, (usize, EventTime)> = HashMap::new();
    for (layer, at) in clocks {
        let group = model.groups.iter().position(|group| group.layers.contains(layer));
        if let (Some(group), Some(model)) = (group, model.layers.get(*layer)) {
            groups.insert(&model.id, (group, *at));
        }
    }
    let mut closed: Vec<(usize, usize, i64, &'static str)> = Vec::new();
    for (_, report) in snapshot.reports() {
        let (Some(layer), Some(channel), Some(outcome), Some(closed_at)) =
            (&report.layer, report.channel, &report.outcome, report.closed_at())
        else {
            continue;
        };
        let word = match outcome.value.as_str() {
            "confirmed" => "confirmed",
            "false" => "false",
            _ => continue,
        };
        if let Some((group, at)) = groups.get(layer.value.as_str()) {
            closed.push((*group, channel.value as usize, at.since(closed_at), word));
        }
    }
    // Sums must not depend on the order in which a table has its reports.
    closed.sort_unstable();
    for (group, class, age, outcome) in closed {
        if let Some(outcomes) = outcomes.get_mut(group).and_then(|classes| classes.get_mut(class)) {
            outcomes.add(outcome, age);
        }
    }
    outcomes
}

fn reliabilities_of(outcomes: &[Outcomes; CLASSES]) -> [f64; CLASSES] {
    let mut reliabilities = PRIORS;
    for (class, (reliability, outcomes)) in reliabilities.iter_mut().zip(outcomes).enumerate() {
        *reliability = outcomes.reliability(class);
    }
    reliabilities
}
