//! Bodies that are long, packed, slow, many, or none.

use std::io::Write;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{address, metric, pause, read_head, read_status, status_of};
use crate::server::{Answer, Server, eventually, reading};

const NDJSON: &str = "application/x-ndjson";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

async fn post_packed(
    server: &Server,
    path: &str,
    media_type: &str,
    coding: &str,
    body: Vec<u8>,
) -> reqwest::Response {
    let request = server.client.post(format!("{}{path}", server.url));
    let request = request
        .header("content-type", media_type)
        .header("content-encoding", coding);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn millions_of_refused_events_are_counted_and_the_server_answers_others_meanwhile() {
    let server = Server::start();
    let lines = 4 << 20;
    let posts = (0..2).map(|_| {
        let request = server.client.post(format!("{}/v1/events", server.url));
        tokio::spawn(
            request
                .header("content-type", NDJSON)
                .body("1\n".repeat(lines / 2))
                .send(),
        )
    });
    let posts: Vec<_> = posts.collect();
    while !posts.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(
            server
                .client
                .get(format!("{}/healthz", server.url))
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        pause(20).await;
    }
    for post in posts {
        let answer = post.await.unwrap().unwrap();
        assert_eq!(answer.status(), 400);
        let text = answer.text().await.unwrap();
        assert!(text.len() < 4 << 20, "{}", text.len());
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["accepted"], 0);
        assert_eq!(body["refused_total"], lines / 2);
        assert_eq!(body["refused"].as_array().unwrap().len(), 10_000);
        assert_eq!(body["refused"][9_999]["index"], 9_999);
    }
    let letters = server.rows("SELECT count(*), sum(size) FROM dead_letters").await;
    let (count, size) = (letters[0][0].as_u64().unwrap(), letters[0][1].as_u64().unwrap());
    assert!((20_000..20_100).contains(&count), "{count}");
    // each line with its end, but for those that have a letter of their own
    assert_eq!(size, 2 * (2 * (lines as u64 / 2) - 10_000));
    let told = metric(&server, "riskgrid_http_events_total{result=\"refused\"}").await;
    assert_eq!(told, lines as u64);
    assert_eq!(
        metric(&server, "riskgrid_http_events_untold_total").await,
        lines as u64 - 20_000
    );
    assert_eq!(metric(&server, "riskgrid_http_body_bytes").await, 0);
}

#[tokio::test]
async fn what_was_refused_beyond_those_told_is_replayed_line_by_line() {
    let server = Server::start();
    // Two that could be events, but are not yet.
    let later = ["a", "b"].map(|id| format!("{}\n", reading(id, "river-1", 1.0, -303)));
    let body = "1\n".repeat(10_000) + &later.concat();
    let answer = server.post(NDJSON, body).await;
    assert_eq!(
        (answer.status, &answer.body["refused_total"]),
        (400, &json!(10_002))
    );
    let letters = "SELECT reason, detail FROM dead_letters WHERE topic = 'http' AND partition = 1";
    let rows = server.rows(letters).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][0], "in_future");
    assert!(
        rows[0][1].as_str().unwrap().starts_with("2 events, one a line"),
        "{}",
        rows[0]
    );
    // A letter is judged as of its own time: they stay in the future.
    let replayed = server
        .post_json(
            "/v1/dead-letters/replay",
            &json!({"topic": "http", "reason": "in_future"}),
        )
        .await;
    assert_eq!(replayed.status, 200, "{}", replayed.body);
    assert_eq!(
        (&replayed.body["logged"], &replayed.body["refused"]["in_future"]),
        (&json!(0), &json!(2)),
        "{}",
        replayed.body
    );
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_the_limits() {
    let mut server = Server::not_started();
    server.configure("[server]\nmax_body = \"4MiB\"\nbody_memory = \"8MiB\"");
    server.restart();
    let events = "/v1/events";
    for (number, (coding, pack)) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("x-gzip", gzip),
        ("zstd", zstd),
        ("GZIP", gzip),
    ]
    .into_iter()
    .enumerate()
    {
        let event = format!("{}\n", reading(&number.to_string(), "river-1", 1.0, 60));
        let taken = post_packed(&server, events, NDJSON, coding, pack(event.as_bytes())).await;
        assert_eq!(taken.status(), 202, "{coding}");
        let sql = pack(b"{\"sql\": \"SELECT 1\"}");
        assert_eq!(
            post_packed(&server, "/v1/sql", "application/json", coding, sql)
                .await
                .status(),
            200
        );
        let hook = json!({"name": format!("hook {number}"), "url": "http://127.0.0.1:9/"}).to_string();
        let made = post_packed(
            &server,
            "/v1/webhooks",
            "application/json",
            coding,
            pack(hook.as_bytes()),
        )
        .await;
        assert_eq!(made.status(), 201, "{coding}");
        // a bomb: a thousandth of what it becomes
        for (path, size) in [
            (events, 64 << 20),
            (events, (4 << 20) + 1),
            ("/v1/sql", 8 << 20),
            ("/v1/rules", 70_000),
        ] {
            let bomb = pack(&vec![b' '; size]);
            let refused =
                Answer::of(post_packed(&server, path, "application/json", coding, bomb).await).await;
            assert_eq!(
                (refused.status, refused.media_type.as_str()),
                (413, "application/problem+json"),
                "{coding} {path}"
            );
        }
        let whole = pack(event.as_bytes());
        for broken in [&whole[..whole.len() - 3], b"{}", &[&whole[..], b"more"].concat()] {
            let refused =
                Answer::of(post_packed(&server, events, NDJSON, coding, broken.to_vec()).await).await;
            assert_eq!(
                (refused.status, refused.media_type.as_str()),
                (400, "application/problem+json"),
                "{coding}"
            );
        }
    }
    for coding in [
        "br",
        "deflate",
        "gzip, gzip",
        "gzip, zstd",
        "compress",
        "aes128gcm",
        "gzip;q=1",
    ] {
        for path in [events, "/v1/sql", "/v1/rules"] {
            let refused = post_packed(&server, path, "application/json", coding, gzip(b"{}")).await;
            assert_eq!(refused.status(), 415, "{coding}");
            assert_eq!(refused.headers()["accept-encoding"], "gzip, zstd", "{coding}");
            assert_eq!(
                refused.headers()["content-type"],
                "application/problem+json",
                "{coding}"
            );
        }
    }
    let plain = format!("{}\n", reading("plain", "river-1", 1.0, 60)).into_bytes();
    assert_eq!(
        post_packed(&server, events, NDJSON, "identity", plain)
            .await
            .status(),
        202
    );
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[5]]))
        .await;
    assert_eq!(
        server.rows("SELECT count(*) FROM dead_letters").await,
        [json!([0])]
    );
    assert_eq!(metric(&server, "riskgrid_http_body_bytes").await, 0);
    assert!(metric(&server, "riskgrid_http_refused_total{reason=\"body_too_large\"}").await >= 16);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_comes() {
    let server = Server::start();
    let address = address(&server);
    for (path, length, status) in [
        ("/v1/events", 1_u64 << 40, 413),
        ("/v1/sql", 1 << 20, 413),
        ("/v1/rules", 65_537, 413),
        // told before a body is looked at
        ("/v1/nothing", 1 << 30, 404),
    ] {
        for expect in ["expect: 100-continue\r\n", ""] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{expect}content-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            assert_eq!(read_status(&mut stream).await, status, "{path} {expect}");
        }
    }
    // one that may come gets its leave
    let body = reading("1", "river-1", 1.0, 60).to_string();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 100 "));
    stream.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(read_status(&mut stream).await, 202);
    // and one whose length is not said is stopped where the limit is
    let chunked = format!(
        "POST /v1/rules HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n20000\r\n{}\r\n0\r\n\r\n",
        " ".repeat(0x20000)
    );
    assert_eq!(status_of(&address, chunked).await, 413);
}

#[tokio::test]
async fn a_slow_body_is_given_up_and_the_memory_of_bodies_is_one_budget() {
    let mut server = Server::not_started();
    server.configure(
        "[server]\nmax_body = \"1MiB\"\nbody_memory = \"1MiB\"\nbody_pause = \"2s\"\nbody_timeout = \"4s\"",
    );
    server.restart();
    let address = address(&server);
    let begin = async |length: usize, first: usize| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: {address}\r\ncontent-type: {NDJSON}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all("\n".repeat(first).as_bytes()).await.unwrap();
        stream
    };
    let mut half = begin(900_000, 899_999).await;
    eventually("its bytes are held", async || {
        (metric(&server, "riskgrid_http_body_bytes").await >= 899_999).then_some(())
    })
    .await;
    let crowded = server.post(NDJSON, "\n".repeat(500_000)).await;
    assert_eq!((crowded.status, crowded.retry_after), (503, Some(1)));
    assert_eq!(server.get("/v1/layers").await.status, 200);
    // nothing more comes of it
    assert_eq!(read_status(&mut half).await, 408);
    eventually("the memory is given back", async || {
        (metric(&server, "riskgrid_http_body_bytes").await == 0).then_some(())
    })
    .await;
    assert_eq!(server.post(NDJSON, "\n".repeat(900_000)).await.status, 202);
    // a byte now and then is no body either
    let mut trickle = begin(1_000, 1).await;
    for _ in 0..60 {
        if trickle.write_all(b"\n").await.is_err() {
            break;
        }
        pause(100).await;
    }
    assert_eq!(read_status(&mut trickle).await, 408);
    // one that is gone gives its memory back at once
    drop(begin(900_000, 500_000).await);
    eventually("the memory is given back", async || {
        (metric(&server, "riskgrid_http_body_bytes").await == 0).then_some(())
    })
    .await;
    assert!(metric(&server, "riskgrid_http_refused_total{reason=\"body_timeout\"}").await >= 2);
    assert!(metric(&server, "riskgrid_http_refused_total{reason=\"body_memory\"}").await >= 1);
}
