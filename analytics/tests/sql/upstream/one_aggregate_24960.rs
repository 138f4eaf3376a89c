//! IN and EXISTS over an aggregate without GROUP BY, which always has one row: report 24960.

use super::{guarded, refused, right};

const T: &str = "(VALUES (0), (1), (2)) t(x)";
const S: &str = "(VALUES (1), (1), (2)) s(y)";

#[tokio::test]
async fn an_aggregate_of_nothing_is_a_row_too() {
    guarded(
        &format!("SELECT x FROM {T} WHERE x IN (SELECT count(*) FROM {S} WHERE y = x)"),
        &["0"],
    )
    .await;
    guarded(
        &format!("SELECT x FROM {T} WHERE EXISTS (SELECT max(y) FROM {S} WHERE y = x)"),
        &["0", "1", "2"],
    )
    .await;
    right(&[
        (
            &format!("SELECT x FROM {T} WHERE x NOT IN (SELECT count(*) FROM {S} WHERE y = x)"),
            &["1", "2"],
        ),
        (
            &format!("SELECT x FROM {T} WHERE NOT EXISTS (SELECT max(y) FROM {S} WHERE y = x)"),
            &[],
        ),
        (
            &format!("SELECT x FROM {T} WHERE x NOT IN (SELECT max(y) FROM {S} WHERE y = x)"),
            &[],
        ),
        (
            &format!("SELECT x FROM {T} WHERE x IN (SELECT count(*) FROM {S} WHERE y = x) OR x = 2"),
            &["0", "2"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn with_having_it_is_refused() {
    refused(&[(
        &format!("SELECT x FROM {T} WHERE EXISTS (SELECT 1 FROM {S} WHERE y = x HAVING count(*) > 1)"),
        "neither HAVING nor LIMIT",
    )])
    .await;
}
