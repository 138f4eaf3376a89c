//! How many rules, webhooks and open alerts there may be, and how many there are.

use std::collections::{HashMap, HashSet};

use super::{Decisions, DecisionsError};
use crate::database::read_from_row;

/// Most webhooks: each is looked at whenever something is to be told, and people make them by hand.
pub const MAX_WEBHOOKS: u64 = 1_000;
/// Name and instance of the alert that tells that a rule cannot be judged.
pub const RULE_FAILING: &str = "rule failing";
/// Name of the alert that tells that a rule may open no more of its own.
pub const RULE_FULL: &str = "rule full";
/// Its instance within the rule.
pub(super) const RULE_FULL_INSTANCE: &str = "";

/// What may be stored of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Rules.
    pub rules: u64,
    /// Open alerts of one rule.
    pub open_of_rule: u64,
    /// Open alerts of all rules.
    pub open: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            rules: 10_000,
            open_of_rule: 10_000,
            open: 100_000,
        }
    }
}

/// How many alerts there are; changed when a transaction has ended well.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) of_rule: HashMap<String, u64>,
    pub(super) open: u64,
    pub(super) ended: u64,
    /// Rules whose alert [`RULE_FULL`] is open.
    pub(super) full: HashSet<String>,
}

struct OpenRow {
    rule_id: String,
    rules_full: i64,
    count: i64,
}

read_from_row!(OpenRow {
    rule_id,
    rules_full,
    count
});

impl Census {
    pub(super) async fn take(decisions: &Decisions) -> Result<Self, DecisionsError> {
        let rows: Vec<OpenRow> = sqlx::query_as(
            "SELECT rule_id, COUNT(*) AS count, COUNT(*) FILTER (WHERE rule = $1 AND instance = '') AS rules_full
               FROM alerts WHERE resolved_at IS NULL GROUP BY rule_id",
        )
        .bind(RULE_FULL)
        .fetch_all(decisions.readers())
        .await?;
        let ended: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts WHERE resolved_at IS NOT NULL")
            .fetch_one(decisions.readers())
            .await?;
        let mut census = Self {
            ended: ended.cast_unsigned(),
            ..Self::default()
        };
        for row in rows {
            census.open += row.count.cast_unsigned();
            if row.rules_full > 0 {
                census.full.insert(row.rule_id.clone());
            }
            census.of_rule.insert(row.rule_id, row.count.cast_unsigned());
        }
        Ok(census)
    }

    /// Takes over what a transaction did; `sign` is -1 to take it back.
    pub(super) fn apply(&mut self, draft: &Draft, sign: i64) {
        self.open = self.open.saturating_add_signed(sign * draft.open);
        self.ended = self.ended.saturating_add_signed(sign * draft.ended);
        for (rule_id, change) in &draft.of_rule {
            let open = self.of_rule.entry(rule_id.clone()).or_default();
            *open = open.saturating_add_signed(sign * change);
            if *open == 0 {
                self.of_rule.remove(rule_id);
            }
        }
        for (rule_id, is_full) in &draft.full {
            if *is_full == (sign > 0) {
                self.full.insert(rule_id.clone());
            } else {
                self.full.remove(rule_id);
            }
        }
    }
}

/// What a transaction changes in the [`Census`] when it ends well.
#[derive(Debug, Default)]
pub(super) struct Draft {
    of_rule: HashMap<String, i64>,
    open: i64,
    ended: i64,
    /// Rules that became full, or have room again.
    pub(super) full: HashMap<String, bool>,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    OfRule,
    OfAll,
}

impl Draft {
    pub(super) fn began(&mut self, rule_id: &str) {
        self.open += 1;
        *self.of_rule.entry(rule_id.to_owned()).or_default() += 1;
    }

    pub(super) fn ended(&mut self, rule_id: &str) {
        self.open -= 1;
        self.ended += 1;
        *self.of_rule.entry(rule_id.to_owned()).or_default() -= 1;
    }

    pub(super) fn has_ended_any(&self) -> bool {
        self.ended > 0
    }

    /// Open alerts of the rule, and of all.
    pub(super) fn open(&self, census: &Census, rule_id: &str) -> (u64, u64) {
        let of_rule = census.of_rule.get(rule_id).copied().unwrap_or(0);
        let change = self.of_rule.get(rule_id).copied().unwrap_or(0);
        (
            of_rule.saturating_add_signed(change),
            census.open.saturating_add_signed(self.open),
        )
    }

    /// Which bound a further alert of the rule would break.
    pub(super) fn reached(&self, census: &Census, rule_id: &str, bounds: &Bounds) -> Option<Reached> {
        let (of_rule, all) = self.open(census, rule_id);
        if of_rule >= bounds.open_of_rule {
            return Some(Reached::OfRule);
        }
        (all >= bounds.open).then_some(Reached::OfAll)
    }

    /// Rules that were full and have room again, not for one alert only.
    pub(super) fn with_room_again(&self, census: &Census, bounds: &Bounds) -> Vec<String> {
        let tenth_free = |open: u64, most: u64| open <= most.saturating_sub(most.div_ceil(10));
        let full = census
            .full
            .iter()
            .filter(|rule_id| !self.full.contains_key(*rule_id));
        let with_room = full.filter(|rule_id| {
            // Beside the alert that tells of it.
            let (of_rule, all) = self.open(census, rule_id);
            tenth_free(of_rule.saturating_sub(1), bounds.open_of_rule)
                && tenth_free(all.saturating_sub(1), bounds.open)
        });
        with_room.cloned().collect()
    }
}
