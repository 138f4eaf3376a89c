//! Stopped on the journal: nothing is lost, nothing is counted twice. Kills are in `crash.rs`.

use riskgrid_fixtures::load::{Options, Truth, generate};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const LINES: u64 = 6_000;
/// Lines of one request.
const PART: usize = 200;
const NDJSON: &str = "application/x-ndjson";

/// Troubled lines that end about now, in the parts they are posted in, and the truth about them.
fn load() -> (Vec<String>, Truth) {
    let mut lines = generate(&Options {
        lines: LINES,
        sensors: 300,
        start_micros: chrono::Utc::now().timestamp_micros() - 600_000_000,
        lines_per_second: 10.0,
        ..Options::troubled()
    });
    let texts: Vec<String> = lines.by_ref().map(|line| line.json).collect();
    let parts = texts.chunks(PART).map(|part| part.join("\n")).collect();
    (parts, lines.into_truth())
}

/// The layers with their counts, as the SQL answer must be.
fn totals(truth: &Truth) -> Value {
    let counts = truth.layers.iter().filter(|(_, layer)| layer.count > 0);
    counts.map(|(id, layer)| json!([id, layer.count])).collect()
}

async fn totals_are(server: &Server, truth: &Truth) {
    let sql = "SELECT layer, sum(count) FROM cells GROUP BY layer ORDER BY layer";
    server.rows_become(sql, &totals(truth)).await;
    let catalogue = "SELECT layer, count FROM layers WHERE count > 0 ORDER BY layer";
    server.rows_become(catalogue, &totals(truth)).await;
}

fn is_answered(answer: &Answer) {
    let all = answer.body["accepted"].as_u64().unwrap()
        + answer.body["refused"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!((answer.status, all), (202, PART as u64), "{}", answer.body);
}

#[tokio::test]
async fn stopped_and_started_in_the_middle_the_totals_are_those_of_the_truth() {
    let (parts, truth) = load();
    let mut server = Server::start();
    let (first, second) = parts.split_at(parts.len() / 2);
    for part in first {
        is_answered(&server.post(NDJSON, part.clone()).await);
    }
    server.stop().await;
    server.restart();
    for part in second {
        is_answered(&server.post(NDJSON, part.clone()).await);
    }
    totals_are(&server, &truth).await;
    let refused: Value = truth
        .refused
        .iter()
        .map(|(reason, count)| json!([reason, count]))
        .collect();
    let letters = "SELECT reason, count(*) FROM dead_letters GROUP BY reason ORDER BY reason";
    server.rows_become(letters, &refused).await;
    server.stop().await;
    server.restart();
    totals_are(&server, &truth).await;
    server.rows_become(letters, &refused).await;
}
