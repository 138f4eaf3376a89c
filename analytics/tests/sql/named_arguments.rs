//! Table functions called by the names of their arguments.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use futures::StreamExt as _;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{NamedTableFunction, SqlEngine, SqlError, SqlRequest};
use serde_json::{Value, json};

use crate::tables::{engine, request, tables};

/// Gives back its arguments, one row each.
#[derive(Debug)]
struct Echo;

impl TableFunctionImpl for Echo {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let texts: Vec<String> = args.exprs().iter().map(ToString::to_string).collect();
        let batch =
            RecordBatch::try_from_iter([("argument", Arc::new(StringArray::from(texts)) as ArrayRef)])?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }
}

async fn ask(engine: &SqlEngine, sql: &str, params: Vec<Value>) -> Result<Vec<String>, SqlError> {
    let functions: Arc<[NamedTableFunction]> = Arc::from([NamedTableFunction {
        name: "echo",
        arguments: &["layer", "resolution", "window", "at"],
        function: Arc::new(Echo),
    }]);
    let answer = engine
        .query(
            SqlRequest {
                params,
                ..request(sql)
            },
            tables(),
            functions,
        )
        .await?;
    let mut body = encode(answer, AnswerFormat::Csv).await?.body;
    let mut text = String::new();
    while let Some(piece) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&piece?));
    }
    Ok(text
        .lines()
        .skip(1)
        .map(|line| line.trim_matches('"').replace("\"\"", "\""))
        .collect())
}

#[tokio::test]
async fn arguments_come_by_name_by_position_and_by_default() {
    let engine = engine();
    let expected = ["Utf8(\"noise\")", "Int64(8)", "NULL", "NULL"];
    for sql in [
        "SELECT * FROM echo(layer => 'noise', resolution => 8)",
        "SELECT * FROM echo(resolution => 8, layer => 'noise')",
        "SELECT * FROM echo('noise', resolution => 4 + 4)",
        "SELECT * FROM echo('noise', 8)",
        "SELECT * FROM Echo(LAYER => 'noise', Resolution => 8)",
        "SELECT echo.argument FROM echo('noise', 8)",
        "SELECT e.argument FROM echo('noise', 8) AS e",
        "WITH a AS (SELECT * FROM echo('noise', 8)) SELECT * FROM a",
        "SELECT b.argument FROM range(1) a CROSS JOIN LATERAL echo('noise', 8) b",
    ] {
        let rows = ask(&engine, sql, vec![])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows, expected, "{sql}");
    }
}

#[tokio::test]
async fn parameters_intervals_and_times_are_arguments() {
    let engine = engine();
    let sql = "SELECT * FROM echo(layer => $1, resolution => $2, window => INTERVAL '24 hours', at => TIMESTAMP '2026-11-22T08:00:00Z')";
    let rows = ask(&engine, sql, vec![json!("noise"), json!(-8)])
        .await
        .expect("rows");
    assert_eq!(rows[..2], ["Utf8(\"noise\")", "Int64(-8)"]);
    assert!(rows[2].starts_with("IntervalMonthDayNano"), "{rows:?}");
    assert!(rows[3].starts_with("Timestamp"), "{rows:?}");
    let rows = ask(
        &engine,
        "SELECT * FROM echo(at => now() - INTERVAL '1 hour')",
        vec![],
    )
    .await
    .expect("rows");
    assert!(rows[3].starts_with("Timestamp"), "{rows:?}");
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_the_names_allowed() {
    let engine = engine();
    for (sql, words) in [
        (
            "SELECT * FROM echo(lajer => 'noise')",
            "no argument lajer; it has layer, resolution, window, at",
        ),
        (
            "SELECT * FROM echo(layer => 'a', layer => 'b')",
            "layer is given twice",
        ),
        ("SELECT * FROM echo('a', layer => 'b')", "layer is given twice"),
        (
            "SELECT * FROM echo(layer => 'a', 8)",
            "argument 2 comes after a named one",
        ),
        (
            "SELECT * FROM echo('a', 8, NULL, NULL, 5)",
            "5 arguments are given, it has 4",
        ),
        ("SELECT * FROM echo(layer => noise)", "a text is written 'noise'"),
        (
            "SELECT * FROM echo(layer => (SELECT 'noise'))",
            "depends on a row",
        ),
        (
            "SELECT * FROM cells, LATERAL echo(layer => concat(cells.layer, 'x'))",
            "cells.layer",
        ),
        ("SELECT * FROM echo(*)", "not an argument"),
    ] {
        match ask(&engine, sql, vec![]).await {
            Err(SqlError::BadRequest(text)) => assert!(text.contains(words), "{sql}: {text}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}
