//! A key that is revoked ends what runs: a query, a stream, a kept connection.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{Guarded, id_of};

/// What the contract promises.
const WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_revoked_key_ends_streams_queries_and_kept_connections() {
    let guarded = Guarded::start();
    let key = guarded.key(json!({"role": "analyst"})).await;
    let mut stream = guarded.send(Method::GET, "/v1/stream", Some(&key), None).await;
    assert_eq!(stream.status(), 200);
    // Seconds of work, were it let to its end.
    let slow = "SELECT sum(a.value * b.value) FROM range(3000000) a CROSS JOIN range(3000000) b";
    let url = format!("{}/v1/sql", guarded.server.url);
    let request = guarded.server.client.post(url).bearer_auth(&key);
    let query = tokio::spawn(
        request
            .json(&json!({"sql": slow, "query_id": "slow", "timeout_ms": 120_000}))
            .send(),
    );
    crate::server::eventually("the query runs", async || {
        let running = "SELECT count(*) FROM queries WHERE query_id = 'slow' AND state = 'running'";
        (guarded.rows(running).await == json!([[1]])).then_some(())
    })
    .await;
    assert!(!query.is_finished());
    let path = format!("/v1/keys/{}", id_of(&key));
    let revoked = guarded
        .ask(Method::DELETE, &path, Some(&guarded.admin), None)
        .await;
    assert_eq!(revoked.status, 204, "{}", revoked.body);
    let began = Instant::now();
    let broken = tokio::time::timeout(WITHIN, async {
        while let Ok(piece) = stream.chunk().await {
            assert!(piece.is_some(), "the stream ends as if it were whole");
        }
    });
    broken.await.expect("the stream ends");
    let answer = tokio::time::timeout(WITHIN, query).await.expect("the query ends");
    assert_eq!(answer.unwrap().unwrap().status(), 401);
    assert_eq!(guarded.get("/v1/layers", Some(&key)).await.status, 401);
    assert!(began.elapsed() < WITHIN);
    assert_eq!(guarded.audited("keys.revoke").await[0]["object"], id_of(&key));
}

#[tokio::test]
async fn a_key_that_expires_ends_its_stream() {
    let guarded = Guarded::start();
    let key = guarded.key(json!({"role": "analyst", "expires": "2s"})).await;
    let mut stream = guarded.send(Method::GET, "/v1/stream", Some(&key), None).await;
    assert_eq!(stream.status(), 200);
    let broken = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(2 * WITHIN, broken)
        .await
        .expect("the stream ends");
}

#[tokio::test]
async fn the_first_key_ends_what_was_let_in_without_one() {
    let server = crate::server::Server::start();
    let mut stream = server
        .client
        .get(format!("{}/v1/stream", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    let made = server
        .post_json("/v1/keys", &json!({"name": "first", "role": "admin"}))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let broken = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(WITHIN, broken)
        .await
        .expect("the stream ends");
}

#[tokio::test]
async fn an_identity_holds_so_many_streams_and_no_more() {
    let guarded = Guarded::start();
    let key = guarded.key(json!({"role": "analyst"})).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let stream = guarded.send(Method::GET, "/v1/stream", Some(&key), None).await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    let refused = guarded.get("/v1/stream", Some(&key)).await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (429, &json!("urn:riskgrid:problem:too-many-requests"))
    );
    streams.clear();
    crate::server::eventually("there is room again", async || {
        let stream = guarded.send(Method::GET, "/v1/stream", Some(&key), None).await;
        (stream.status() == 200).then_some(())
    })
    .await;
}
