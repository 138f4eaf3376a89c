//! How far rights reach: layers and areas, a list of each or all of them.

use std::collections::BTreeSet;

use riskgrid_ingest::LayerTable;
use riskgrid_ingest::places::AreaIndex;
use serde::{Deserialize, Serialize};

use crate::named_area::close_ids;

/// The word for all.
const ALL: &str = "*";

/// Some names, or all there are and will be.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub enum Names {
    /// All.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Names {
    /// Whether this is one of them.
    pub fn hold(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// Whether it is all of them.
    pub const fn are_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// As a list, ascending; `*` where it is all.
    pub fn list(&self) -> Vec<&str> {
        match self {
            Self::All => vec![ALL],
            Self::Only(names) => names.iter().map(String::as_str).collect(),
        }
    }
}

impl<S: Into<String>> FromIterator<S> for Names {
    /// Doubles count once; `*` among them is all.
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        if names.contains(ALL) {
            Self::All
        } else {
            Self::Only(names)
        }
    }
}

impl From<Vec<String>> for Names {
    fn from(names: Vec<String>) -> Self {
        names.into_iter().collect()
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        names.list().into_iter().map(str::to_owned).collect()
    }
}

/// What of the grid is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Ids of layers.
    #[serde(default)]
    pub layers: Names,
    /// Ids of areas.
    #[serde(default)]
    pub areas: Names,
}

/// A name in a scope that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{name}` does not exist{remedy}")]
pub struct NotInScope {
    /// `layer` or `area`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// What to do.
    pub remedy: String,
}

impl Scope {
    /// All layers everywhere.
    pub const ALL: Self = Self {
        layers: Names::All,
        areas: Names::All,
    };

    /// Whether it is all layers everywhere.
    pub const fn is_all(&self) -> bool {
        self.layers.are_all() && self.areas.are_all()
    }

    /// Whether all that it names exists now: what is asked when rights are given. Rights that were given before their layer or
    /// area went away hold on, and reach nothing there.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn check(&self, layers: &LayerTable, areas: &AreaIndex) -> Result<(), NotInScope> {
        if let Names::Only(names) = &self.layers
            && let Some(name) = names.iter().find(|name| layers.find(name).is_none())
        {
            let known: Vec<&str> = layers.iter().map(|(_, layer)| layer.id.as_str()).collect();
            return Err(not_in_scope("layer", name, &known, "[[layers]]"));
        }
        if let Names::Only(names) = &self.areas
            && let Some(name) = names.iter().find(|name| areas.get(name).is_none())
        {
            let known: Vec<&str> = areas.areas().iter().map(|area| &*area.id).collect();
            return Err(not_in_scope("area", name, &known, "[[areas]]"));
        }
        Ok(())
    }
}

fn not_in_scope(kind: &'static str, name: &str, known: &[&str], section: &str) -> NotInScope {
    let close = close_ids(known.iter().copied(), name);
    let remedy = if known.is_empty() {
        format!("; none is known: see {section} in the configuration, or give `*`")
    } else if close.is_empty() {
        format!("; GET /v1/{kind}s lists those known")
    } else {
        format!("; did you mean {}?", close.join(", "))
    };
    NotInScope {
        kind,
        name: name.chars().take(64).collect(),
        remedy,
    }
}
