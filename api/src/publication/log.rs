//! The log of what was published: rules and steps, each written once.

use std::collections::{BTreeMap, BTreeSet};

use riskgrid_analytics::publication::{LayerRule, PublishedStep};
use serde::{Deserialize, Serialize};

use super::pages::{PagePlace, Pages, PublicationError};
use crate::database::Standing;

#[derive(Serialize, Deserialize)]
struct Page {
    entries: Vec<Entry>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Entry {
    /// A layer is published like this from some time on.
    Rule {
        /// The layer's id.
        layer: String,
        /// How.
        rule: LayerRule,
    },
    /// A step was published.
    Step {
        /// The layer's id.
        layer: String,
        /// What is shown of it.
        step: PublishedStep,
    },
    /// A feed of the layer was purged: its steps so far are gone, and none of their time is published again.
    Purged {
        /// The layer's id.
        layer: String,
        /// The end of the newest of them, in microseconds.
        before: i64,
    },
}

/// The log, which all nodes of a group share.
#[derive(Debug)]
pub(super) struct PublicationLog(Pages);

impl PublicationLog {
    pub(super) fn new(place: PagePlace) -> Self {
        Self(Pages::new(place))
    }

    /// From now on it is written as long as the lease is held.
    pub(super) fn stand(&mut self, standing: Standing) {
        self.0.stand(standing);
    }

    /// What was written since the last look.
    pub(super) fn read_on(&mut self) -> Result<Vec<Entry>, PublicationError> {
        let pages = self.0.read_on::<Page>()?;
        Ok(pages.into_iter().flat_map(|page| page.entries).collect())
    }

    /// Takes out what was published of these layers, on all nodes; the layers of which there was something.
    pub(super) fn purge(&mut self, layers: &BTreeSet<String>) -> Result<Vec<String>, PublicationError> {
        let mut ends: BTreeMap<String, i64> = BTreeMap::new();
        loop {
            for entry in self.read_on()? {
                match entry {
                    Entry::Step { layer, step } => {
                        let end = ends.entry(layer).or_insert(i64::MIN);
                        *end = step.span().end.micros().max(*end);
                    }
                    Entry::Purged { layer, .. } => {
                        ends.remove(&layer);
                    }
                    Entry::Rule { .. } => {}
                }
            }
            let purged = ends.iter().filter(|(layer, _)| layers.contains(*layer));
            let entries: Vec<Entry> = purged
                .map(|(layer, before)| Entry::Purged {
                    layer: layer.clone(),
                    before: *before,
                })
                .collect();
            if entries.is_empty() || self.append(&entries)? {
                let layers = ends.into_keys().filter(|layer| layers.contains(layer));
                return Ok(layers.collect());
            }
        }
    }

    /// Writes what follows on what was read; `false`: another node has written meanwhile.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<bool, PublicationError> {
        self.0.append(&Page {
            entries: entries.to_vec(),
        })
    }
}
