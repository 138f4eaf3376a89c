//! The log of what was published: rules and steps, each written once, beside the checkpoints.

use riskgrid_analytics::publication::{LayerRule, PublishedStep};
use riskgrid_ingest::checkpoint::{Files, NumberedError, NumberedFiles};
use serde::{Deserialize, Serialize};

const FOLDER: &str = "public";
const FORMAT: u32 = 1;

/// Why it cannot be read or written.
pub type PublicationError = NumberedError;

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
}

/// The log, which all nodes that share checkpoints share.
#[derive(Debug)]
pub(super) struct PublicationLog(NumberedFiles);

impl PublicationLog {
    pub(super) const fn new(files: Files) -> Self {
        Self(NumberedFiles::new(files, FOLDER, "published", FORMAT))
    }

    /// What was written since the last look.
    pub(super) fn read_on(&mut self) -> Result<Vec<Entry>, PublicationError> {
        let pages = self.0.read_on::<Page>()?;
        Ok(pages.into_iter().flat_map(|page| page.entries).collect())
    }

    /// Writes what follows on what was read; `false`: another node has written meanwhile.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<bool, PublicationError> {
        self.0.append(&Page {
            entries: entries.to_vec(),
        })
    }
}
