//! `riskgrid generate`: what it says must come out is what comes out.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::crash_rig::{Counts, Truth, Victim, binary, pairs};
use crate::server::{Server, eventually};

const TROUBLE: [&str; 10] = [
    "--events",
    "20000",
    "--span",
    "2h",
    "--late",
    "0.05",
    "--duplicates",
    "0.02",
    "--bad",
    "0.01",
];

/// Runs it beside the test.
async fn generate(arguments: &[&str], folder: Option<&Path>) -> Output {
    let mut command = Command::new(binary());
    command.arg("generate").args(arguments);
    if let Some(folder) = folder {
        command
            .arg("--expect")
            .arg(folder.join(Truth::TOTALS))
            .arg("--expect-cells")
            .arg(folder.join(Truth::CELLS));
    }
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Waits until the server has read what it accepted, and compares all of it.
async fn holds(server: &Server, truth: &Truth) {
    let counts = eventually("the events are in the grid", async || {
        let counts = Counts::of(&server.page("/metrics").await?);
        (counts.accepted + counts.duplicate >= truth.accepted + truth.duplicate).then_some(counts)
    })
    .await;
    let read = Counts {
        accepted: truth.accepted,
        duplicate: truth.duplicate,
        refused: [].into(),
    };
    assert_eq!(counts, read);
    truth.holds_in_cells(server).await;
    let letters = "SELECT reason, count(*) FROM dead_letters GROUP BY reason";
    assert_eq!(pairs(&server.csv(letters).await), truth.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_comes_to_the_totals_that_are_printed() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["--http", &server.url];
    arguments.extend(TROUBLE);
    let output = generate(&arguments, Some(folder.path())).await;
    let (printed, complained) = said(&output);
    assert!(output.status.success(), "{printed}{complained}");
    let truth = Truth::read(folder.path());
    let total = format!(
        "expected: read 20000 = accepted {} + duplicate {} + refused {};",
        truth.accepted,
        truth.duplicate,
        truth.refused.values().sum::<u64>()
    );
    assert!(printed.contains(&total), "{printed}");
    assert_eq!(truth.refused.len(), 8);
    holds(&server, &truth).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_the_lines_and_comes_to_the_same_totals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.ndjson.gz");
    let start = (chrono::Utc::now() - chrono::TimeDelta::hours(3)).to_rfc3339();
    let mut arguments = vec!["--start", &start, "--seed", "7", "--file"];
    arguments.push(path.to_str().unwrap());
    arguments.extend(TROUBLE);
    let output = generate(&arguments, Some(folder.path())).await;
    assert!(output.status.success(), "{:?}", said(&output));
    let mut written = String::new();
    GzDecoder::new(std::fs::File::open(&path).unwrap())
        .read_to_string(&mut written)
        .unwrap();
    assert_eq!(written.lines().count(), 20_000);

    // The same on standard output, where the totals do not get between the lines.
    arguments[5] = "-";
    let output = generate(&arguments, None).await;
    let (lines, totals) = said(&output);
    assert!(lines == written, "{} bytes, {}", lines.len(), written.len());
    assert!(totals.contains("expected: read 20000"), "{totals}");

    let server = Server::start();
    let answer = server.post("application/x-ndjson", written).await;
    assert_eq!(answer.status, 202, "{}", answer.body["detail"]);
    holds(&server, &Truth::read(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_rate_events_are_of_the_time_of_sending() {
    let before = chrono::Utc::now();
    let began = Instant::now();
    let output = generate(&["--file", "-", "--events", "400", "--rate", "400"], None).await;
    let (lines, complained) = said(&output);
    assert!(output.status.success(), "{complained}");
    assert!(
        began.elapsed() > Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(lines.lines().count(), 400);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let time: chrono::DateTime<chrono::Utc> = first["time"].as_str().unwrap().parse().unwrap();
    assert!((time - before).num_seconds().abs() < 60, "{time}");
}

#[test]
fn a_reader_may_go_away_when_it_has_seen_enough() {
    let mut process = Command::new(binary())
        .args(["generate", "--file", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut reader = BufReader::new(process.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", said(&output));
    assert!(first.starts_with("{\"specversion\""), "{first}");
}

#[tokio::test]
async fn what_cannot_be_done_is_told_at_once() {
    for (arguments, code, words) in [
        (&["--events", "5"][..], 2, "--kafka"),
        (
            &["--file", "-", "--http", "http://127.0.0.1:1"],
            2,
            "cannot be used with",
        ),
        (&["--http", "http://127.0.0.1:1"], 1, "is riskgrid serving there?"),
        (&["--http", "nowhere"], 1, "nowhere"),
        (&["--file", "/nowhere/load.ndjson"], 1, "/nowhere/load.ndjson"),
        (
            &["--http", "http://127.0.0.1:1", "--start", "2999-01-01T00:00:00Z"],
            1,
            "in the future",
        ),
        (&["--file", "-", "--late", "5"], 2, "from 0 to 1"),
    ] {
        let output = generate(arguments, None).await;
        let (_, complained) = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complained}");
        assert!(complained.contains(words), "{arguments:?}: {complained}");
    }
}

/// Takes the first request, then refuses two for now and loses one, in turn.
async fn moody(State(requests): State<Arc<AtomicUsize>>, body: String) -> Response {
    let number = requests.fetch_add(1, Ordering::SeqCst);
    match number {
        1 => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], "later").into_response(),
        2 => StatusCode::BAD_GATEWAY.into_response(),
        _ => {
            let answer = json!({"accepted": body.lines().count(), "refused": []});
            (StatusCode::ACCEPTED, answer.to_string()).into_response()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_for_now_gets_the_same_lines_again_when_it_asks_to() {
    let requests = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/events", post(moody))
        .with_state(Arc::clone(&requests));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let began = Instant::now();
    let output = generate(&["--http", &url, "--events", "6000"], None).await;
    let (printed, complained) = said(&output);
    assert!(output.status.success(), "{printed}{complained}");
    assert!(printed.contains("sent again, 2 times"), "{printed}");
    assert!(began.elapsed() > Duration::from_secs(1));
    // Three parts, one of them three times.
    assert_eq!(requests.load(Ordering::SeqCst), 5);
}
