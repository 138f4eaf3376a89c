//! Which steps of a layer are to be published next, and what they come to.

use h3o::Resolution;
use riskgrid_ingest::grid::{GridSnapshot, Span};
use riskgrid_ingest::{EventTime, LayerIndex};
use serde::{Deserialize, Serialize};

use super::judging::{Atom, Threshold, judge};
use super::relation::{PublishedLayer, PublishedStep};
use super::rounding::RoundingKey;
use super::steps::PublicStep;

/// How a layer is published, from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRule {
    /// Resolution of the atoms.
    pub resolution: u8,
    /// Length of the atoms.
    pub step: PublicStep,
    /// Events that an atom needs to be shown.
    pub k: u64,
    /// Sources that it needs.
    pub min_sources: u32,
    /// Steps that begin from here on, in microseconds; the first rule of a layer is for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
}

impl LayerRule {
    /// Whether it says the same, whenever it begins.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let other = Self {
            from: self.from,
            ..other.clone()
        };
        *self == other
    }

    fn resolution(&self) -> Option<Resolution> {
        Resolution::try_from(self.resolution).ok()
    }
}

/// The rule for what begins at `time`: the newest that is in force.
fn rule_at(rules: &[LayerRule], time: EventTime) -> Option<&LayerRule> {
    rules
        .iter()
        .rev()
        .find(|rule| rule.from.is_none_or(|from| from <= time.micros()))
}

/// What is published of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Publishing<'a> {
    /// Its rules, the oldest first.
    pub rules: &'a [LayerRule],
    /// Its steps so far.
    pub published: &'a PublishedLayer,
    /// How long after its end a step is still waited for, in microseconds.
    pub delay: i64,
}

impl Publishing<'_> {
    /// The next steps of `layer` that are complete in `snapshot`, at most `most`, as they are to be published.
    pub fn due(
        &self,
        snapshot: &GridSnapshot,
        layer: LayerIndex,
        key: &RoundingKey,
        most: usize,
    ) -> Vec<PublishedStep> {
        let mut due = Vec::new();
        let (Some(known), Some(totals)) = (snapshot.layers.get(layer), snapshot.totals(layer)) else {
            return due;
        };
        let Some(complete_to) = snapshot.clock_of(layer).and_then(|clock| clock.complete_to) else {
            return due;
        };
        let mut start = self.published.published_to();
        while due.len() < most {
            let from = start.unwrap_or(totals.first_time);
            let Some((rule, resolution)) =
                rule_at(self.rules, from).and_then(|rule| Some((rule, rule.resolution()?)))
            else {
                break;
            };
            let whole = rule.step.span(&snapshot.calendar, from);
            let span = Span {
                // A longer step than before begins where the shorter ones end.
                start: start.map_or(whole.start, |start| whole.start.max(start)),
                end: whole.end,
            };
            if span.end.plus(self.delay) > complete_to {
                break;
            }
            start = Some(span.end);
            // Of what is kept in days only, no hours can be told.
            if snapshot.snap(layer, span.start, span.end) != span {
                continue;
            }
            let sums = snapshot.sum(layer, span, resolution.min(snapshot.resolution));
            let (counts, sources) = (sums.count(), sums.sources());
            let atoms = sums.cells().iter().zip(counts.iter().zip(sources.iter()));
            let atoms = atoms.map(|(cell, (count, sources))| Atom {
                cell: *cell,
                count: *count,
                sources: *sources,
            });
            let threshold = Threshold {
                k: rule.k,
                min_sources: rule.min_sources,
            };
            let judged = judge(key, threshold, &known.id, span, (resolution, atoms));
            due.push(PublishedStep::of(span, resolution, judged));
        }
        due
    }
}
