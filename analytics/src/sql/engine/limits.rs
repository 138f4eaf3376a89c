//! How much one query, and all queries together, may take.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::permission::Role;

/// The limits of a [`SqlEngine`](crate::sql::SqlEngine).
#[derive(Debug, Clone)]
pub struct SqlLimits {
    /// Memory of all running queries together, in bytes. Default 2 GiB.
    pub memory_bytes: usize,
    /// Memory of one query, in bytes. Default 1 GiB.
    pub query_memory_bytes: usize,
    /// Time of a query that asks for none. Default 30 s.
    pub timeout: Duration,
    /// The longest time that a query may ask for. Default 10 min.
    pub longest_timeout: Duration,
    /// Queries that run at once; a further one waits, within its own time. Default 16.
    pub max_concurrent: NonZeroUsize,
    /// Queries that wait for others to end. Default 256.
    pub max_waiting: usize,
    /// Threads that run queries, and partitions of a plan. Default: as many as there are processors.
    pub threads: NonZeroUsize,
    /// Length of a statement, in bytes. Default 256 KiB.
    pub statement_bytes: usize,
    /// What is different for `public`, `analyst`, `operator` and `admin`.
    pub roles: [RoleOverrides; 4],
    /// Where what does not fit into memory is put; nowhere if `None`.
    pub spill: Option<Spill>,
}

/// The folder of what does not fit into memory.
#[derive(Debug, Clone)]
pub struct Spill {
    /// It is emptied at the start.
    pub folder: PathBuf,
    /// Bytes of all queries together.
    pub bytes: u64,
}

/// What a role has in the place of the limits for all. `None` is as for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleOverrides {
    /// Time of a query that asks for none.
    pub timeout: Option<Duration>,
    /// The longest time that a query may ask for.
    pub longest_timeout: Option<Duration>,
    /// Memory of one query, in bytes.
    pub query_memory_bytes: Option<usize>,
    /// Bytes on disk of what does not fit into the memory of one query; 0 is none.
    pub spill_bytes: Option<u64>,
    /// Rows of an answer; 0 is no limit.
    pub rows: Option<usize>,
    /// Bytes of an answer; 0 is no limit.
    pub answer_bytes: Option<u64>,
    /// Queries of one asker that run at once.
    pub running: Option<usize>,
    /// Queries of one asker that wait.
    pub waiting: Option<usize>,
    /// Rows that a plan may be expected to read; 0 is no limit.
    pub estimated_rows: Option<u64>,
    /// Pairs that a plan may be expected to compare; 0 is no limit.
    pub estimated_pairs: Option<u64>,
}

/// The limits of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimits {
    /// Time of a query that asks for none.
    pub timeout: Duration,
    /// The longest time that a query may ask for.
    pub longest_timeout: Duration,
    /// Memory of one query, in bytes.
    pub query_memory_bytes: usize,
    /// Bytes on disk of what does not fit into the memory of one query.
    pub spill_bytes: u64,
    /// Rows of an answer.
    pub rows: Option<usize>,
    /// Bytes of an answer.
    pub answer_bytes: Option<u64>,
    /// Queries of one asker that run at once.
    pub running: usize,
    /// Queries of one asker that wait.
    pub waiting: usize,
    /// Rows that a plan may be expected to read.
    pub estimated_rows: Option<u64>,
    /// Pairs that a plan may be expected to compare.
    pub estimated_pairs: Option<u64>,
}

impl RoleOverrides {
    /// What `public` has unless it is said otherwise.
    pub const PUBLIC: Self = Self {
        timeout: Some(Duration::from_secs(5)),
        longest_timeout: Some(Duration::from_secs(10)),
        query_memory_bytes: Some(64 << 20),
        spill_bytes: Some(0),
        rows: Some(10_000),
        answer_bytes: Some(10 << 20),
        running: Some(2),
        waiting: Some(4),
        estimated_rows: Some(10_000_000),
        estimated_pairs: Some(1_000_000),
    };
    /// What `analyst` has.
    pub const ANALYST: Self = Self {
        timeout: None,
        longest_timeout: None,
        query_memory_bytes: None,
        spill_bytes: Some(4 << 30),
        rows: Some(0),
        answer_bytes: Some(4 << 30),
        running: Some(4),
        waiting: Some(16),
        estimated_rows: Some(1_000_000_000),
        estimated_pairs: Some(10_000_000_000),
    };
    /// What `operator` and `admin` have.
    pub const OPERATOR: Self = Self {
        timeout: None,
        longest_timeout: None,
        query_memory_bytes: None,
        spill_bytes: Some(4 << 30),
        rows: Some(0),
        answer_bytes: Some(0),
        running: Some(8),
        waiting: Some(32),
        estimated_rows: Some(0),
        estimated_pairs: Some(0),
    };
    /// Of all roles, in their order.
    pub const OF_ROLES: [Self; 4] = [Self::PUBLIC, Self::ANALYST, Self::OPERATOR, Self::OPERATOR];

    /// These, and where they say nothing `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            timeout: self.timeout.or(others.timeout),
            longest_timeout: self.longest_timeout.or(others.longest_timeout),
            query_memory_bytes: self.query_memory_bytes.or(others.query_memory_bytes),
            spill_bytes: self.spill_bytes.or(others.spill_bytes),
            rows: self.rows.or(others.rows),
            answer_bytes: self.answer_bytes.or(others.answer_bytes),
            running: self.running.or(others.running),
            waiting: self.waiting.or(others.waiting),
            estimated_rows: self.estimated_rows.or(others.estimated_rows),
            estimated_pairs: self.estimated_pairs.or(others.estimated_pairs),
        }
    }
}

impl SqlLimits {
    /// Those of a role.
    pub fn of(&self, role: Role) -> RoleLimits {
        let [public, analyst, operator, admin] = self.roles;
        let own = match role {
            Role::Public => public,
            Role::Analyst => analyst,
            Role::Operator => operator,
            Role::Admin => admin,
        };
        let longest_timeout = own.longest_timeout.unwrap_or(self.longest_timeout);
        let all = self.max_concurrent.get();
        RoleLimits {
            timeout: own.timeout.unwrap_or(self.timeout).min(longest_timeout),
            longest_timeout,
            query_memory_bytes: own.query_memory_bytes.unwrap_or(self.query_memory_bytes),
            spill_bytes: own.spill_bytes.unwrap_or(0),
            rows: own.rows.filter(|rows| *rows > 0),
            answer_bytes: own.answer_bytes.filter(|bytes| *bytes > 0),
            running: own.running.unwrap_or(all).clamp(1, all),
            waiting: own.waiting.unwrap_or(self.max_waiting),
            estimated_rows: own.estimated_rows.filter(|rows| *rows > 0),
            estimated_pairs: own.estimated_pairs.filter(|pairs| *pairs > 0),
        }
    }
}

impl RoleLimits {
    /// These, or less where `own` says less: nobody may take more than their role.
    #[must_use]
    pub fn within(self, own: &RoleOverrides) -> Self {
        fn least<T: Ord>(limit: Option<T>, own: Option<T>) -> Option<T> {
            [limit, own].into_iter().flatten().min()
        }
        let longest_timeout = least(Some(self.longest_timeout), own.longest_timeout).unwrap_or_default();
        Self {
            timeout: least(Some(self.timeout.min(longest_timeout)), own.timeout).unwrap_or_default(),
            longest_timeout,
            query_memory_bytes: self
                .query_memory_bytes
                .min(own.query_memory_bytes.unwrap_or(usize::MAX)),
            spill_bytes: self.spill_bytes.min(own.spill_bytes.unwrap_or(u64::MAX)),
            rows: least(self.rows, own.rows),
            answer_bytes: least(self.answer_bytes, own.answer_bytes),
            running: self.running.min(own.running.unwrap_or(usize::MAX)).max(1),
            waiting: self.waiting.min(own.waiting.unwrap_or(usize::MAX)),
            estimated_rows: least(self.estimated_rows, own.estimated_rows),
            estimated_pairs: least(self.estimated_pairs, own.estimated_pairs),
        }
    }
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            query_memory_bytes: 1 << 30,
            timeout: Duration::from_secs(30),
            longest_timeout: Duration::from_mins(10),
            max_concurrent: NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN),
            max_waiting: 256,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            statement_bytes: 256 << 10,
            roles: RoleOverrides::OF_ROLES,
            spill: None,
        }
    }
}
