//! The schema's steps. One that has been released is never changed.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

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
    (6, "leases", include_str!("../../migrations/0006_leases.sql")),
    (7, "rules", include_str!("../../migrations/0007_rules.sql")),
    (
        8,
        "incidents",
        include_str!("../../migrations/0008_incidents.sql"),
    ),
    (9, "audience", include_str!("../../migrations/0009_audience.sql")),
    (10, "hotline", include_str!("../../migrations/0010_hotline.sql")),
    (13, "noise", include_str!("../../migrations/0013_noise.sql")),
    (
        14,
        "hotline places",
        include_str!("../../migrations/0014_hotline_places.sql"),
    ),
    (
        16,
        "key limits",
        include_str!("../../migrations/0016_key_limits.sql"),
    ),
    (
        18,
        "circumstances",
        include_str!("../../migrations/0018_circumstances.sql"),
    ),
    (
        19,
        "published",
        include_str!("../../migrations/0019_published.sql"),
    ),
    (
        20,
        "revisions",
        include_str!("../../migrations/0020_revisions.sql"),
    ),
    (
        24,
        "case labels",
        include_str!("../../migrations/0024_case_labels.sql"),
    ),
    (
        25,
        "case months",
        include_str!("../../migrations/0025_case_months.sql"),
    ),
];

/// As `SQLite` takes them: as they are written.
pub(super) fn of_sqlite() -> Migrator {
    migrations(str::to_owned)
}

/// As `PostgreSQL` takes them. Texts are compared byte by byte, as `SQLite` does, whatever language the server speaks.
pub(super) fn of_postgres() -> Migrator {
    migrations(|sql| {
        let statements = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
        let words = statements.flat_map(|line| line.split_inclusive([' ', ',']).chain(["\n"]));
        words
            .map(|word| match word.trim_end_matches([' ', ',']) {
                "BLOB" => word.replace("BLOB", "BYTEA"),
                "TEXT" => word.replace("TEXT", "TEXT COLLATE \"C\""),
                _ => word.to_owned(),
            })
            .collect()
    })
}

fn migrations(written: impl Fn(&str) -> String) -> Migrator {
    let steps = MIGRATIONS.iter().map(|(version, description, sql)| {
        Migration::new(
            *version,
            (*description).into(),
            MigrationType::Simple,
            // The program's own words.
            AssertSqlSafe(written(sql)).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_use_only_types_that_both_databases_have() {
        for (number, name, sql) in MIGRATIONS {
            let sql = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            let words: Vec<String> = sql
                .flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
                .map(str::to_uppercase)
                .collect();
            for foreign in [
                "INTEGER",
                "INT",
                "REAL",
                "BOOLEAN",
                "AUTOINCREMENT",
                "ROWID",
                "VARCHAR",
                "BYTEA",
                "WITHOUT",
            ] {
                let has_it = words.iter().any(|word| word == foreign);
                assert!(
                    !has_it,
                    "step {number}, {name}: {foreign}; see the first step for what may stand there"
                );
            }
        }
    }

    #[test]
    fn for_postgres_only_types_change() {
        let steps = of_postgres();
        assert_eq!(steps.iter().count(), MIGRATIONS.len());
        let first = steps
            .iter()
            .next()
            .map(|step| step.sql.as_str().to_owned())
            .unwrap_or_default();
        assert!(first.contains("id TEXT COLLATE \"C\" PRIMARY KEY,\n"), "{first}");
        assert!(first.contains("value BYTEA NOT NULL\n"), "{first}");
        assert!(first.contains("disabled_at BIGINT\n"), "{first}");
        let access = steps
            .iter()
            .find(|step| step.version == 4)
            .map(|step| step.sql.as_str().to_owned());
        assert!(
            access.is_some_and(
                |sql| sql.contains("acknowledged") || sql.contains("hash BYTEA NOT NULL UNIQUE,\n")
            )
        );
    }
}
