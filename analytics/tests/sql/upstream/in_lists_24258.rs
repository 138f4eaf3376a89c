//! Two IN lists on one expression: report 24258.

use super::{guarded, right};

fn ask(expression: &str) -> String {
    format!("SELECT x, {expression} AS r FROM (VALUES (1, 1), (2, 1), (7, 7), (NULL, 2)) t(x, y)")
}

#[tokio::test]
async fn lists_that_meet_keep_null_unknown() {
    guarded(
        &ask("x IN (1, 2) AND x NOT IN (1, NULL)"),
        &["1,false", "2,", "7,false", ","],
    )
    .await;
    guarded(
        &ask("x NOT IN (1) OR x NOT IN (2)"),
        &["1,true", "2,true", "7,true", ","],
    )
    .await;
    guarded(
        &ask("x IN (1, 2) AND x IN (3, 4)"),
        &["1,false", "2,false", "7,false", ","],
    )
    .await;
    guarded(
        &ask("x IN (1, NULL) AND x NOT IN (2, 3)"),
        &["1,true", "2,false", "7,", ","],
    )
    .await;
    guarded(
        &ask("(x = 1 OR x = 2 OR x = 3 OR x = 4) AND (x = 5 OR x = 6 OR x = 7 OR x = 8)"),
        &["1,false", "2,false", "7,false", ","],
    )
    .await;
    guarded(
        &ask("NOT (x IN (1, 2) AND x NOT IN (1, NULL))"),
        &["1,true", "2,", "7,true", ","],
    )
    .await;
}

#[tokio::test]
async fn items_that_are_no_literals_are_not_forgotten() {
    guarded(
        &ask("x IN (1, 2) AND x NOT IN (y, 9)"),
        &["1,false", "2,true", "7,false", ","],
    )
    .await;
    guarded(
        &ask("x IN (1, y) AND x IN (2, y + 0)"),
        &["1,true", "2,false", "7,true", ","],
    )
    .await;
}

#[tokio::test]
async fn filters_that_meet_by_being_pushed_down_are_kept_apart() {
    right(&[
        (
            "SELECT x FROM (SELECT x FROM (VALUES (1), (2), (NULL)) t(x) WHERE x IN (1, 2)) WHERE x NOT IN (1, NULL)",
            &[],
        ),
        (
            "WITH q AS (SELECT x FROM (VALUES (1), (2), (NULL)) t(x) WHERE x NOT IN (1, NULL)) SELECT x FROM q WHERE x IN (1, 2)",
            &[],
        ),
        (
            "SELECT x FROM (VALUES (1), (2), (NULL)) t(x) WHERE x IN (1, 2) AND x > 0 AND x NOT IN (1, NULL)",
            &[],
        ),
        (
            "SELECT x FROM (VALUES (1), (2), (NULL)) t(x) WHERE x NOT IN (1, NULL) OR x NOT IN (2, NULL)",
            &[],
        ),
        (
            "SELECT count(*) AS n FROM cells WHERE layer IN ('noise', 'water') AND layer NOT IN ('noise', NULL)",
            &["0"],
        ),
        (
            "SELECT count(*) AS n FROM cells WHERE layer IN ('noise', 'water') AND layer NOT IN ('noise')",
            &["1"],
        ),
        (
            "SELECT count(*) AS n FROM cells WHERE layer IN ('noise') OR layer IN ('water', 'x', 'y', 'z')",
            &["3"],
        ),
    ])
    .await;
}
