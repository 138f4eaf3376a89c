//! `[sql.roles]`: what is different for a role.

use riskgrid_analytics::sql::RoleOverrides;
use serde::{Deserialize, Serialize};

use super::values::{ByteSize, Span};

/// `[sql.roles]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolesSection {
    /// `[sql.roles.public]`.
    pub public: RoleSection,
    /// `[sql.roles.analyst]`.
    pub analyst: RoleSection,
    /// `[sql.roles.operator]`.
    pub operator: RoleSection,
    /// `[sql.roles.admin]`.
    pub admin: RoleSection,
}

/// `[sql.roles.ROLE]`. What is absent is the role's own default, else that of `[sql]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleSection {
    /// Time of a query that asks for none. `public`: `5s`.
    pub timeout: Option<Span>,
    /// Longest time that a query may ask for. `public`: `10s`.
    pub longest_timeout: Option<Span>,
    /// Memory of one query. `public`: 64MiB.
    pub query_memory: Option<ByteSize>,
    /// Bytes on disk of what does not fit into the memory of one query; 0 is none. `public`: 0, others: 4GiB.
    pub spill: Option<ByteSize>,
    /// Most rows of an answer; 0 is no limit. `public`: 10000, others: 0.
    pub rows: Option<usize>,
    /// Most bytes of an answer; 0 is no limit. `public`: 10MiB, `analyst`: 4GiB, others: 0.
    pub answer: Option<ByteSize>,
    /// Queries of one identity that run at once. `public`: 2, `analyst`: 4, others: 8.
    pub running: Option<usize>,
    /// Queries of one identity that wait. `public`: 4, `analyst`: 16, others: 32.
    pub waiting: Option<usize>,
    /// Rows that a query may be expected to read; 0 is no limit. `public`: 10000000, `analyst`: 1000000000, others: 0.
    pub estimated_rows: Option<u64>,
    /// Pairs that a query may be expected to compare; 0 is no limit. `public`: 1000000, `analyst`: 10000000000, others: 0.
    pub estimated_pairs: Option<u64>,
}

impl RolesSection {
    /// Of all roles, in their order.
    pub fn overrides(&self) -> [RoleOverrides; 4] {
        let given = [&self.public, &self.analyst, &self.operator, &self.admin].map(RoleSection::overrides);
        let mut all = RoleOverrides::OF_ROLES;
        for (role, given) in all.iter_mut().zip(given) {
            *role = given.or(*role);
        }
        all
    }
}

impl RoleSection {
    fn overrides(&self) -> RoleOverrides {
        RoleOverrides {
            timeout: self.timeout.map(|span| span.0),
            longest_timeout: self.longest_timeout.map(|span| span.0),
            query_memory_bytes: self.query_memory.map(ByteSize::as_usize),
            spill_bytes: self.spill.map(|bytes| bytes.0),
            rows: self.rows,
            answer_bytes: self.answer.map(|bytes| bytes.0),
            running: self.running,
            waiting: self.waiting,
            estimated_rows: self.estimated_rows,
            estimated_pairs: self.estimated_pairs,
        }
    }
}
