//! NOT IN (SELECT …) with NULL on either side: reports 25336, 25340, 25347, 25480 and their neighbours.

use super::{guarded, refused, right};

const T: &str = "(VALUES (1, 1), (2, 1), (NULL, 1), (1, 2), (NULL, 2), (5, 3), (NULL, 3)) t(x, z)";
const S: &str = "(VALUES (1, 1), (NULL, 1), (3, 2)) s(y, w)";

fn ask(condition: &str) -> String {
    format!(
        "SELECT x, z FROM {T} WHERE {}",
        condition.replace("FROM s", &format!("FROM {S}"))
    )
}

#[tokio::test]
async fn a_constant_is_not_in_a_list_with_null() {
    guarded(&ask("7 NOT IN (SELECT y FROM s)"), &[]).await;
    right(&[
        (&ask("NULL NOT IN (SELECT y FROM s)"), &[]),
        (&ask("1 NOT IN (SELECT y FROM s)"), &[]),
        (&ask("z = 3 AND 7 NOT IN (SELECT w FROM s)"), &["5,3", ",3"]),
        (
            &ask("z = 3 AND NULL NOT IN (SELECT w FROM s WHERE w > 9)"),
            &["5,3", ",3"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_subquery_that_depends_on_the_row_knows_the_nulls_of_that_row_only() {
    guarded(
        &ask("x NOT IN (SELECT y FROM s WHERE w = z)"),
        &["1,2", "5,3", ",3"],
    )
    .await;
    guarded(
        &ask("x NOT IN (SELECT y FROM s WHERE w < z)"),
        &["1,1", "2,1", ",1"],
    )
    .await;
    guarded(
        &ask("7 NOT IN (SELECT y FROM s WHERE w = z)"),
        &["1,2", ",2", "5,3", ",3"],
    )
    .await;
    guarded(
        &ask("x NOT IN (SELECT y FROM s WHERE y = x)"),
        &["2,1", ",1", ",2", "5,3", ",3"],
    )
    .await;
    right(&[
        (
            &ask("NOT (x IN (SELECT y FROM s WHERE w = z))"),
            &["1,2", "5,3", ",3"],
        ),
        (
            &ask("x + 1 NOT IN (SELECT y + 1 FROM s WHERE w = z)"),
            &["1,2", "5,3", ",3"],
        ),
        (&ask("x IN (SELECT y FROM s WHERE w = z)"), &["1,1"]),
    ])
    .await;
}

#[tokio::test]
async fn unknown_is_not_false_inside_of_a_condition() {
    guarded(&ask("x NOT IN (SELECT y FROM s) OR z = 3"), &["5,3", ",3"]).await;
    guarded(
        &ask("(x IN (SELECT y FROM s)) IS NULL"),
        &["2,1", ",1", ",2", "5,3", ",3"],
    )
    .await;
    guarded(
        &ask("CASE WHEN x NOT IN (SELECT y FROM s WHERE w = z) THEN false ELSE true END"),
        &["1,1", "2,1", ",1", ",2"],
    )
    .await;
    right(&[
        (
            &ask("(x NOT IN (SELECT y FROM s)) IS NOT TRUE"),
            &["1,1", "2,1", ",1", "1,2", ",2", "5,3", ",3"],
        ),
        (&ask("(x IN (SELECT y FROM s)) = false"), &[]),
        (&ask("NOT (x IN (SELECT y FROM s) OR z = 1)"), &[]),
        (
            &ask("x IN (SELECT y FROM s) OR EXISTS (SELECT 1 FROM s WHERE w = x)"),
            &["1,1", "2,1", "1,2"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn any_subquery_may_stand_behind_not_in() {
    right(&[
        (&ask("x NOT IN (SELECT max(y) FROM s)"), &["1,1", "2,1", "1,2", "5,3"]),
        (&ask("x NOT IN (SELECT y FROM s ORDER BY y NULLS LAST LIMIT 1)"), &["2,1", "5,3"]),
        (&ask("x NOT IN (SELECT y FROM s ORDER BY y NULLS FIRST LIMIT 1)"), &[]),
        (&ask("x NOT IN (SELECT y FROM s UNION SELECT 2)"), &[]),
        (&ask("x NOT IN (SELECT w FROM s UNION ALL SELECT 5)"), &[]),
        (&ask("x NOT IN (SELECT w FROM s GROUP BY w HAVING count(*) > 1)"), &["2,1", "5,3"]),
        (&ask("x NOT IN (SELECT DISTINCT w FROM s)"), &["5,3"]),
        (&ask("x NOT IN (SELECT y FROM s WHERE y NOT IN (SELECT w FROM s))"), &["1,1", "2,1", "1,2", "5,3"]),
        (
            "SELECT sum(x) AS n FROM (VALUES (1), (NULL)) t(x) HAVING sum(x) NOT IN (SELECT y FROM (VALUES (2), (NULL)) s(y))",
            &[],
        ),
        (
            "SELECT count(*) AS n FROM cells WHERE layer NOT IN (SELECT text FROM points)",
            &["0"],
        ),
        (
            "SELECT count(*) AS n FROM cells WHERE layer NOT IN (SELECT layer FROM cells WHERE count < 4)",
            &["1"],
        ),
        (
            "SELECT count(*) AS n FROM cells AS a WHERE cell NOT IN (SELECT cell FROM cells AS b WHERE b.layer <> a.layer)",
            &["1"],
        ),
        (
            "SELECT t.x FROM (VALUES (1), (2)) t(x) JOIN (VALUES (1), (2)) u(z) ON x = z AND x NOT IN (SELECT y FROM (VALUES (1), (NULL)) s(y))",
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn where_no_subquery_can_stand_a_form_is_named_that_works() {
    refused(&[
        (
            "SELECT x NOT IN (SELECT y FROM (VALUES (1), (NULL)) s(y)) AS r FROM (VALUES (1)) t(x)",
            "(SELECT count(*) FROM … WHERE …) > 0",
        ),
        (
            "SELECT EXISTS (SELECT 1 FROM (VALUES (1)) s(y) WHERE y = x) AS r FROM (VALUES (1)) t(x)",
            "WHERE and HAVING only",
        ),
        (
            "SELECT count(*) FILTER (WHERE x IN (SELECT 1)) AS r FROM (VALUES (1)) t(x)",
            "WHERE and HAVING only",
        ),
    ])
    .await;
    right(&[(
        "SELECT x, (SELECT count(*) FROM (VALUES (1), (3)) s(y) WHERE y = x) > 0 AS r FROM (VALUES (1), (2)) t(x)",
        &["1,true", "2,false"],
    )])
    .await;
}
