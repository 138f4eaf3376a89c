//! How long SQL takes over HTTP, on connections that are kept, warm: the hot cells of a layer and `hotspots(…)` over a day
//! of a million events, in JSON and as an Arrow stream. Beside it the same in this process, on the same events, and
//! `GET /healthz` as the floor.
//!
//! Then queries that would run for hours and get a second: how late the 504 comes, and how long after it the process
//! still uses the processor.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use datafusion::arrow::ipc::reader::StreamReader;
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_benches::in_process::rows;
use riskgrid_benches::server::{Server, eventually, succeeded};
use riskgrid_benches::{Outcome, grid_of, lines_of, over_a_day, print_latencies, print_times, times_of};
use serde_json::{Value, json};

const EVENTS: u64 = 1_000_000;
const SENSORS: usize = 20_000;
const LAYER: &str = "water_level";
const WARM: usize = 10;
const REQUESTS: usize = 200;
const HEAVY_RUNS: usize = 5;

const HOT_CELLS: &str = "SELECT cell, sum(count) AS n FROM cells WHERE layer = 'water_level' \
    GROUP BY cell ORDER BY n DESC LIMIT 100";
const HOTSPOTS: &str = "SELECT * FROM hotspots(layer => 'water_level', window => INTERVAL '24 hours', \
    at => '2026-09-15T00:00:00Z')";
const HEAVY: [(&str, &str); 3] = [
    (
        "a cross join of cells with itself",
        "SELECT sum(a.count * b.count) FROM cells a CROSS JOIN cells b",
    ),
    (
        "a join without a match",
        "SELECT count(*) FROM cells a JOIN cells b ON a.count + b.count < 0",
    ),
    (
        "an aggregate of many groups",
        "SELECT a.cell, b.bucket, count(*), avg(b.last), stddev(b.last) FROM cells a JOIN cells b \
         ON a.layer = b.layer GROUP BY 1, 2",
    ),
];
const TIMEOUT: Duration = Duration::from_secs(1);
/// Busy is what uses more than a fifth of one processor within a window; free, once it is not busy for so long.
const WINDOW: Duration = Duration::from_millis(50);
const QUIET: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Json,
    Arrow,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut server = Server::new("")?;
    server.start()?;
    let options = over_a_day(EVENTS, SENSORS);
    let truth = server.fill(&options).await?;
    let of_layer = server
        .sql(&format!(
            "SELECT count(*), sum(count) FROM cells WHERE layer = '{LAYER}'"
        ))
        .await?;
    let right = truth.layers.get(LAYER).map_or(0, |layer| layer.count);
    if of_layer[0][1] != right {
        return Err(format!("{LAYER} has {of_layer}, right is {right}").into());
    }
    let (snapshot, _) = grid_of(&lines_of(&options), true);
    let engine = SqlEngine::new(SqlLimits::default())?;
    println!(
        "{EVENTS} events over a day; {} rows of {LAYER} in cells",
        of_layer[0][0]
    );

    for (name, sql) in [
        ("top 100 cells of a layer", HOT_CELLS),
        ("hotspots over 24 h", HOTSPOTS),
    ] {
        let expected = rows(&engine, &snapshot, sql).await?;
        let mut least = Duration::MAX;
        for (how, form) in [("JSON", Form::Json), ("Arrow", Form::Arrow)] {
            let mut body = Bytes::new();
            let mut get = async || {
                body = ask(&server, sql, form).await?;
                Ok(())
            };
            times_of(WARM, &mut get).await?;
            let times = times_of(REQUESTS, &mut get).await?;
            let found = rows_in(&body, form)?;
            if found != expected {
                return Err(format!("{sql} gives {found} rows over HTTP and {expected} in process").into());
            }
            least = least.min(print_latencies(
                &format!("{name}, {how} ({} bytes)", body.len()),
                times,
            ));
        }
        let alone = async || Ok(rows(&engine, &snapshot, sql).await.map(drop)?);
        times_of(WARM, alone).await?;
        let alone = print_latencies(&format!("{name}, in process"), times_of(REQUESTS, alone).await?);
        println!("  {expected} rows; HTTP adds {:.2?}", least.saturating_sub(alone));
    }
    let health = async || {
        succeeded(server.client.get(server.url("/healthz")).send().await?)
            .await?
            .bytes()
            .await?;
        Ok(())
    };
    times_of(WARM, health).await?;
    print_latencies("GET /healthz", times_of(REQUESTS, health).await?);
    drop((snapshot, engine));
    for (name, sql) in HEAVY {
        heavy(&server, name, sql).await?;
    }
    server.holds(&truth).await
}

/// Asks, and reads the whole answer.
async fn ask(server: &Server, sql: &str, form: Form) -> Outcome<Bytes> {
    let accept = match form {
        Form::Json => "application/json",
        Form::Arrow => "application/vnd.apache.arrow.stream",
    };
    let request = server
        .client
        .post(server.url("/v1/sql"))
        .header("accept", accept)
        .json(&json!({ "sql": sql }));
    Ok(succeeded(request.send().await?).await?.bytes().await?)
}

fn rows_in(body: &[u8], form: Form) -> Outcome<usize> {
    if form == Form::Json {
        let answer: Value = serde_json::from_slice(body)?;
        return Ok(answer["rows"].as_array().map_or(0, Vec::len));
    }
    let mut rows = 0;
    for batch in StreamReader::try_new(body, None)? {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

/// Runs a query into its time, several times, and prints how late the answer came and how long the process was busy.
async fn heavy(server: &Server, name: &str, sql: &str) -> Outcome<()> {
    let (mut late, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..HEAVY_RUNS {
        let request = server
            .client
            .post(server.url("/v1/sql"))
            .json(&json!({ "sql": sql, "timeout_ms": TIMEOUT.as_millis() as u64 }));
        let began = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        late.push(began.elapsed().saturating_sub(TIMEOUT));
        if status != reqwest::StatusCode::GATEWAY_TIMEOUT {
            return Err(format!("{sql} answers {status} instead of running out of time: {body}").into());
        }
        busy.push(busy_for(server).await?);
    }
    let none = |_| String::new();
    print_times(&format!("{name}: the 504 after its time"), late, none);
    print_times(&format!("{name}: busy after the 504"), busy, none);
    Ok(())
}

/// How long from now the process still uses the processor.
async fn busy_for(server: &Server) -> Outcome<Duration> {
    let began = Instant::now();
    let mut busy = Duration::ZERO;
    let mut looked = (began, server.processor_time()?);
    eventually("the processor is free", async || {
        if looked.0.elapsed() >= WINDOW {
            let now = (Instant::now(), server.processor_time()?);
            if 5 * now.1.saturating_sub(looked.1) > now.0 - looked.0 {
                busy = began.elapsed();
            }
            looked = now;
        }
        Ok((began.elapsed() > busy + QUIET).then_some(()))
    })
    .await?;
    Ok(busy)
}
