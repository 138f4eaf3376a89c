//! `lead` and `lag` with IGNORE NULLS, and their neighbours: report 25471.

use super::{guarded, right};

const ROWS: &str =
    "(VALUES (1, 10), (2, 20), (3, 30), (4, 40), (5, NULL), (6, NULL), (7, 70), (8, 80), (9, NULL)) t(k, v)";

fn ask(window: &str) -> String {
    format!("SELECT k, {window} AS r FROM {ROWS}")
}

#[tokio::test]
async fn values_behind_two_nulls_are_found() {
    let second: &[&str] = &["1,30", "2,40", "3,70", "4,80", "5,80", "6,80", "7,", "8,", "9,"];
    guarded(&ask("lead(v, 2) IGNORE NULLS OVER (ORDER BY k)"), second).await;
    guarded(&ask("lag(v, -2) IGNORE NULLS OVER (ORDER BY k)"), second).await;
    right(&[(
        &ask("lead(v, 3, -1) IGNORE NULLS OVER (ORDER BY k)"),
        &[
            "1,40", "2,70", "3,80", "4,-1", "5,-1", "6,-1", "7,-1", "8,-1", "9,-1",
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_limit_does_not_cut_off_what_is_looked_for() {
    let limited = "SELECT k, lead(v) IGNORE NULLS OVER (ORDER BY k) AS r \
                   FROM (VALUES (1, 10), (2, NULL), (3, NULL), (4, 40)) t(k, v) ORDER BY k LIMIT 1";
    right(&[
        (limited, &["1,40"]),
        (
            "SELECT k, lead(v, 2) OVER (ORDER BY k) AS r FROM (VALUES (1, 10), (2, 20), (3, 30)) t(k, v) ORDER BY k LIMIT 1",
            &["1,30"],
        ),
        (
            "SELECT k, lag(v, -2) OVER (ORDER BY k) AS r FROM (VALUES (1, 10), (2, 20), (3, 30)) t(k, v) ORDER BY k LIMIT 1",
            &["1,30"],
        ),
        (
            "SELECT k, lead(v, 1) IGNORE NULLS OVER (ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS r \
             FROM (VALUES (1, 10), (2, NULL), (3, NULL), (4, 40)) t(k, v) ORDER BY k LIMIT 1",
            &["1,40"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_neighbours_are_right() {
    right(&[
        (
            &ask("lag(v, 2) IGNORE NULLS OVER (ORDER BY k)"),
            &["1,", "2,", "3,10", "4,20", "5,30", "6,30", "7,30", "8,40", "9,70"],
        ),
        (
            &ask("lag(v) IGNORE NULLS OVER (ORDER BY k)"),
            &["1,", "2,10", "3,20", "4,30", "5,40", "6,40", "7,40", "8,70", "9,80"],
        ),
        (
            &ask("lead(v, 2) IGNORE NULLS OVER (ORDER BY k DESC)"),
            &["1,", "2,", "3,10", "4,20", "5,30", "6,30", "7,30", "8,40", "9,70"],
        ),
        (
            &ask("lead(v, 2) OVER (ORDER BY k)"),
            &["1,30", "2,40", "3,", "4,", "5,70", "6,80", "7,", "8,", "9,"],
        ),
        (
            &ask("lead(v, 1) IGNORE NULLS OVER (PARTITION BY k % 2 ORDER BY k)"),
            &["1,30", "2,40", "3,70", "4,80", "5,70", "6,80", "7,", "8,", "9,"],
        ),
        (
            &ask("nth_value(v, 2) IGNORE NULLS OVER (ORDER BY k ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"),
            &["1,20", "2,30", "3,40", "4,70", "5,80", "6,80", "7,80", "8,", "9,"],
        ),
        (
            &ask("first_value(v) IGNORE NULLS OVER (ORDER BY k ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"),
            &["1,10", "2,20", "3,30", "4,40", "5,70", "6,70", "7,70", "8,80", "9,"],
        ),
        (
            &ask("last_value(v) IGNORE NULLS OVER (ORDER BY k)"),
            &["1,10", "2,20", "3,30", "4,40", "5,40", "6,40", "7,70", "8,80", "9,80"],
        ),
        (
            &format!("SELECT first_value(v ORDER BY k DESC) IGNORE NULLS AS a, last_value(v ORDER BY k) IGNORE NULLS AS b FROM {ROWS}"),
            &["80,80"],
        ),
        (
            "SELECT count(*) AS n FROM (SELECT lead(c) IGNORE NULLS OVER (ORDER BY i) AS l, i FROM \
             (SELECT value AS i, CASE WHEN value % 100 = 0 THEN value END AS c FROM range(30000))) \
             WHERE l = (i / 100 + 1) * 100",
            &["29900"],
        ),
        (
            "SELECT layer, lead(cell) IGNORE NULLS OVER (ORDER BY count) AS r FROM cells",
            &["noise,89411ca1b6fffff", "noise,89411ca1b67ffff", "water,"],
        ),
    ])
    .await;
}
