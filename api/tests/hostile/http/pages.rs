//! Pages of others, and names that are not ours.

use serde_json::json;

use super::{Running, address, metric, status_of};
use crate::server::{Server, fixture, reading};

/// What a page could want: to read, to ask, to change.
const WANTED: [&str; 7] = [
    "GET /v1/layers",
    "GET /v1/sql?sql=SELECT+1",
    "GET /v1/stream",
    "GET /metrics",
    "POST /v1/sql",
    "POST /v1/webhooks",
    "POST /v1/events",
];

fn request(line: &str, fields: &str) -> String {
    let body = match line.rsplit('/').next().unwrap() {
        "webhooks" => json!({"name": "evil", "url": "http://127.0.0.1:9/"}).to_string(),
        "events" => reading("evil", "evil", 1.0, 60).to_string(),
        "sql" => "SELECT 1".to_owned(),
        _ => String::new(),
    };
    let media_type = if line.ends_with("/sql") {
        "text/plain"
    } else {
        "application/json"
    };
    format!(
        "{line} HTTP/1.1\r\n{fields}content-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_foreign_page_gets_nothing_and_changes_nothing() {
    let mut server = Server::not_started();
    server.configure("[server]\ncors_origins = [\"https://map.example\"]");
    server.restart();
    let address = address(&server);
    let own = format!("host: {address}\r\n");
    for line in WANTED {
        for fields in [
            "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: image\r\n",
            "sec-fetch-site: same-site\r\n",
            "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n",
            "origin: https://evil.example\r\n",
            "origin: null\r\n",
            "origin: http://127.0.0.1:1\r\n",
            "origin: https://map.example\r\norigin: https://evil.example\r\n",
        ] {
            let status = status_of(&address, request(line, &format!("{own}{fields}"))).await;
            assert_eq!(status, 403, "{line} {fields}");
        }
    }
    assert_eq!(server.get("/v1/webhooks").await.body, json!({"webhooks": []}));
    assert_eq!(server.rows("SELECT count(*) FROM queries").await.len(), 1);
    for (line, fields, expected) in [
        (
            "GET /",
            "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n",
            200,
        ),
        ("GET /v1/layers", "sec-fetch-site: same-origin\r\n", 200),
        (
            "GET /v1/layers",
            "sec-fetch-site: none\r\nsec-fetch-mode: navigate\r\n",
            200,
        ),
        (
            "GET /v1/layers",
            "sec-fetch-site: cross-site\r\norigin: https://map.example\r\n",
            200,
        ),
        (
            "POST /v1/sql",
            "sec-fetch-site: cross-site\r\norigin: https://map.example\r\n",
            200,
        ),
        (
            "OPTIONS /v1/sql",
            "origin: https://map.example\r\naccess-control-request-method: POST\r\n",
            200,
        ),
    ] {
        let status = status_of(&address, request(line, &format!("{own}{fields}"))).await;
        assert_eq!(status, expected, "{line} {fields}");
    }
    let refused = metric(&server, "riskgrid_http_refused_total{reason=\"cross_site\"}").await;
    assert!(refused >= 49, "{refused}");
}

#[tokio::test]
async fn a_host_is_one_name_and_perhaps_a_port() {
    let server = Server::start();
    let address = address(&server);
    let ask = async |line: &str, fields: &str| status_of(&address, format!("{line}\r\n{fields}\r\n")).await;
    for host in [
        "",
        "localhost:",
        "localhost:80:80",
        "localhost:99999",
        "localhost:8x",
        "localhost@evil.example",
        "evil@localhost",
        "localhost/",
        "localhost/evil",
        "localhost?",
        "localhost#",
        "localhost,evil.example",
        "localhost evil.example",
        "localhost..",
        "%6cocalhost",
        "l\u{f6}calhost",
        "[::1",
        "[::1]evil",
        "::1",
        "[::1%25lo]",
        "2130706433",
        "127.1",
        "0x7f.0.0.1",
    ] {
        let status = ask("GET /v1/layers HTTP/1.1", &format!("host: {host}\r\n")).await;
        assert_eq!(status, 400, "{host}");
    }
    for host in [
        "localhost",
        "LOCALHOST.:1",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
        "a.localhost",
    ] {
        let status = ask("GET /v1/layers HTTP/1.1", &format!("host: {host}\r\n")).await;
        assert_eq!(status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1"] {
        let status = ask(
            "GET /v1/layers HTTP/1.1",
            &format!("host: {host}\r\norigin: http://{host}\r\n"),
        )
        .await;
        assert_eq!(status, 403, "{host}");
    }
    assert_eq!(ask("GET /v1/layers HTTP/1.1", "").await, 400);
    assert_eq!(
        ask(
            "GET /v1/layers HTTP/1.1",
            "host: localhost\r\nhost: localhost\r\n"
        )
        .await,
        400
    );
    assert_eq!(
        ask(
            "GET /v1/layers HTTP/1.1",
            "host: localhost\r\nHost: evil.example\r\n"
        )
        .await,
        400
    );
    for (target, status) in [
        ("http://localhost/v1/layers", 200),
        ("http://localhost:80/v1/layers", 200),
        ("http://evil.example/v1/layers", 400),
        ("http://localhost:81/v1/layers", 400),
        ("http://evil@localhost/v1/layers", 400),
    ] {
        assert_eq!(
            ask(&format!("GET {target} HTTP/1.1"), "host: localhost\r\n").await,
            status,
            "{target}"
        );
    }
    assert!(metric(&server, "riskgrid_http_refused_total{reason=\"bad_host\"}").await >= 26);
}

#[tokio::test]
async fn off_loopback_the_names_of_the_compose_file_are_served_and_no_others() {
    let compose = std::fs::read_to_string(fixture("compose/riskgrid.toml")).unwrap();
    let hosts = compose.lines().find(|line| line.starts_with("hosts = ")).unwrap();
    let server = Running::start(
        "true",
        &format!("[server]\nlisten = \"0.0.0.0:0\"\nopen = true\n{hosts}\n"),
    );
    for line in WANTED {
        for host in ["evil.example", "127.0.0.1.evil.example", "192.0.2.1"] {
            let fields = format!("host: {host}\r\norigin: http://{host}\r\n");
            assert_eq!(
                status_of(&server.address, request(line, &fields)).await,
                421,
                "{line} {host}"
            );
        }
        let fields = "host: localhost:8080\r\norigin: http://evil.example\r\n";
        assert_eq!(
            status_of(&server.address, request(line, fields)).await,
            403,
            "{line}"
        );
        let fields = "host: localhost:8080\r\nsec-fetch-site: cross-site\r\n";
        assert_eq!(
            status_of(&server.address, request(line, fields)).await,
            403,
            "{line}"
        );
    }
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "riskgrid:8080"] {
        let fields = format!("host: {host}\r\norigin: http://{host}\r\nsec-fetch-site: same-origin\r\n");
        assert_eq!(
            status_of(&server.address, request("GET /v1/layers", &fields)).await,
            200,
            "{host}"
        );
    }
}
