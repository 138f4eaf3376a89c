//! Queries.

use super::reading::{Reading, count, counter, gauge, size};

pub(super) const READINGS: &[Reading] = &[
    gauge("riskgrid_sql_queries", "queries that run", &[], |seen| {
        size(seen.app.sql.running().len())
    }),
    gauge(
        "riskgrid_sql_queries_waiting",
        "queries that wait for their turn",
        &[],
        |seen| size(seen.app.sql.queue().1),
    ),
    counter(
        "riskgrid_sql_internal_errors_total",
        "statements that failed by a fault of riskgrid's; the log says why under their query_id",
        &[],
        |seen| count(seen.app.sql.internal_errors()),
    ),
    gauge(
        "riskgrid_sql_memory_bytes",
        "memory that queries hold",
        &[],
        |seen| size(seen.app.sql.memory_bytes()),
    ),
    counter(
        "riskgrid_sql_ended_for_memory_total",
        "queries that were ended because the process grew by more than sql.memory and sql.memory_margin",
        &[],
        |seen| count(seen.app.sql.ended_for_memory()),
    ),
];
