//! What the bytes of an answer say, and whose mistake an error is: as clients see them over HTTP.

use serde_json::{Value, json};

use crate::server::Server;

async fn asked(server: &Server, sql: &str, accept: &str) -> (u16, String) {
    let request = server
        .client
        .post(format!("{}/v1/sql", server.url))
        .header("accept", accept)
        .header("content-type", "application/json")
        .body(json!({"sql": sql}).to_string());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn mistakes_are_400_and_no_format_loses_a_value() {
    let server = Server::start();
    for (sql, words) in [
        ("SELECT * FROM layers WHERE layer ~ '('", "("),
        ("SELECT now() AT TIME ZONE 'Mars/Olympus'", "Mars/Olympus"),
        ("SELECT 'abc'::int", "abc"),
        ("SELECT 1 / 0", "zero"),
    ] {
        let (status, text) = asked(&server, sql, "application/json").await;
        assert_eq!(status, 400, "{sql}: {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(words) && !detail.contains("again"),
            "{sql}: {detail}"
        );
    }
    let twice = "SELECT x.a, y.a FROM (VALUES (1)) x(a), (VALUES (2)) y(a)";
    let (status, text) = asked(&server, twice, "application/x-ndjson").await;
    assert!(status == 400 && text.contains("'a'"), "{status} {text}");
    assert_eq!(
        asked(&server, twice, "text/csv").await,
        (200, "a,a\n1,2\n".to_owned())
    );
    let nothing = "SELECT sum(count) AS n FROM cells";
    assert_eq!(
        asked(&server, nothing, "text/csv").await,
        (200, "n\n\"\"\n".to_owned())
    );
    let page = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("riskgrid_sql_internal_errors_total 0"), "{page}");
}
