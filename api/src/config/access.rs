//! `[access]` and `[audit]`: who may what, and what is kept of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::values::Span;

/// `[access]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSection {
    /// A file with a key as `riskgrid keys new` prints it: that of the first admin. Read only while there never was a key.
    /// Default none.
    pub first_key_file: Option<PathBuf>,
    /// What requests without a credential are: `none`, or `public`, which sees what is published. Default `none`.
    pub anonymous: Anonymous,
    /// `[access.public]`: what `public` gets.
    pub public: PublicSection,
}

/// What requests without a credential are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// Refused.
    #[default]
    None,
    /// Those of the role `public`.
    Public,
}

/// `[access.public]`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicSection {
    /// `public` may ask in SQL; it learns no more by it. Default false.
    pub sql: bool,
    /// Pages of any origin may read what requests without a credential are answered. Default false.
    pub cors: bool,
}

/// `[audit]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// How long rows are kept; whole days of UTC are trimmed. Default `400d`.
    pub keep: Span,
}

impl Default for AuditSection {
    fn default() -> Self {
        Self {
            keep: Span::seconds(400 * 24 * 3600),
        }
    }
}
