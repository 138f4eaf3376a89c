//! Hostile SQL over HTTP: refused or ended with a clear error, while the server goes on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{Answer, Server, eventually, reading};

/// Hours of work, in one statement.
const ENDLESS: &str = "SELECT count(*) FROM (SELECT a.value + b.value * c.value AS v FROM generate_series(1, 1000000) a, \
     generate_series(1, 1000000) b, generate_series(1, 1000) c) WHERE v < 0";

async fn goes_on(server: &Server, id: &str) {
    let event = reading(id, "river-1", 1.0, 60).to_string();
    let taken = server.post("application/json", event).await;
    assert_eq!(taken.status, 202, "{}", taken.body);
    let query = format!("SELECT count(*) FROM events WHERE id = '{id}'");
    server.rows_become(&query, &json!([[1]])).await;
}

fn is_a_problem(answer: &Answer, statuses: &[u16], sql: &str) {
    assert!(
        statuses.contains(&answer.status),
        "{sql}: {} {}",
        answer.status,
        answer.body
    );
    assert_eq!(answer.media_type, "application/problem+json", "{sql}");
    assert!(
        answer.body["detail"].as_str().unwrap().len() > 10,
        "{sql}: {}",
        answer.body
    );
}

#[tokio::test]
async fn statements_that_change_or_read_files_are_refused() {
    let server = Server::start();
    for sql in [
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "DROP TABLE cells",
        "COPY (SELECT 1) TO '/tmp/riskgrid-must-not-be.csv'",
        "INSERT INTO cells VALUES (1)",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "SELEC 1",
        "",
    ] {
        let answer = server.post_json("/v1/sql", &json!({ "sql": sql })).await;
        is_a_problem(&answer, &[400], sql);
    }
    goes_on(&server, "after-refusals").await;
}

#[tokio::test]
async fn what_takes_too_long_or_too_much_is_ended() {
    let server = Server::start();
    let start = Instant::now();
    let answer = server
        .post_json("/v1/sql", &json!({"sql": ENDLESS, "timeout_ms": 1000}))
        .await;
    is_a_problem(&answer, &[504, 422, 400], ENDLESS);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    goes_on(&server, "after-endless").await;
    let sql = "SELECT length(repeat('x', 1000000000))";
    let answer = server
        .post_json("/v1/sql", &json!({"sql": sql, "timeout_ms": 5000}))
        .await;
    is_a_problem(&answer, &[422, 400, 504], sql);
    goes_on(&server, "after-repeat").await;
}

#[tokio::test]
async fn a_running_query_is_cancelled_by_its_id() {
    let server = Server::start();
    let running = {
        let (client, url) = (server.client.clone(), format!("{}/v1/sql", server.url));
        tokio::spawn(async move {
            let body = json!({"sql": ENDLESS, "query_id": "mine", "timeout_ms": 50_000});
            Answer::of(client.post(url).json(&body).send().await.unwrap()).await
        })
    };
    let start = eventually("the query runs and is cancelled", async || {
        let request = server.client.delete(format!("{}/v1/sql/mine", server.url));
        (request.send().await.unwrap().status() == 204).then(Instant::now)
    })
    .await;
    is_a_problem(&running.await.unwrap(), &[499], ENDLESS);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let gone = server.client.delete(format!("{}/v1/sql/mine", server.url));
    assert_eq!(gone.send().await.unwrap().status(), 404);
    goes_on(&server, "after-cancel").await;
}
