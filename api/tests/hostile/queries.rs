//! Questions in SQL that would take the memory, the stack or the threads of the process.

use serde_json::json;

use crate::server::{Answer, Server, eventually, reading};

/// Little, so that what goes past the pool shows.
const LITTLE: &str = "[sql]\nmemory = \"256MiB\"\nquery_memory = \"128MiB\"\nmemory_margin = \"512MiB\"\n";
/// Bytes that the process may have had at most.
const PROCESS: u64 = 3 << 30;

async fn asked(server: &Server, sql: &str) -> Answer {
    let body = json!({ "sql": sql, "timeout_ms": 20_000 });
    server.post_json("/v1/sql", &body).await
}

/// The most bytes that the process has had.
fn most_bytes(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.process_id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kibibytes << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn short_questions_that_would_end_the_process_are_refused() {
    let mut server = Server::not_started();
    server.configure(LITTLE);
    server.restart();
    let nested = |times: usize| format!("{}Int64{}", "List(".repeat(times), ")".repeat(times));
    for sql in [
        "SELECT approx_percentile_cont(count, 0.5, 10000000000000) FROM cells".to_owned(),
        "SELECT approx_percentile_cont_with_weight(count, count, 0.5, 10000000000000) FROM cells".to_owned(),
        "SELECT approx_percentile_cont(0.5, 20000000000000) WITHIN GROUP (ORDER BY value) FROM range(9)".to_owned(),
        format!("SELECT arrow_cast(NULL, '{}')", nested(2_000)),
        format!("SELECT CAST(NULL AS {}INT{})", "ARRAY<".repeat(30_000), ">".repeat(30_000)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(30_000)),
        "SELECT arrow_cast(NULL, 'FixedSizeList(2000000000 x Int64)')".to_owned(),
        "SELECT CAST(NULL AS INT[2000000000])".to_owned(),
        "SELECT strpos(repeat('a', 8000000), concat(repeat('a', 4000000), 'b'))".to_owned(),
        "SELECT btrim(repeat('a', 8000000), repeat('b', 8000000))".to_owned(),
        "SELECT array_has_all(range(0, 500000), range(1, 500000))".to_owned(),
        "SELECT regexp_like(repeat('a', 1000000), 'a[0-9a-f]{3000}z')".to_owned(),
        "SELECT repeat('a', 1000000) ~ 'a[0-9a-f]{3000}z'".to_owned(),
        "SELECT * FROM hotspots(layer => 'noise', permutations => 4294967295)".to_owned(),
        "SELECT * FROM local_moran(layer => 'noise', permutations => 4294967295)".to_owned(),
        "SELECT * FROM trends(layer => 'noise', window => INTERVAL '100000 years', step => INTERVAL '1 minute')".to_owned(),
        "SELECT * FROM trends(layer => 'noise', window => INTERVAL '100000 years', step => INTERVAL '1 day')".to_owned(),
        "SELECT * FROM bursts(layer => 'noise', window => INTERVAL '100000 years')".to_owned(),
        "SELECT * FROM bursts(layer => 'noise', baseline => INTERVAL '100000000 days', gap => INTERVAL '99999999 days')".to_owned(),
        "SELECT string_agg(CAST(value AS TEXT), repeat('x', 1000000)) FROM range(100000)".to_owned(),
        "SELECT max(length(s)) FROM (SELECT string_agg(repeat('x', 1000000 + value), '') AS s FROM range(20)) CROSS JOIN range(1000000)".to_owned(),
    ] {
        let shown: String = sql.chars().take(100).collect();
        let answer = asked(&server, &sql).await;
        assert!((400..500).contains(&answer.status), "{shown}: {} {}", answer.status, answer.body);
        assert_eq!(server.rows("SELECT 1").await, [json!([1])], "{shown}");
    }
    let bytes = most_bytes(&server);
    assert!(bytes < PROCESS, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_named_often_is_read_once() {
    const ALERTS: usize = 400;
    const SCANS: usize = 150;
    let mut server = Server::not_started();
    // Room for these alerts some times over, not for each scan's own.
    server.configure("[sql]\nquery_memory = \"8MiB\"\n");
    server.restart();
    let rule = json!({"name": "high", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "severity": "minor"});
    assert_eq!(server.post_json("/v1/rules", &rule).await.status, 201);
    let high: String = (0..ALERTS)
        .map(|number| reading(&format!("h{number}"), &format!("gauge {number}"), 4.0, 5).to_string() + "\n")
        .collect();
    assert_eq!(server.post("application/x-ndjson", high).await.status, 202);
    server
        .rows_become("SELECT count(*) FROM alerts", &json!([[ALERTS]]))
        .await;
    let scans = vec!["SELECT * FROM alerts"; SCANS].join(" UNION ALL ");
    let answer = asked(
        &server,
        &format!("SELECT count(*), count(DISTINCT sensor) FROM ({scans})"),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["rows"], json!([[SCANS * ALERTS, ALERTS]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_query_ends_when_the_process_grows_past_its_fence() {
    let mut server = Server::not_started();
    server.configure("[sql]\nmemory = \"16MiB\"\nquery_memory = \"16MiB\"\nmemory_margin = \"8MiB\"\n");
    server.restart();
    // Each answer is too small to be counted, all of a batch together are not.
    let columns: Vec<String> = (0..200)
        .map(|number| format!("repeat('x', 100 + (value + {number}) % 9) AS a{number}"))
        .collect();
    let sum: Vec<String> = (0..200).map(|number| format!("length(a{number})")).collect();
    let sql = format!(
        "SELECT max({}) FROM (SELECT {} FROM range(100000000000))",
        sum.join(" + "),
        columns.join(", ")
    );
    let answer = asked(&server, &sql).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(
        answer.body.to_string().contains("of the process"),
        "{}",
        answer.body
    );
    let counted = eventually("the count", async || {
        let page = server
            .client
            .get(format!("{}/metrics", server.url))
            .send()
            .await
            .ok()?;
        let page = page.text().await.ok()?;
        let count = page
            .lines()
            .find_map(|line| line.strip_prefix("riskgrid_sql_ended_for_memory_total "))?;
        count.parse::<f64>().ok().filter(|count| *count > 0.0)
    })
    .await;
    assert!(counted >= 1.0, "{counted}");
    assert_eq!(server.rows("SELECT 1").await, [json!([1])]);
}
