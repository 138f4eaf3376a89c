//! What the configuration of a feed is checked against, and how it is said what is wrong.

use std::path::Path;

use super::error::FeedError;
use super::json_row::PointerTree;
use super::settings::FeedSettings;

/// The names that a row's fields may have, and the slot of each.
pub(super) enum Names {
    Csv(Vec<String>),
    Json(PointerTree),
}

pub(super) struct Checker<'s> {
    pub(super) settings: &'s FeedSettings,
    pub(super) base_dir: &'s Path,
}

impl Checker<'_> {
    pub(super) fn invalid(&self, key: &str, value: &str, allowed: &str) -> FeedError {
        FeedError::Invalid {
            feed: self.settings.name.clone(),
            key: key.to_owned(),
            value: if value == "there" {
                value.to_owned()
            } else {
                format!("`{value}`")
            },
            allowed: allowed.to_owned(),
        }
    }

    pub(super) fn missing(&self, key: &str, why: &str) -> FeedError {
        FeedError::Missing {
            feed: self.settings.name.clone(),
            key: key.to_owned(),
            why: why.to_owned(),
        }
    }
}
