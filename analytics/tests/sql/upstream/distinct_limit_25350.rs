//! DISTINCT and LIMIT above a window: report 25350.

use super::{guarded, right};

const ROWS: &str = "(VALUES (1, 1), (1, 2), (2, 3)) t(g, k)";

#[tokio::test]
async fn distinct_rows_of_windows_may_be_limited() {
    guarded(
        &format!("SELECT DISTINCT g, count(*) OVER (PARTITION BY g) AS r FROM {ROWS} LIMIT 30"),
        &["1,2", "2,1"],
    )
    .await;
    right(&[
        (
            &format!("SELECT DISTINCT g, row_number() OVER (PARTITION BY g ORDER BY k) AS r FROM {ROWS} LIMIT 30"),
            &["1,1", "1,2", "2,1"],
        ),
        (
            &format!("SELECT g FROM (SELECT g, count(*) OVER (PARTITION BY g) AS r FROM {ROWS}) GROUP BY g LIMIT 30"),
            &["1", "2"],
        ),
        (
            &format!("WITH q AS (SELECT g, rank() OVER (ORDER BY g) AS r FROM {ROWS}) SELECT DISTINCT r, g FROM q LIMIT 2"),
            &["1,1", "3,2"],
        ),
        (
            &format!("SELECT count(*) AS n FROM (SELECT DISTINCT k, sum(k) OVER (ORDER BY k) AS r FROM {ROWS} LIMIT 2)"),
            &["2"],
        ),
        (&format!("SELECT count(*) AS n FROM (SELECT DISTINCT g FROM {ROWS} LIMIT 1)"), &["1"]),
    ])
    .await;
}
