//! How reports turned out, by hazard group and class of channel, and by device, over all that the grid knows of.

use hashbrown::HashMap;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;

use super::corroboration::{CLASSES, PRIORS, SENSORS};
use super::model::RiskModel;
use super::reliability::Outcomes;

/// With more reports, outcomes are counted once a bucket.
const REPORTS_COUNTED_EACH_TIME: usize = 20_000;

/// What was counted last, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownOutcomes {
    counted: Option<(EventTime, Counted)>,
}

/// How reports turned out.
#[derive(Clone, Debug, Default)]
struct Counted {
    /// By group.
    of_classes: Vec<[Outcomes; CLASSES]>,
    /// By group and device, of what devices reported themselves.
    of_devices: HashMap<(usize, String), Outcomes>,
}

/// How far each is believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Reliabilities {
    /// r of each class, by group of the model.
    pub(super) of_classes: Vec<[f64; CLASSES]>,
    /// r of a device whose reports were closed with an outcome, by group and name.
    pub(super) of_devices: HashMap<(usize, String), f64>,
}

impl KnownOutcomes {
    /// r of each class in each group of the model, and of devices; `clocks` are the layers that are there, each with its moment.
    pub(super) fn reliabilities(
        &mut self,
        snapshot: &GridSnapshot,
        model: &RiskModel,
        clocks: &[(usize, EventTime)],
    ) -> Reliabilities {
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
            Some((_, counted)) => Reliabilities {
                of_classes: counted.of_classes.iter().map(reliabilities_of).collect(),
                of_devices: counted
                    .of_devices
                    .iter()
                    .map(|(device, outcomes)| (device.clone(), outcomes.reliability(SENSORS)))
                    .collect(),
            },
            None => Reliabilities {
                of_classes: vec![PRIORS; model.groups.len()],
                of_devices: HashMap::new(),
            },
        }
    }
}

/// The device that a report of a device is of: it names itself last in its source, as in `//sensors/river-7`.
fn device_of(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

fn count(snapshot: &GridSnapshot, model: &RiskModel, clocks: &[(usize, EventTime)]) -> Counted {
    let mut counted = Counted {
        of_classes: vec![[Outcomes::default(); CLASSES]; model.groups.len()],
        of_devices: HashMap::new(),
    };
    let mut groups: HashMap<&str, (usize, EventTime)> = HashMap::new();
    for (layer, at) in clocks {
        let group = model.groups.iter().position(|group| group.layers.contains(layer));
        if let (Some(group), Some(model)) = (group, model.layers.get(*layer)) {
            groups.insert(&model.id, (group, *at));
        }
    }
    let mut closed: Vec<(usize, usize, i64, &'static str, String)> = Vec::new();
    for (key, report) in snapshot.reports() {
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
            let class = channel.value as usize;
            let device = if class == SENSORS {
                device_of(&key.scope)
            } else {
                ""
            };
            closed.push((*group, class, at.since(closed_at), word, device.to_owned()));
        }
    }
    // Sums must not depend on the order in which a table has its reports.
    closed.sort_unstable();
    for (group, class, age, outcome, device) in closed {
        let of_group = counted.of_classes.get_mut(group);
        if let Some(outcomes) = of_group.and_then(|classes| classes.get_mut(class)) {
            outcomes.add(outcome, age);
        }
        if class == SENSORS {
            counted
                .of_devices
                .entry((group, device))
                .or_default()
                .add(outcome, age);
        }
    }
    counted
}

fn reliabilities_of(outcomes: &[Outcomes; CLASSES]) -> [f64; CLASSES] {
    let mut reliabilities = PRIORS;
    for (class, (reliability, outcomes)) in reliabilities.iter_mut().zip(outcomes).enumerate() {
        *reliability = outcomes.reliability(class);
    }
    reliabilities
}
