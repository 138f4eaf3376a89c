//! Where whoever has a key may take less than its role may; never more.

use std::time::Duration;

use riskgrid_analytics::sql::RoleOverrides;
use serde::{Deserialize, Serialize};

use super::new_key::Unfit;
use super::spans;

/// Limits as a key is given them. Names are those of `[sql.roles.ROLE]`; sizes are bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimits {
    /// Longest time of a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Memory of one query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_memory: Option<u64>,
    /// Bytes on disk of what does not fit into it; 0 is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spill: Option<u64>,
    /// Rows of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<u64>,
    /// Queries that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<u64>,
    /// Queries that wait; 0 is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Rows that a query may be expected to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
    /// Pairs that it may be expected to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_pairs: Option<u64>,
    /// Questions in SQL a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_per_second: Option<u64>,
    /// Other requests a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u64>,
    /// Streams that are open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<u64>,
}

/// How often, and how much at once, where that is less than the role's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRates {
    /// Questions in SQL a second.
    pub sql_per_second: Option<u32>,
    /// Other requests a second.
    pub requests_per_second: Option<u32>,
    /// Streams that are open at once.
    pub streams: Option<u32>,
}

impl KeyLimits {
    /// Whether these can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), Unfit> {
        let wrong = |problem: String| Unfit {
            member: "limits",
            problem,
        };
        if let Some(text) = &self.timeout
            && spans::parse(text).is_none_or(|span| span.is_zero())
        {
            let shown: String = text.chars().take(40).collect();
            return Err(wrong(format!(
                "has `timeout` \"{shown}\"; allowed: a span in s, m or h as in 10s"
            )));
        }
        let at_least_one = [
            ("query_memory", self.query_memory),
            ("rows", self.rows),
            ("answer", self.answer),
            ("running", self.running),
            ("estimated_rows", self.estimated_rows),
            ("estimated_pairs", self.estimated_pairs),
            ("sql_per_second", self.sql_per_second),
            ("requests_per_second", self.requests_per_second),
            ("streams", self.streams),
        ];
        match at_least_one.into_iter().find(|(_, number)| *number == Some(0)) {
            Some((name, _)) => Err(wrong(format!("has `{name}` 0; it must be at least 1"))),
            None => Ok(()),
        }
    }

    /// Of queries.
    pub fn of_queries(&self) -> RoleOverrides {
        let longest: Option<Duration> = self.timeout.as_deref().and_then(spans::parse);
        let size = |number: Option<u64>| number.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        RoleOverrides {
            timeout: longest,
            longest_timeout: longest,
            query_memory_bytes: size(self.query_memory),
            spill_bytes: self.spill,
            rows: size(self.rows),
            answer_bytes: self.answer,
            running: size(self.running),
            waiting: size(self.waiting),
            estimated_rows: self.estimated_rows,
            estimated_pairs: self.estimated_pairs,
        }
    }

    /// Of requests.
    pub fn of_requests(&self) -> KeyRates {
        let rate = |number: Option<u64>| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        KeyRates {
            sql_per_second: rate(self.sql_per_second),
            requests_per_second: rate(self.requests_per_second),
            streams: rate(self.streams),
        }
    }
}
