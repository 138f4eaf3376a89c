//! Headers that may be written in more than one way mean the same in all of them.

use serde_json::json;

use super::{address, status_of};
use crate::server::{Answer, Server, reading};

#[tokio::test]
async fn the_format_of_an_answer_is_the_most_liked_of_those_allowed() {
    let server = Server::start();
    for (accept, media_type) in [
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("*/*, application/json;Q=0", "application/x-ndjson"),
        ("application/*;q=0, */*", "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("", "application/json"),
    ] {
        let request = server.client.get(format!("{}/v1/sql?sql=SELECT+1", server.url));
        let answer = Answer::of(request.header("accept", accept).send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{accept}");
        assert!(
            answer.media_type.starts_with(media_type),
            "{accept}: {}",
            answer.media_type
        );
    }
    for accept in [
        "application/json;q=0",
        "*/*;q=0.0",
        "text/html",
        "*/*;q=0, text/html",
    ] {
        let request = server.client.get(format!("{}/v1/sql?sql=SELECT+1", server.url));
        let answer = Answer::of(request.header("accept", accept).send().await.unwrap()).await;
        assert_eq!(
            (answer.status, answer.media_type.as_str()),
            (406, "application/problem+json"),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again_however_it_says_so() {
    let server = Server::start();
    for path in ["/", "/console/console.css"] {
        let url = format!("{}{path}", server.url);
        let page = server.client.get(&url).send().await.unwrap();
        let etag = page.headers()["etag"].to_str().unwrap().to_owned();
        let strong = etag.trim_start_matches("W/").to_owned();
        for known in [
            etag.clone(),
            strong.clone(),
            "*".to_owned(),
            format!("\"a,b\", {strong}"),
        ] {
            let again = server
                .client
                .get(&url)
                .header("if-none-match", &known)
                .send()
                .await
                .unwrap();
            assert_eq!(again.status(), 304, "{path} {known}");
        }
        for other in ["\"a\"", "a", strong.trim_matches('"')] {
            let again = server
                .client
                .get(&url)
                .header("if-none-match", other)
                .send()
                .await
                .unwrap();
            assert_eq!(again.status(), 200, "{path} {other}");
        }
    }
}

#[tokio::test]
async fn a_head_runs_no_query_and_begins_no_stream() {
    let server = Server::start();
    let address = address(&server);
    for path in ["/v1/sql?sql=SELECT+1", "/v1/stream"] {
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        assert_eq!(status_of(&address, head).await, 405, "{path}");
    }
    let head = format!("HEAD /v1/layers HTTP/1.1\r\nhost: {address}\r\n\r\n");
    assert_eq!(status_of(&address, head).await, 200);
}

#[tokio::test]
async fn an_event_in_binary_mode_is_the_structured_one_however_its_headers_are_written() {
    let server = Server::start();
    let event = reading("abc \u{6c34}%", "river 7", 3.42, 60);
    let structured = server.post("application/json", event.to_string()).await;
    assert_eq!(structured.status, 202, "{}", structured.body);
    let send = async |id: &str, source: &str| {
        let request = server
            .client
            .post(format!("{}/v1/events", server.url))
            .header("ce-specversion", "\"1.0\"")
            .header("ce-id", id)
            .header("ce-source", source)
            .header("ce-type", event["type"].as_str().unwrap())
            .header("ce-time", event["time"].as_str().unwrap().replace(':', "%3a"));
        Answer::of(request.json(&event["data"]).send().await.unwrap()).await
    };
    for (id, source) in [
        ("abc%20%E6%B0%B4%25", "//test/river%207"),
        ("\"abc %e6%b0%b4%25\"", "\"//test/river 7\""),
        ("%61bc \"%E6%B0%B4\"%25", "//test/\"river\\ 7\""),
    ] {
        let answer = send(id, source).await;
        assert_eq!(
            (answer.status, &answer.body["accepted"]),
            (202, &json!(1)),
            "{id}: {}",
            answer.body
        );
    }
    for id in ["50%", "%4", "%zz", "%FF", "%C0%A0", "\"abc", "abc\\\""] {
        let answer = send(id, "//test/x").await;
        assert_eq!(
            (answer.status, &answer.body["refused"][0]["reason"]),
            (400, &json!("malformed")),
            "{id}: {}",
            answer.body
        );
    }
    let last = reading("last", "river-8", 1.0, 60).to_string();
    assert_eq!(server.post("application/json", last).await.status, 202);
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[2]]))
        .await;
    assert_eq!(
        server.rows("SELECT count(*) FROM dead_letters").await,
        [json!([0])]
    );
}
