//! Who the nearest are is decided by the tables of the join and what WHERE asks of the ranked one, by nothing outside.

use crate::spatial_joins::{ask, few, plan};
use crate::tables::engine;

/// Points 0 to 49 on a line, a tenth of a degree apart; each has itself as its nearest.
const NEAREST: &str = "st_knn(st_point(p.lon, p.lat), st_point(q.lon, q.lat), 1)";

#[tokio::test]
async fn a_filter_from_outside_changes_nobodys_nearest() {
    let (engine, tables) = (engine(), few());
    let join =
        format!("SELECT p.id AS p, q.id AS q, q.lon AS place FROM points p JOIN points q ON {NEAREST}");
    let evens = format!("{join} WHERE q.id % 2 = 0");
    for (sql, expected) in [
        (
            format!("WITH n AS ({join}) SELECT count(*) AS n FROM n WHERE q = 7"),
            "n\n1\n",
        ),
        (
            format!("WITH n AS ({join}) SELECT p, q FROM n WHERE q = 7"),
            "p,q\n7,7\n",
        ),
        (
            format!("SELECT p, q FROM ({join}) WHERE q > 47 ORDER BY p"),
            "p,q\n48,48\n49,49\n",
        ),
        (
            format!("SELECT p, q FROM ({join}) AS n WHERE n.place < 0.15 ORDER BY p"),
            "p,q\n0,0\n1,1\n",
        ),
        (
            format!("SELECT p, q FROM ({join}) WHERE p = 3 AND q = 4"),
            "p,q\n",
        ),
        (
            format!(
                "WITH a AS ({join}), b AS (SELECT * FROM a), c AS (SELECT q + 0 AS q, p FROM b) SELECT p FROM c WHERE q = 9"
            ),
            "p\n9\n",
        ),
        (
            format!("SELECT count(*) AS n FROM ({join} UNION ALL {join}) WHERE q = 7"),
            "n\n2\n",
        ),
        (
            format!("SELECT x.p FROM ({join}) x JOIN (VALUES (7)) v(k) ON x.q = v.k"),
            "p\n7\n",
        ),
        (
            format!("SELECT x.p FROM ({join}) x JOIN (VALUES (7), (8)) v(k) ON x.q = v.k WHERE v.k = 7"),
            "p\n7\n",
        ),
        (
            format!("SELECT x.p FROM ({join}) x WHERE x.q IN (SELECT id FROM points WHERE id = 7)"),
            "p\n7\n",
        ),
        (
            format!("SELECT q, count(*) AS n FROM ({join}) GROUP BY q HAVING q = 7"),
            "q,n\n7,1\n",
        ),
        (
            format!(
                "SELECT q.id AS q, count(*) AS n FROM points p JOIN points q ON {NEAREST} GROUP BY q.id HAVING q.id = 7"
            ),
            "q,n\n7,1\n",
        ),
        (
            format!("SELECT DISTINCT q FROM ({join}) WHERE q < 2 ORDER BY q"),
            "q\n0\n1\n",
        ),
        (
            format!("SELECT p, q FROM ({join} ORDER BY p LIMIT 10) WHERE q = 7"),
            "p,q\n7,7\n",
        ),
        (
            format!(
                "SELECT p, q FROM (SELECT p, q, row_number() OVER (PARTITION BY q ORDER BY p) AS place FROM ({join})) WHERE q = 7 AND place = 1"
            ),
            "p,q\n7,7\n",
        ),
        (
            format!("SELECT p, q FROM ({evens}) WHERE q = 8 AND p % 2 = 0"),
            "p,q\n8,8\n",
        ),
        (format!("SELECT count(*) AS n FROM ({evens})"), "n\n50\n"),
        (
            format!(
                "SELECT p, q FROM ({}) WHERE q = 7",
                join.replace(" JOIN", " LEFT JOIN")
            ),
            "p,q\n7,7\n",
        ),
        (
            format!(
                "SELECT p, q FROM ({}) WHERE q = 7 AND p IS NOT NULL",
                join.replace(" JOIN", " FULL JOIN")
            ),
            "p,q\n7,7\n",
        ),
        (
            format!(
                "SELECT count(*) AS n FROM ({} LIMIT 3) WHERE p <> q",
                join.replace(" JOIN", " RIGHT JOIN")
            ),
            "n\n0\n",
        ),
        (
            format!(
                "SELECT count(*) AS n FROM (SELECT * FROM ({}) LIMIT 3) WHERE p <> q",
                join.replace(" JOIN", " LEFT JOIN")
            ),
            "n\n0\n",
        ),
        (
            format!("SELECT o.id FROM points o WHERE o.id IN (SELECT q FROM ({join}) WHERE p = 3) "),
            "id\n3\n",
        ),
        (
            format!(
                "SELECT o.id FROM points o LEFT JOIN ({join}) n ON n.q = o.id AND n.q = 7 WHERE n.p IS NOT NULL"
            ),
            "id\n7\n",
        ),
    ] {
        assert_eq!(
            ask(&engine, &tables, &sql).await.as_deref(),
            Ok(expected),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn what_where_asks_of_the_ranked_table_alone_chooses_among_which() {
    let (engine, tables) = (engine(), few());
    for (sql, expected) in [
        (format!("SELECT p.id, q.id AS q FROM points p JOIN points q ON {NEAREST} WHERE q.id >= 20 AND p.id IN (3, 30) ORDER BY p.id"), "id,q\n3,20\n30,30\n"),
        (format!("SELECT p.id, q.id AS q FROM points p, points q WHERE {NEAREST} AND q.id >= 20 AND p.id IN (3, 30) ORDER BY p.id"), "id,q\n3,20\n30,30\n"),
        (format!("SELECT p.id, q.id AS q FROM points p LEFT JOIN points q ON {NEAREST} WHERE q.id >= 20 AND p.id = 3"), "id,q\n3,20\n"),
        (format!("SELECT p.id, q.id AS q FROM points p JOIN points q ON {NEAREST} AND q.id >= 20 WHERE p.id = 3"), "id,q\n3,20\n"),
        (format!("SELECT p.id, q.id AS q FROM points p JOIN points q ON {NEAREST} WHERE q.id IN (SELECT id FROM points WHERE id >= 20) AND p.id = 3"), "id,q\n3,20\n"),
        // What WHERE asks of a third table, or of both, comes after.
        (format!("SELECT p.id, q.id AS q FROM points p JOIN points q ON {NEAREST} JOIN points r ON r.id = q.id WHERE r.id = 20"), "id,q\n20,20\n"),
        (format!("SELECT p.id, q.id AS q FROM points p JOIN points q ON {NEAREST} WHERE q.id > p.id"), "id,q\n"),
        (format!("SELECT p.id, q.id AS q, r.id AS r FROM points p JOIN points q ON {NEAREST} \
                  JOIN points r ON st_knn(st_point(q.lon, q.lat), st_point(r.lon, r.lat), 1) WHERE q.id >= 20 AND r.id <= 10 AND p.id = 3"), "id,q,r\n3,20,10\n"),
        // Inside a common table expression too, and a filter from outside after it.
        (format!("WITH n AS (SELECT p.id AS p, q.id AS q FROM points p JOIN points q ON {NEAREST} WHERE q.id >= 20) SELECT * FROM n WHERE q = 21"), "p,q\n21,21\n"),
        (format!("WITH some AS (SELECT * FROM points WHERE id >= 20) SELECT p.id, q.id AS q FROM points p JOIN some q ON {NEAREST} WHERE p.id = 3"), "id,q\n3,20\n"),
        ("SELECT p.id FROM points p WHERE EXISTS (SELECT 1 FROM points q WHERE q.id = 20 AND st_knn(st_point(p.lon, p.lat), st_point(q.lon, q.lat), 1)) AND p.id < 2 ORDER BY p.id".to_owned(), "id\n0\n1\n"),
    ] {
        assert_eq!(ask(&engine, &tables, &sql).await.as_deref(), Ok(expected), "{sql}");
    }
}

#[tokio::test]
async fn a_ranked_join_reads_only_what_is_asked_for() {
    let (engine, tables) = (engine(), few());
    let sql = format!(
        "WITH n AS (SELECT p.id AS p, q.id AS q FROM points p JOIN points q ON {NEAREST} WHERE p.id = 3) SELECT count(*) AS n FROM n"
    );
    assert_eq!(ask(&engine, &tables, &sql).await.as_deref(), Ok("n\n1\n"));
    let shown = plan(&engine, &tables, &sql).await;
    assert!(
        shown.contains("SpatialJoinExec: index=rtree") && shown.contains("Ranked"),
        "{shown}"
    );
    // What is asked of the other side alone is asked before.
    let spatial = shown.rfind("SpatialJoinExec").unwrap_or_default();
    assert!(
        shown
            .rfind("FilterExec: id@0 = 3")
            .is_some_and(|filter| filter > spatial),
        "{shown}"
    );
}
