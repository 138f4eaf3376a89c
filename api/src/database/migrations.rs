//! The schema's steps. One that has been released is never changed.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Each with its number and what it does.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "decisions",
        include_str!("../../migrations/0001_decisions.sql"),
    ),
    (2, "audit", include_str!("../../migrations/0002_audit.sql")),
    (3, "bounds", include_str!("../../migrations/0003_bounds.sql")),
    (4, "access", include_str!("../../migrations/0004_access.sql")),
    (5, "life", include_str!("../../migrations/0005_life.sql")),
    (7, "rules", include_str!("../../migrations/0007_rules.sql")),
    (
        8,
        "incidents",
        include_str!("../../migrations/0008_incidents.sql"),
    ),
    (9, "audience", include_str!("../../migrations/0009_audience.sql")),
    (
        16,
        "key limits",
        include_str!("../../migrations/0016_key_limits.sql"),
    ),
];

/// All of them.
pub(super) fn migrations() -> Migrator {
    let steps = MIGRATIONS.iter().map(|(version, description, sql)| {
        Migration::new(
            *version,
            (*description).into(),
            MigrationType::Simple,
            (*sql).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.collect())
}
