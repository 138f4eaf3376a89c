//! A hotline with many open cases (`RISKGRID_BENCH_EVENTS`, else a million), each with its first move, a running clock and half of
//! them an office: what one look at all clocks takes while none is due, lists by filters, moves a second with their chain, bytes on
//! disk a case, and a start until it serves.
//!
//! Beside the look at clocks, the same question put to SQLite alone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use riskgrid_api::database::Database;
use riskgrid_benches::server::{Server, client, eventually, succeeded};
use riskgrid_benches::{Outcome, print_latencies, print_rates, print_times, times_of};
use serde_json::{Value, json};

const LAYERS: &str = "[[layers]]\nid = \"light\"\nkind = \"report\"\ncases = \"own\"\n[[layers]]\nid = \"noise\"\nkind = \"report\"\ncases = \"own\"\n";
const RUNS: usize = 15;
const MOVES: usize = 1_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let cases: i64 = match std::env::var("RISKGRID_BENCH_EVENTS") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    let mut server = Server::new(LAYERS)?;
    server.start()?;
    server.stop()?;
    let folder = server.data_dir();
    let before = bytes_in(&folder)?;
    fill(&folder, cases).await?;
    // What a server left when it stopped is not what there is now, and it would refuse to start.
    std::fs::remove_file(folder.join("sealed.json"))?;
    let after = bytes_in(&folder)?;
    println!(
        "disk: {} bytes a case, its move and clock",
        after.saturating_sub(before) / u64::try_from(cases)?
    );
    sweep(&folder).await?;

    let start = Instant::now();
    server.start()?;
    let client = client()?;
    eventually("ready", async || {
        let answer = client.get(server.url("/readyz")).send().await?;
        Ok((answer.status() == StatusCode::OK).then_some(()))
    })
    .await?;
    println!(
        "restart: {:.2} s until it is ready",
        start.elapsed().as_secs_f64()
    );

    for query in [
        "?limit=100",
        "?state=new&limit=100",
        "?office=lighting&layer=light&limit=100",
        "?card=none&layer=noise&limit=100",
        "?due_before=2030-01-01T00:00:00Z&limit=100",
    ] {
        let times = times_of(RUNS, async || {
            let answer = client
                .get(server.url(&format!("/v1/cases{query}")))
                .send()
                .await?;
            let body: Value = succeeded(answer).await?.json().await?;
            let found = body["cases"].as_array().map_or(0, Vec::len);
            if found == 100 {
                Ok(())
            } else {
                Err(format!("{query}: {found} cases").into())
            }
        })
        .await?;
        print_latencies(&format!("list {query}"), times);
    }
    moves(&server, &client).await
}

/// Cases of one minute after the other, the clocks of which are due next year.
async fn fill(folder: &Path, cases: i64) -> Outcome<()> {
    let database = Database::open(folder).await?;
    let mut transaction = database.begin().await?;
    let of_all = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)";
    for statement in [
        "INSERT INTO cases SELECT printf('%026d', i), printf('20260101-%06d', i), 1, 'new', 'own', '//bench', 'r' || i,
            'complaint', CASE WHEN i % 2 = 0 THEN 'light' ELSE 'noise' END, 2, 'phone', 113.9 + (i % 1000) / 5000.0,
            22.5 + (i / 1000 % 1000) / 5000.0, NULL, NULL, 'exact', '[]', '{}',
            CASE WHEN i % 2 = 0 THEN 'lighting' END, NULL, NULL, '{}', '[]', 0, NULL, NULL, 1, NULL, NULL, NULL, 'yes',
            1767225600000000 + i * 60000000, 1767225600000000 + i * 60000000, NULL FROM n",
        "INSERT INTO case_moves SELECT printf('%026d', i), 1, 'open', '', 'new', 1767225600000000 + i * 60000000, 'system',
            'system', NULL, NULL, '{\"event\":\"00000000000000000000000000000000\"}', printf('%064x', i) FROM n",
        "INSERT INTO case_clocks SELECT printf('%026d', i), 'handle', 1, 1, NULL, 'all',
            '{\"calendar\":\"cn\",\"clock\":{\"term\":\"5wd\",\"red\":\"due\",\"roll\":false,\"close\":false,\"extensions\":0}}', 1,
            1767225600000000 + i * 60000000, 1893000000000000 + i, NULL, 1893400000000000 + i, 1893400000000000 + i,
            'running', '[]', 0, 'none', '[]', 0, NULL, NULL FROM n",
    ] {
        let sql = format!("{of_all} {statement}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(cases).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    database.close().await;
    Ok(())
}

/// A look at the clocks of which something is due: none.
async fn sweep(folder: &Path) -> Outcome<()> {
    let database = Arc::new(Database::open(folder).await?);
    let times = times_of(RUNS, async || {
        let mut reader = database.readers().acquire().await?;
        let due: Vec<(String,)> = sqlx::query_as(
            "SELECT case_id FROM case_clocks WHERE state = 'running' AND next_at <= $1 ORDER BY next_at, case_id, name LIMIT 200",
        )
        .bind(1_800_000_000_000_000_i64)
        .fetch_all(&mut *reader)
        .await?;
        if due.is_empty() { Ok(()) } else { Err("none is due".into()) }
    })
    .await?;
    let milliseconds = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
    print_times("sweep, nothing due", times, milliseconds);
    database.close().await;
    Ok(())
}

/// Notes on new cases, one connection after the other's answer.
async fn moves(server: &Server, client: &reqwest::Client) -> Outcome<()> {
    let listed = client
        .get(server.url("/v1/cases?state=new&limit=1000"))
        .send()
        .await?;
    let listed: Value = succeeded(listed).await?.json().await?;
    let ids: Vec<&str> = listed["cases"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|case| case["id"].as_str())
        .take(MOVES)
        .collect();
    let begun = Instant::now();
    let made = ids.chunks(16).map(<[&str]>::to_vec);
    for ids in made {
        let asked = ids.iter().map(|id| {
            client
                .post(server.url(&format!("/v1/cases/{id}/moves")))
                .header("if-match", "\"1\"")
                .json(&json!({"move": "accept"}))
                .send()
        });
        for answer in futures::future::join_all(asked).await {
            succeeded(answer?).await?;
        }
    }
    print_rates(
        "moves a second",
        vec![ids.len() as f64 / begun.elapsed().as_secs_f64()],
    );
    Ok(())
}

fn bytes_in(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}
