//! What the engine answers: cells, comparison with texts, parameters, limits, comments.

use riskgrid_analytics::sql::{SqlRequest, is_cell};
use serde_json::json;

use crate::tables::{CELL, csv, engine, json, request, start};

#[tokio::test]
async fn a_cell_stays_a_cell_on_its_way_to_the_answer() {
    let engine = engine();
    for sql in [
        "SELECT cell FROM cells",
        "SELECT cell AS c FROM cells",
        "SELECT cell, count(*) FROM cells GROUP BY cell",
        "SELECT DISTINCT cell FROM cells",
        "SELECT min(cell) FROM cells",
        "SELECT max(cell) AS m FROM cells GROUP BY layer",
        "SELECT max(cell) OVER (PARTITION BY layer) FROM cells",
        "SELECT lag(cell) OVER (ORDER BY count) FROM cells",
        "SELECT first_value(cell ORDER BY count) FROM cells",
        "SELECT a.cell FROM cells a JOIN cells b ON a.cell = b.cell",
        "SELECT cell FROM cells UNION SELECT cell FROM cells",
        "SELECT (SELECT max(cell) FROM cells)",
        "SELECT h3_parent(cell, 5) FROM cells",
        "SELECT unnest(h3_disk(cell, 1)) FROM cells",
        "SELECT u.c FROM (SELECT unnest(h3_children(cell, 10)) AS c FROM cells) AS u WHERE u.c IS NOT NULL",
        "SELECT c, count(*) FROM (SELECT layer, unnest(h3_disk(cell, 1)) AS c FROM cells) GROUP BY c",
        "SELECT h3_cell(1.0, 2.0, 5)",
        "SELECT h3_from_string('89411ca1b67ffff')",
        "WITH a AS (SELECT cell FROM cells) SELECT * FROM a ORDER BY cell LIMIT 1",
    ] {
        let answer = start(&engine, request(sql))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(
            is_cell(answer.schema.field(0)),
            "{sql}: {:?}",
            answer.schema.field(0)
        );
    }
}

#[tokio::test]
async fn an_h3_text_compares_with_a_cell() {
    let engine = engine();
    for (condition, rows) in [
        (format!("cell = '{CELL}'"), 2),
        (format!("'{CELL}' = cell"), 2),
        (format!("cell <> '{CELL}'"), 1),
        (format!("cell IN ('{CELL}', '89411ca1b6fffff')"), 3),
        (format!("cell NOT IN ('{CELL}')"), 1),
        (format!("cell BETWEEN '{CELL}' AND '{CELL}'"), 2),
        (format!("CASE cell WHEN '{CELL}' THEN true ELSE false END"), 2),
        (format!("cell IS NOT DISTINCT FROM '{CELL}'"), 2),
        (format!("h3_parent(cell, 9) = '{CELL}'"), 2),
        (format!("cell = concat('{}', '{}')", &CELL[..5], &CELL[5..]), 2),
        (
            format!("cell = (SELECT max(text) FROM points WHERE text = '{CELL}')"),
            2,
        ),
        ("cell = NULL".to_owned(), 0),
        (format!("layer = 'noise' AND cell = '{CELL}'"), 1),
    ] {
        let sql = format!("SELECT count(*) AS n FROM cells WHERE {condition}");
        assert_eq!(
            csv(&engine, &sql).await,
            Ok(format!("n\n{rows}\n")),
            "{condition}"
        );
    }
    let having = format!("SELECT cell FROM cells GROUP BY cell HAVING min(cell) = '{CELL}'");
    assert_eq!(csv(&engine, &having).await, Ok(format!("cell\n{CELL}\n")));
    let joined = "SELECT count(*) AS n FROM cells JOIN points ON cells.cell = points.text";
    assert_eq!(csv(&engine, joined).await.as_deref(), Ok("n\n2\n"));
}

#[tokio::test]
async fn parameters_stand_where_literals_may() {
    let engine = engine();
    let asked = SqlRequest {
        params: vec![json!(CELL), json!(2), json!("noise"), json!(-1)],
        ..request("SELECT count + $4 AS n FROM cells WHERE cell = $1 AND layer = $3 LIMIT $2")
    };
    assert_eq!(json(&engine, asked).await["rows"], json!([[2]]));
}

#[tokio::test]
async fn a_limit_cuts_and_says_so() {
    let engine = engine();
    for (sql, limit, rows, truncated) in [
        ("SELECT value FROM range(5)", 3, 3, true),
        ("SELECT value FROM range(3)", 3, 3, false),
        (
            "SELECT value FROM range(100000) ORDER BY value DESC",
            20_000,
            20_000,
            true,
        ),
        ("SELECT value FROM range(5)", 0, 0, true),
        ("SELECT value FROM range(0)", 0, 0, false),
        ("SHOW TABLES", 1, 1, true),
    ] {
        let answer = json(
            &engine,
            SqlRequest {
                limit: Some(limit),
                ..request(sql)
            },
        )
        .await;
        assert_eq!(answer["rows"].as_array().map(Vec::len), Some(rows), "{sql}");
        assert_eq!(answer["truncated"], json!(truncated), "{sql} {limit}");
    }
}

#[tokio::test]
async fn now_is_that_of_the_request() {
    let engine = engine();
    assert_eq!(
        csv(&engine, "SELECT now() AS t").await.as_deref(),
        Ok("t\n2026-11-24T06:00:00Z\n")
    );
}

#[tokio::test]
async fn the_information_schema_tells_tables_columns_and_comments() {
    let engine = engine();
    assert_eq!(
        csv(
            &engine,
            "SELECT column_name, comment FROM information_schema.columns WHERE table_name = 'cells' LIMIT 3"
        )
        .await
        .as_deref(),
        Ok("column_name,comment\nlayer,the layer's id\ncell,the H3 cell\nbucket,\n")
    );
    let tables = csv(&engine, "SHOW TABLES").await.expect("tables");
    assert!(tables.contains("riskgrid,public,cells,BASE TABLE"), "{tables}");
    assert!(
        csv(&engine, "DESCRIBE cells")
            .await
            .expect("columns")
            .contains("bucket")
    );
    assert!(
        csv(&engine, "SHOW COLUMNS FROM cells")
            .await
            .expect("columns")
            .contains("bucket")
    );
    let functions = csv(
        &engine,
        "SELECT DISTINCT routine_name FROM information_schema.routines",
    )
    .await;
    assert!(
        functions.as_ref().is_ok_and(|names| names.contains("repeat")),
        "{functions:?}"
    );
}

#[tokio::test]
async fn explain_shows_plans_and_runs_nothing_else() {
    let engine = engine();
    let plan = csv(
        &engine,
        &format!("EXPLAIN SELECT * FROM cells WHERE cell = '{CELL}'"),
    )
    .await
    .expect("a plan");
    assert!(
        plan.contains("UInt64(618"),
        "the text has become a number: {plan}"
    );
    assert!(
        csv(&engine, "EXPLAIN ANALYZE SELECT count(*) FROM cells")
            .await
            .expect("a plan")
            .contains("output_rows")
    );
}

#[tokio::test]
async fn nested_queries_of_the_same_text_each_count() {
    let engine = engine();
    for depth in 1..=6_u32 {
        for between in ["", "WHERE x > 0", "ORDER BY x LIMIT 5"] {
            let mut sql = "SELECT 1 AS x".to_owned();
            for _ in 0..depth {
                sql = format!("SELECT x + x AS x FROM ({sql}) {between}");
            }
            assert_eq!(
                csv(&engine, &sql).await,
                Ok(format!("x\n{}\n", 2_u32.pow(depth))),
                "{depth} {between}"
            );
        }
    }
    let swapped = "SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT 1 AS a, 2 AS b)))";
    assert_eq!(csv(&engine, swapped).await.as_deref(), Ok("a,b\n2,1\n"));
    let named = "SELECT t.x + 1 AS x FROM (SELECT t.x + 1 AS x FROM (SELECT t.x + 1 AS x FROM (SELECT 1 AS x) t) t) t";
    assert_eq!(csv(&engine, named).await.as_deref(), Ok("x\n4\n"));
}
