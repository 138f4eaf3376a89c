//! What a key takes less than its role, what is noted of questions, and clients that leave.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, id_of};
use crate::server::eventually;

async fn sql(guarded: &Guarded, key: &str, body: Value) -> reqwest::Response {
    guarded.send(Method::POST, "/v1/sql", Some(key), Some(body)).await
}

#[tokio::test]
async fn a_key_takes_less_than_its_role_wherever_it_is_used() {
    let guarded = Guarded::start();
    let limits = json!({"rows": 3, "timeout": "2s", "streams": 1, "sql_per_second": 1_000});
    let key = guarded.key(json!({"role": "analyst", "limits": limits})).await;
    let listed = guarded.get("/v1/keys", Some(&guarded.admin)).await;
    let row = listed.body["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == id_of(&key))
        .unwrap();
    assert_eq!(row["limits"], limits);
    let answer = sql(&guarded, &key, json!({"sql": "SELECT value FROM range(100)"})).await;
    assert_eq!(answer.headers()["riskgrid-limit"], "3");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (body["rows"].as_array().unwrap().len(), &body["truncated"]),
        (3, &json!(true))
    );
    let slow = json!({"sql": "SELECT count(*) FROM range(10000000000)", "timeout_ms": 600_000});
    let late: Value = {
        let answer = sql(&guarded, &key, slow).await;
        assert_eq!(answer.status(), 504);
        answer.json().await.unwrap()
    };
    assert!(late["detail"].as_str().unwrap().contains("2000 ms"), "{late}");
    let first = guarded.send(Method::GET, "/v1/stream", Some(&key), None).await;
    assert_eq!(first.status(), 200);
    assert_eq!(guarded.get("/v1/stream", Some(&key)).await.status, 429);
    // A browser that signs in with it, and the key that replaces it, take no more.
    let client = &guarded.server.client;
    let signed_in = client
        .post(format!("{}/auth/key", guarded.server.url))
        .json(&json!({"key": key}));
    let signed_in = signed_in.send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let asked = client
        .post(format!("{}/v1/sql", guarded.server.url))
        .header("cookie", cookie.split(';').next().unwrap())
        .header("sec-fetch-site", "same-origin")
        .json(&json!({"sql": "SELECT value FROM range(100)"}));
    assert_eq!(asked.send().await.unwrap().headers()["riskgrid-limit"], "3");
    let next = guarded.key(json!({"replaces": id_of(&key)})).await;
    let answer = sql(&guarded, &next, json!({"sql": "SELECT value FROM range(100)"})).await;
    assert_eq!(answer.headers()["riskgrid-limit"], "3");
    // What is more than the role's means nothing.
    let wide = guarded
        .key(json!({"role": "public", "limits": {"rows": 1_000_000}}))
        .await;
    assert_eq!(
        sql(&guarded, &wide, json!({"sql": "SELECT 1"})).await.status(),
        403
    );
    let wrong = guarded
        .create(json!({"role": "analyst", "limits": {"rows": 0}}))
        .await;
    assert_eq!(wrong.status, 422, "{}", wrong.body);
}

#[tokio::test]
async fn questions_are_in_the_audit_where_that_is_wanted() {
    let guarded = Guarded::start_with("[audit]\nqueries = true");
    let key = guarded.key(json!({"role": "analyst"})).await;
    let good = json!({"sql": "SELECT 41 + 1", "query_id": "mine"});
    assert_eq!(sql(&guarded, &key, good).await.status(), 200);
    assert_eq!(
        sql(&guarded, &key, json!({"sql": "SELECT nothing"}))
            .await
            .status(),
        400
    );
    let rows = guarded.audited("sql.query").await;
    let who = format!("key:{}", id_of(&key));
    let mine: Vec<&Value> = rows.iter().filter(|row| row["who"] == json!(who)).collect();
    assert_eq!(mine.len(), 2, "{rows:?}");
    assert_eq!(
        (&mine[1]["object"], &mine[1]["detail"]["sql"]),
        (&json!("mine"), &json!("SELECT 41 + 1"))
    );
    assert_eq!(guarded.audited("sql.query.failed").await.len(), 1);
    let quiet = Guarded::start();
    quiet.rows("SELECT 1").await;
    assert_eq!(quiet.audited("sql.query").await, [] as [Value; 0]);
}

/// The number that a name has on the page of metrics.
async fn metric(guarded: &Guarded, name: &str) -> f64 {
    let page = guarded
        .send(Method::GET, "/metrics", Some(&guarded.admin), None)
        .await;
    let page = page.text().await.unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_and_its_query_is_abandoned() {
    let guarded = Guarded::start();
    assert!(metric(&guarded, "riskgrid_http_left_total").await < 0.5);
    let endless = json!({"sql": "SELECT count(*) FROM range(3000000) a CROSS JOIN range(3000000) b WHERE a.value * b.value = 7",
        "query_id": "left", "timeout_ms": 300_000});
    let url = format!("{}/v1/sql", guarded.server.url);
    // A connection of its own, which goes with its client.
    let client = crate::server::client();
    let asked = client.post(url).bearer_auth(&guarded.admin).json(&endless).send();
    let running = tokio::spawn(asked);
    eventually("it runs", async || {
        let running = "SELECT count(*) FROM queries WHERE query_id = 'left' AND state = 'running'";
        (guarded.rows(running).await == json!([[1]])).then_some(())
    })
    .await;
    running.abort();
    drop(client);
    eventually("it is abandoned", async || {
        let state = guarded
            .rows("SELECT state FROM queries WHERE query_id = 'left'")
            .await;
        (state == json!([["abandoned"]])).then_some(())
    })
    .await;
    assert!(metric(&guarded, "riskgrid_http_left_total").await > 0.5);
    // One that leaves in the middle of an answer, likewise.
    let long = json!({"sql": "SELECT value, repeat('x', 1000) FROM range(100000000)"});
    let client = crate::server::client();
    let url = format!("{}/v1/sql", guarded.server.url);
    let request = client.post(url).bearer_auth(&guarded.admin).json(&long);
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.unwrap().is_some());
    drop((answer, client));
    eventually("that is counted, too", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (metric(&guarded, "riskgrid_http_left_total").await > 1.5).then_some(())
    })
    .await;
}
