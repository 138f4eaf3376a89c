//! `POST /v1/events` and what it refuses.

use serde_json::json;

use crate::server::{Answer, Server, reading};

const BATCH: &str = "application/cloudevents-batch+json";
const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn what_is_refused_is_named_with_its_reason_and_kept_as_a_dead_letter() {
    let mut server = Server::start();
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(10 << 20));
    let body = format!(
        "{}\n\u{1}garbage\n{large}\n{}\n",
        reading("1", "river-1", 1.0, 60),
        reading("2", "river-1", 2.0, -3600)
    );
    let answer = server.post(NDJSON, body).await;
    assert_eq!(
        (answer.status, &answer.body["accepted"]),
        (202, &json!(1)),
        "{}",
        answer.body
    );
    let refused: Vec<_> = answer.body["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| json!([refused["index"], refused["reason"]]))
        .collect();
    assert_eq!(
        refused,
        [
            json!([1, "malformed"]),
            json!([2, "too_large"]),
            json!([3, "in_future"])
        ]
    );
    let all_bad = server.post(NDJSON, "nothing\nof\nthis\n").await;
    assert_eq!((all_bad.status, &all_bad.body["accepted"]), (400, &json!(0)));
    assert_eq!(all_bad.body["refused"].as_array().unwrap().len(), 3);

    let letters = "SELECT topic, reason, count(*) FROM dead_letters GROUP BY topic, reason ORDER BY reason";
    let expected = json!([
        ["http", "in_future", 1],
        ["http", "malformed", 4],
        ["http", "too_large", 1]
    ]);
    server.rows_become(letters, &expected).await;
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;
    server.kill();
    server.restart();
    server.rows_become(letters, &expected).await;
}

#[tokio::test]
async fn bodies_that_hold_nothing_or_are_no_events() {
    let server = Server::start();
    let empty = server.post(BATCH, "[]").await;
    assert_eq!(
        (empty.status, empty.body),
        (202, json!({"accepted": 0, "refused": []}))
    );
    assert_eq!(server.post(NDJSON, "\n\n").await.status, 202);
    let wrong = server.post("text/csv", "a,b").await;
    assert_eq!(
        (wrong.status, wrong.media_type.as_str()),
        (415, "application/problem+json")
    );
    let broken = server.post(BATCH, "[{").await;
    assert_eq!(
        (broken.status, &broken.body["refused"][0]["reason"]),
        (400, &json!("malformed"))
    );
    let huge = server.post(NDJSON, " ".repeat((64 << 20) + 1)).await;
    assert_eq!(
        (huge.status, huge.media_type.as_str()),
        (413, "application/problem+json")
    );
}

#[tokio::test]
async fn the_same_event_in_every_form_counts_once() {
    let server = Server::start();
    let event = reading("7", "river-7", 3.42, 60);
    let structured = event.to_string();
    for (media_type, body) in [
        ("application/cloudevents+json", structured.clone()),
        ("application/json", structured.clone()),
        (BATCH, format!("[{structured},{structured}]")),
        (NDJSON, format!("{structured}\n")),
    ] {
        let answer = server.post(media_type, body).await;
        assert_eq!(answer.status, 202, "{media_type}: {}", answer.body);
    }
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    let mut binary = server.client.post(format!("{}/v1/events", server.url));
    for field in ["specversion", "id", "source", "type", "time"] {
        binary = binary.header(format!("ce-{field}"), text(field));
    }
    let answer = Answer::of(binary.json(&event["data"]).send().await.unwrap()).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(1)));
    let other = server
        .post("application/json", reading("8", "river-7", 1.0, 60).to_string())
        .await;
    assert_eq!(other.status, 202);
    server
        .rows_become("SELECT sum(count), sum(sum) FROM cells", &json!([[2, 4.42]]))
        .await;
}

#[tokio::test]
async fn only_this_machines_names_are_served() {
    let server = Server::start();
    let ask = |host: &'static str, origin: &'static str| {
        let request = server.client.get(format!("{}/v1/layers", server.url));
        request.header("host", host).header("origin", origin)
    };
    let evil = Answer::of(ask("evil.example", "http://evil.example").send().await.unwrap()).await;
    assert_eq!(
        (evil.status, evil.media_type.as_str()),
        (403, "application/problem+json")
    );
    let page = Answer::of(ask("localhost", "https://evil.example").send().await.unwrap()).await;
    assert_eq!(page.status, 403);
    let own = Answer::of(ask("localhost", "http://localhost").send().await.unwrap()).await;
    assert_eq!(own.status, 200);
}
