//! A filter above an outer join of two sides whose columns have the same names.

use super::right;

const A: &str = "(VALUES (1), (2), (3)) a(n)";
const B: &str = "(VALUES (1, true), (5, false), (NULL, true), (7, true)) b(n, f)";

#[tokio::test]
async fn a_condition_on_both_sides_stays_above_the_join() {
    let condition = "(a.n <> 0 OR (b.n < 6 AND b.n IN (6, 7, 8, 9, a.n))) AND b.f IS DISTINCT FROM false";
    right(&[
        (
            &format!(
                "SELECT a.n, b.n FROM {A} RIGHT JOIN {B} ON a.n = b.n \
                 WHERE (a.n IN (1, 2, 3, 4, 9) OR (b.n IN (1, NULL, 3, 4, 5) AND b.n IN (6, 8, 9, 10, a.n))) AND b.f IS DISTINCT FROM false"
            ),
            &["1,1"],
        ),
        (&format!("SELECT a.n, b.n FROM {A} RIGHT JOIN {B} ON a.n = b.n WHERE {condition}"), &["1,1"]),
        (&format!("SELECT a.n, b.n FROM {B} LEFT JOIN {A} ON a.n = b.n WHERE {condition}"), &["1,1"]),
        (
            &format!("SELECT a.n, b.n FROM {A} FULL JOIN {B} ON a.n = b.n WHERE a.n > 1 OR b.n > 5"),
            &["2,", "3,", ",7"],
        ),
        (
            &format!("SELECT a.n, b.n FROM {B} LEFT JOIN {A} ON a.n = b.n WHERE (a.n IS NULL OR b.n > 6) AND b.f"),
            &[",", ",7"],
        ),
        (
            "SELECT count(*) AS n FROM points AS a RIGHT JOIN points AS b ON a.n = b.n WHERE (a.n > 0 OR b.n > 100) AND b.name IS DISTINCT FROM 'x'",
            &["2"],
        ),
    ])
    .await;
}
