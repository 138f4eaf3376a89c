//! Connections that are many, begun and not ended, or never read from.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Running, address, metric, pause, read_head, status_of};
use crate::server::{Server, eventually, reading};

/// Begins requests that it does not end: nothing, a part of a head, a part of a body.
async fn half_sent(address: &str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let part = match number % 4 {
            0 => "",
            1 => "GET / HTTP/1.1\r\nho",
            2 => "GET / HTTP/1.1\r\nhost: localhost\r\nx-many: ",
            _ => {
                "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
            }
        };
        // It may be closed already.
        let _ = stream.write_all(part.as_bytes()).await;
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn half_sent_requests_make_room_for_whole_ones() {
    let mut server = Server::not_started();
    server.configure("[server]\nmax_connections = 60\nheader_timeout = \"10s\"");
    server.restart();
    let address = address(&server);
    let held = half_sent(&address, 400).await;
    let event = reading("1", "river-1", 1.0, 60).to_string();
    assert_eq!(server.post("application/json", event).await.status, 202);
    server.writes_a_checkpoint().await;
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;
    assert!(
        metric(
            &server,
            "riskgrid_http_connections_closed_total{reason=\"for_a_newer_one\"}"
        )
        .await
            >= 300
    );
    let open = metric(&server, "riskgrid_http_connections").await;
    assert!((1..=60).contains(&open), "{open}");
    assert_eq!(metric(&server, "riskgrid_http_connections_most").await, 60);
    // those that are left are closed when their time is over
    eventually("they are closed", async || {
        (metric(&server, "riskgrid_http_connections").await <= 2).then_some(())
    })
    .await;
    assert!(
        metric(
            &server,
            "riskgrid_http_connections_closed_total{reason=\"header_timeout\"}"
        )
        .await
            >= 1
    );
    drop(held);
}

#[tokio::test]
async fn when_all_connections_are_at_work_another_is_turned_away_at_once() {
    let mut server = Server::not_started();
    server.configure("[server]\nmax_connections = 5");
    server.restart();
    let address = address(&server);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /v1/stream HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
        streams.push(stream);
    }
    let mut turned_away = TcpStream::connect(&address).await.unwrap();
    let head = read_head(&mut turned_away).await;
    assert!(
        head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1"),
        "{head}"
    );
    streams.pop();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    eventually("there is room again", async || {
        (status_of(&address, &request).await == 200).then_some(())
    })
    .await;
    assert!(
        metric(
            &server,
            "riskgrid_http_connections_closed_total{reason=\"no_room\"}"
        )
        .await
            >= 1
    );
}

#[tokio::test]
async fn connections_leave_room_for_files_where_the_system_allows_few() {
    // hard and soft: it cannot be raised
    let server = Running::start("ulimit -n 200", "[storage]\ncheckpoint_every = \"1s\"\n");
    let held = half_sent(&server.address, 400).await;
    let body = reading("1", "river-1", 1.0, 60).to_string();
    let post = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(status_of(&server.address, post).await, 202);
    let metrics = async || {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        page
    };
    eventually("a checkpoint", async || {
        metrics()
            .await
            .contains("\nriskgrid_checkpoint_age_seconds ")
            .then_some(())
    })
    .await;
    let page = metrics().await;
    assert!(page.contains("\nriskgrid_http_connections_most 100\n"), "{page}");
    assert!(
        page.contains("\nriskgrid_checkpoint_failures_total 0\n"),
        "{page}"
    );
    drop(held);
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_at_the_start() {
    let server = Running::start("ulimit -S -n 256", "");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.process.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

#[tokio::test]
async fn a_slow_reader_gets_its_answer_and_one_that_never_reads_is_cut() {
    const QUERY: &str =
        "GET /v1/sql?sql=SELECT+repeat('x',1000)+FROM+generate_series(1,30000)&timeout_ms=60000";
    let mut server = Server::not_started();
    server.configure("[server]\nwrite_timeout = \"2s\"");
    server.restart();
    let address = address(&server);
    let ask = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(32 << 10).unwrap();
        let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let request = format!("{QUERY} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let never = ask().await;
    let mut slow = ask().await;
    let mut answer = Vec::new();
    let mut part = vec![0; 64 << 10];
    // three times as long as one may read nothing
    for _ in 0..20 {
        let count = slow.read(&mut part).await.unwrap();
        answer.extend_from_slice(&part[..count]);
        pause(300).await;
    }
    slow.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() > 30_000_000, "{}", answer.len());
    assert!(answer.ends_with(b"0\r\n\r\n"), "the last chunk");
    eventually("the other is cut", async || {
        let cut = metric(
            &server,
            "riskgrid_http_connections_closed_total{reason=\"write_timeout\"}",
        )
        .await;
        (cut == 1).then_some(())
    })
    .await;
    eventually("its query has ended", async || {
        (metric(&server, "riskgrid_sql_queries").await == 0).then_some(())
    })
    .await;
    drop(never);
}
