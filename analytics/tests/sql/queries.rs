//! The table `queries`.

use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use futures::StreamExt as _;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{Asker, SqlEngine, SqlRequest};

use crate::tables::{ask, csv, engine, no_functions, request, start};

/// What the table says, asked with `query_id` "asker".
async fn queries(engine: &SqlEngine, columns: &str) -> String {
    let schema = MemorySchemaProvider::new();
    schema
        .register_table("queries".to_owned(), engine.queries_table(&Asker::system()))
        .expect("a new name");
    let sql = format!("SELECT {columns} FROM queries WHERE query_id <> 'asker' ORDER BY query_id");
    let asked = SqlRequest {
        query_id: Some("asker".to_owned()),
        ..request(&sql)
    };
    let answer = engine
        .query(asked, Arc::new(schema), no_functions())
        .await
        .expect("an answer");
    let mut body = encode(answer, AnswerFormat::Csv).await.expect("rows").body;
    let mut text = String::new();
    while let Some(piece) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&piece.expect("a piece")));
    }
    text
}

fn named(id: &str, sql: &str) -> SqlRequest {
    SqlRequest {
        query_id: Some(id.to_owned()),
        ..request(sql)
    }
}

#[tokio::test]
async fn what_runs_and_how_the_others_ended_is_shown() {
    let engine = engine();
    let ask = async |id: &str, sql: &str| ask(&engine, named(id, sql), AnswerFormat::Csv).await;
    assert!(ask("a", "SELECT * FROM cells").await.is_ok());
    assert!(ask("b", "SELECT nothing FROM cells").await.is_err());
    let running = start(&engine, named("c", "SELECT 1 AS one"))
        .await
        .expect("an answer");
    let cancelled = start(&engine, named("d", "SELECT 2 AS two"))
        .await
        .expect("an answer");
    assert!(engine.cancel("d", &Asker::system()));
    drop(cancelled);
    drop(start(&engine, named("e", "SELECT 3 AS three")).await);

    assert_eq!(
        queries(&engine, "query_id, sql, state, rows").await,
        "query_id,sql,state,rows\n\
         a,SELECT * FROM cells,finished,3\n\
         b,SELECT nothing FROM cells,failed,0\n\
         c,SELECT 1 AS one,running,0\n\
         d,SELECT 2 AS two,cancelled,0\n\
         e,SELECT 3 AS three,abandoned,0\n"
    );
    let failures = queries(&engine, "error").await;
    assert!(failures.contains("nothing"), "{failures}");
    drop(running);
}

#[tokio::test]
async fn a_thousand_queries_are_remembered_and_statements_are_cut() {
    let engine = engine();
    for number in 0..1_010 {
        let refused = format!("statement {number} {}", "x".repeat(2_000));
        csv(&engine, &refused).await.expect_err("no statement");
    }
    let counted = queries(
        &engine,
        "count(*) OVER () AS n, max(length(sql)) OVER () AS longest",
    )
    .await;
    assert_eq!(counted.lines().nth(1), Some("1000,1000"));
}
