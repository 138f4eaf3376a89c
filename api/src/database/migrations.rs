//! The schema's steps. One that has been released is never changed.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// In order, each with what it does.
const MIGRATIONS: [(&str, &str); 5] = [
    ("decisions", include_str!("../../migrations/0001_decisions.sql")),
    ("audit", include_str!("../../migrations/0002_audit.sql")),
    ("bounds", include_str!("../../migrations/0003_bounds.sql")),
    ("access", include_str!("../../migrations/0004_access.sql")),
    ("life", include_str!("../../migrations/0005_life.sql")),
];

/// All of them.
pub(super) fn migrations() -> Migrator {
    let steps = (1..).zip(MIGRATIONS).map(|(version, (description, sql))| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.collect())
}
