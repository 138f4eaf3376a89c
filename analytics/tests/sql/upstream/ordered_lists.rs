//! Lists of distinct values beside an aggregate of another order.

use super::{guarded, right};

const ROWS: &str = "(VALUES (1, 1, 3), (1, 2, 1), (1, 3, 3), (2, 4, 2)) t(g, k, v)";

#[tokio::test]
async fn two_lists_of_opposite_orders_are_each_in_their_own() {
    guarded(
        &format!(
            "SELECT CAST(array_agg(DISTINCT v ORDER BY v) AS VARCHAR) AS a, \
             CAST(array_agg(DISTINCT v ORDER BY v DESC) AS VARCHAR) AS b FROM {ROWS}"
        ),
        &["[1,2,3],[3,2,1]"],
    )
    .await;
}

#[tokio::test]
async fn every_pair_of_ordered_aggregates_is_right() {
    let lists = [
        ("CAST(array_agg(DISTINCT v ORDER BY v) AS VARCHAR)", "[1,2,3]"),
        (
            "CAST(array_agg(DISTINCT v ORDER BY v DESC) AS VARCHAR)",
            "[3,2,1]",
        ),
        ("CAST(array_agg(k ORDER BY k DESC) AS VARCHAR)", "[4,3,2,1]"),
        ("CAST(array_agg(v ORDER BY v, k) AS VARCHAR)", "[1,2,3,3]"),
        (
            "CAST(array_agg(k ORDER BY v DESC, k DESC) AS VARCHAR)",
            "[3,1,4,2]",
        ),
        ("first_value(k ORDER BY v, k DESC)", "2"),
        ("last_value(k ORDER BY v, k)", "3"),
        ("sum(DISTINCT v)", "6"),
        ("count(DISTINCT v)", "3"),
    ];
    let mut queries = Vec::new();
    for (left, first) in lists {
        for (right, second) in lists {
            queries.push((
                format!("SELECT {left} AS a, {right} AS b FROM {ROWS}"),
                format!("{first},{second}"),
            ));
        }
    }
    for (sql, answer) in &queries {
        right(&[(sql, &[answer])]).await;
    }
}

#[tokio::test]
async fn in_groups_and_as_texts_too() {
    right(&[
        (
            &format!(
                "SELECT g, CAST(array_agg(DISTINCT v ORDER BY v DESC) AS VARCHAR) AS a, CAST(array_agg(DISTINCT v ORDER BY v) AS VARCHAR) AS b \
                 FROM {ROWS} GROUP BY g"
            ),
            &["1,[3,1],[1,3]", "2,[2],[2]"],
        ),
        (
            &format!(
                "SELECT string_agg(DISTINCT CAST(v AS VARCHAR), '-' ORDER BY CAST(v AS VARCHAR)) AS a, \
                 string_agg(DISTINCT CAST(v AS VARCHAR), '-' ORDER BY CAST(v AS VARCHAR) DESC) AS b FROM {ROWS}"
            ),
            &["1-2-3,3-2-1"],
        ),
    ])
    .await;
}
