//! Keys that bring events: those of their sources, and no more than they may.

use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;
use crate::server::{Answer, reading};

const NDJSON: &str = "application/x-ndjson";

async fn post(guarded: &Guarded, key: &str, media_type: &str, body: String) -> Answer {
    let request = guarded
        .server
        .client
        .post(format!("{}/v1/events", guarded.server.url));
    let request = request
        .bearer_auth(key)
        .header("content-type", media_type)
        .body(body);
    Answer::of(request.send().await.unwrap()).await
}

fn of_source(id: &str, source: &str) -> Value {
    let mut event = reading(id, "river", 1.5, 30);
    event["source"] = json!(source);
    event
}

#[tokio::test]
async fn one_event_of_a_foreign_source_and_nothing_of_its_request_is_kept() {
    let guarded = Guarded::start();
    let key = guarded
        .key(json!({"ingest": true, "sources": ["//sensors/", "//reports/north/"]}))
        .await;
    let inside = post(&guarded, &key, NDJSON, of_source("a", "//sensors/1").to_string()).await;
    assert_eq!(
        (inside.status, &inside.body["accepted"]),
        (202, &json!(1)),
        "{}",
        inside.body
    );
    let mut faulty = of_source("d", "//reports/south/1");
    faulty["data"]["lon"] = json!(999);
    for outside in [
        of_source("b", "//other/1").to_string(),
        of_source("c", "//sensor").to_string(),
        faulty.to_string(),
        "no event".to_owned(),
    ] {
        let body = format!(
            "{}\n\n{outside}\n{}",
            of_source("x", "//sensors/2"),
            of_source("y", "//sensors/3")
        );
        let refused = post(&guarded, &key, NDJSON, body).await;
        assert_eq!(
            (refused.status, &refused.body["type"], &refused.body["index"]),
            (403, &json!("urn:riskgrid:problem:forbidden-source"), &json!(1)),
            "{outside}: {}",
            refused.body
        );
    }
    let binary = guarded
        .server
        .client
        .post(format!("{}/v1/events", guarded.server.url))
        .bearer_auth(&key)
        .header("ce-specversion", "1.0")
        .header("ce-id", "z")
        .header("ce-source", "//other/1")
        .header("ce-type", "riskgrid.observation.v1")
        .json(&json!({}));
    assert_eq!(binary.send().await.unwrap().status(), 403);
    crate::server::eventually("what is inside is counted", async || {
        (guarded.rows("SELECT sum(count) FROM cells").await == json!([[1]])).then_some(())
    })
    .await;
    assert_eq!(
        guarded.rows("SELECT count(*) FROM dead_letters").await,
        json!([[0]])
    );
    // It reads nothing.
    for path in ["/v1/layers", "/v1/dead-letters", "/v1/keys"] {
        assert_eq!(guarded.get(path, Some(&key)).await.status, 403, "{path}");
    }
    let seen = guarded.get("/v1/whoami", Some(&key)).await.body;
    assert_eq!(
        (&seen["role"], &seen["ingest"], &seen["class"]),
        (&Value::Null, &json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn a_key_brings_no_more_than_its_quota() {
    let guarded = Guarded::start();
    for quota in [json!({"events_per_second": 1}), json!({"bytes_per_second": 200})] {
        let mut members = quota.clone();
        members["ingest"] = json!(true);
        let key = guarded.key(members).await;
        let events: Vec<String> = (0..60)
            .map(|id| of_source(&format!("{quota}{id}"), "//sensors/1").to_string())
            .collect();
        assert_eq!(post(&guarded, &key, NDJSON, events.join("\n")).await.status, 202);
        let refused = post(
            &guarded,
            &key,
            NDJSON,
            of_source("later", "//sensors/1").to_string(),
        )
        .await;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (429, &json!("urn:riskgrid:problem:quota")),
            "{quota}"
        );
        assert!(refused.retry_after.is_some_and(|seconds| seconds > 10), "{quota}");
        let other = guarded.ask(Method::GET, "/v1/whoami", Some(&key), None).await;
        assert_eq!(other.status, 200);
    }
}
