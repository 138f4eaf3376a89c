//! Rules, alerts and webhooks in numbers that would fill the database; and rules that could never fire.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::server::{DEADLINE, Server, eventually, reading, reading_at};

const NDJSON: &str = "application/x-ndjson";

fn lines(events: impl Iterator<Item = Value>) -> String {
    events
        .map(|event| event.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

/// One report in each of so many cells.
fn reports(count: usize) -> String {
    lines((0..count).map(|number| {
        let mut event = reading_at(&format!("r{number}"), "citizen", 0.0, Utc::now());
        event["type"] = json!("riskgrid.report.v1");
        event["data"] = json!({"category": "flooding", "lon": 113.9 + 0.01 * number as f64, "lat": 22.5});
        event
    }))
}

fn cell_rule(name: &str) -> Value {
    json!({"name": name, "kind": "threshold", "layer": "flooding", "per": "cell", "metric": "count", "window": "1h",
        "at_least": 1, "severity": "minor"})
}

fn sensor_rule(name: &str) -> Value {
    json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5, "severity": "minor"})
}

/// High water at so many sensors. Their names are long, so that the changes of all are more than sockets hold.
fn high_water(count: usize) -> String {
    let sensor = |number: usize| format!("{}{number}", "a_gauge_of_the_river_".repeat(20));
    lines((0..count).map(|number| reading(&format!("h{number}"), &sensor(number), 4.0, 5)))
}

async fn count(server: &Server, of: &str) -> u64 {
    let rows = server
        .rows(&format!("SELECT count(*) FROM alerts WHERE {of}"))
        .await;
    rows[0][0].as_u64().unwrap()
}

async fn metrics(server: &Server) -> String {
    let page = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap();
    page.text().await.unwrap()
}

fn value_of(page: &str, series: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} in {page}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn many_rules_over_many_cells_open_as_many_alerts_as_allowed_and_say_so() {
    let mut server = Server::not_started();
    server.configure("[alerts]\nmax_open_per_rule = 12\nmax_open = 100\nmax_rules = 20");
    server.restart();
    for number in 0..20 {
        let made = server
            .post_json("/v1/rules", &cell_rule(&format!("rule {number}")))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let refused = server.post_json("/v1/rules", &cell_rule("one too many")).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("alerts.max_rules"),
        "{}",
        refused.body
    );

    assert_eq!(server.post(NDJSON, reports(40)).await.status, 202);
    eventually("all rules are full", async || {
        (count(&server, "rule = 'rule full'").await == 20).then_some(())
    })
    .await;
    let by_rule = "SELECT max(n), sum(n) FROM (SELECT rule, count(*) AS n FROM alerts WHERE rule <> 'rule full' GROUP BY rule)";
    let rows = server.rows(by_rule).await;
    let (of_rule, of_all) = (rows[0][0].as_u64().unwrap(), rows[0][1].as_u64().unwrap());
    assert!(of_rule <= 12 && (80..=100).contains(&of_all), "{rows:?}");
    let page = metrics(&server).await;
    assert!(
        value_of(
            &page,
            "riskgrid_alerts_refused_total{limit=\"max_open_per_rule\"}"
        ) > 0.0
    );
    assert!(value_of(&page, "riskgrid_alerts_refused_total{limit=\"max_open\"}") > 0.0);
    assert!(value_of(&page, "riskgrid_rules") >= 20.0);
    assert!(value_of(&page, "riskgrid_rule_instances{per=\"cell\"}") >= 100.0);
}

#[tokio::test]
async fn a_rule_with_thousands_of_open_alerts_is_deleted_at_once_and_others_go_on_also_over_a_kill() {
    let mut server = Server::start();
    let rule = server
        .post_json("/v1/rules", &sensor_rule("everything is high"))
        .await
        .body;
    // It reads nothing of what it is sent, so it falls behind.
    let mut slow = slow_reader(&server).await;
    assert_eq!(server.post(NDJSON, high_water(3_000)).await.status, 202);
    eventually("all fire", async || {
        (count(&server, "state = 'firing'").await == 3_000).then_some(())
    })
    .await;

    let url = format!("{}/v1/rules/{}", server.url, rule["id"].as_str().unwrap());
    assert_eq!(server.client.delete(&url).send().await.unwrap().status(), 204);
    assert!(
        count(&server, "state = 'firing'").await > 0,
        "not all of them in one transaction"
    );
    assert_eq!(server.client.delete(&url).send().await.unwrap().status(), 404);
    // The name is free, and others write meanwhile.
    let made = server
        .post_json("/v1/rules", &sensor_rule("everything is high"))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let hook = json!({"name": "ops", "url": "http://127.0.0.1:9/hook"});
    assert_eq!(server.post_json("/v1/webhooks", &hook).await.status, 201);
    let sent = read_what_was_sent(&mut slow);
    assert!(
        sent.contains("event: missed\n"),
        "{} bytes and no word of what was missed",
        sent.len()
    );
    assert!(sent.contains("{\"layers\":null}"), "older pages are told too");

    server.kill();
    server.restart();
    eventually("all are ended", async || {
        (count(&server, "state = 'firing'").await == 0).then_some(())
    })
    .await;
    assert_eq!(count(&server, "state = 'resolved'").await, 3_000);
    assert_eq!(
        value_of(&metrics(&server).await, "riskgrid_alerts{state=\"open\"}").to_string(),
        "0"
    );
}

/// A page that asks for the stream and does not read it, with little room for what is on its way.
async fn slow_reader(server: &Server) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let page = socket.connect(address.parse().unwrap()).await.unwrap();
    let mut page = page.into_std().unwrap();
    page.set_nonblocking(false).unwrap();
    write!(page, "GET /v1/stream HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    page
}

/// What comes until a mark of what was missed, or nothing more.
fn read_what_was_sent(page: &mut TcpStream) -> String {
    page.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (mut all, mut some) = (Vec::new(), vec![0; 65_536]);
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        match page.read(&mut some) {
            Ok(0) | Err(_) => break,
            Ok(read) => all.extend_from_slice(&some[..read]),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn rules_that_can_never_fire_are_refused_with_the_field_and_what_is_allowed() {
    let server = Server::start();
    let early = server.post_json("/v1/rules", &cell_rule("early")).await;
    assert_eq!(early.status, 201, "{}", early.body);
    assert!(
        early.body["warning"].as_str().unwrap().contains("flooding"),
        "{}",
        early.body
    );
    let mean = json!({"name": "mean", "kind": "threshold", "layer": "flooding", "per": "cell", "metric": "mean",
        "window": "1h", "above": 1, "severity": "minor"});
    assert_eq!(
        server.post_json("/v1/rules", &mean).await.status,
        201,
        "the layer is not known yet"
    );

    let events = format!("{}\n{}", reports(1), reading("w", "s", 1.0, 5));
    assert_eq!(server.post(NDJSON, events).await.status, 202);
    eventually("both layers are known", async || {
        let layers = server.get("/v1/layers").await.body;
        (layers["layers"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let rules = server.get("/v1/rules").await.body;
    let warning = |name: &str| {
        let all = rules["rules"].as_array().unwrap();
        all.iter().find(|rule| rule["name"] == name).unwrap()["warning"].clone()
    };
    assert_eq!(warning("early"), json!(null));
    assert!(
        warning("mean").as_str().unwrap().contains("never fires"),
        "{rules}"
    );

    let with = |base: &Value, changes: Value| {
        let mut rule = base.clone();
        rule["name"] = json!("another");
        for (key, value) in changes.as_object().unwrap() {
            rule[key] = value.clone();
        }
        rule
    };
    let (cell, sensor) = (cell_rule("x"), sensor_rule("x"));
    let mut cases = vec![
        (with(&sensor, json!({"layer": "flooding"})), "per"),
        (with(&cell, json!({"metric": "median"})), "metric"),
        (with(&sensor, json!({"metric": "count"})), "metric"),
        (with(&cell, json!({"window": "1m"})), "window"),
        (with(&cell, json!({"window": "0m"})), "window"),
        (with(&cell, json!({"window": "4000d"})), "window"),
        (with(&cell, json!({"resolution": 15})), "resolution"),
        (with(&cell, json!({"at_least": -1})), "at_least"),
        (with(&cell, json!({"at_least": 1e30})), "at_least"),
        (with(&cell, json!({"clear_below": -1})), "clear_below"),
        (with(&sensor, json!({"above": 1e300, "clear_below": 0})), "above"),
        (with(&cell, json!({"at_least": null, "above": -0.5})), "above"),
    ];
    for metric in ["sum", "mean", "min", "max", "last"] {
        cases.push((with(&cell, json!({"metric": metric})), "metric"));
    }
    for (rule, field) in cases {
        let refused = server.post_json("/v1/rules", &rule).await;
        assert_eq!(refused.status, 422, "{rule}: {}", refused.body);
        assert_eq!(
            refused.body["errors"][0]["field"], field,
            "{rule}: {}",
            refused.body
        );
        assert!(
            refused.body["errors"][0]["allowed"].as_str().unwrap().len() > 3,
            "{}",
            refused.body
        );
    }
}

/// The names of series whose labels have closed sets of values.
fn series(page: &str) -> BTreeSet<&str> {
    let names = page.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.rsplit_once(' ').map(|(name, _)| name));
    // partitions come with what is read, and a route's durations with its first request
    let opens_later =
        |name: &str| name.contains("partition=") || name.starts_with("riskgrid_http_request_seconds");
    names.filter(|name| !opens_later(name)).collect()
}

#[tokio::test]
async fn every_metric_is_there_from_the_first_scrape_on() {
    let server = Server::start();
    let first = metrics(&server).await;
    let hook = json!({"name": "ops", "url": "http://127.0.0.1:9/hook"});
    assert_eq!(server.post_json("/v1/webhooks", &hook).await.status, 201);
    let mut rule = sensor_rule("river high");
    rule["webhooks"] = json!(["ops"]);
    assert_eq!(server.post_json("/v1/rules", &rule).await.status, 201);
    assert_eq!(
        server.post_json("/v1/rules", &cell_rule("calls")).await.status,
        201
    );
    let events = format!("{}\n{}\nnonsense", reports(3), reading("w", "s", 9.0, 5));
    assert_eq!(server.post(NDJSON, events).await.status, 202);
    server.writes_a_checkpoint().await;
    let page = eventually("four alerts and a failed attempt", async || {
        let page = metrics(&server).await;
        let all = value_of(&page, "riskgrid_alerts{state=\"open\"}") >= 4.0;
        (all && value_of(&page, "riskgrid_webhook_deliveries{state=\"failed\"}") > 0.0).then_some(page)
    })
    .await;
    assert!(value_of(&page, "riskgrid_webhook_attempts_total{result=\"failed\"}") > 0.0);
    assert!(value_of(&page, "riskgrid_webhook_oldest_pending_seconds") > 0.0);
    let missing: Vec<&str> = series(&page).difference(&series(&first)).copied().collect();
    assert!(
        missing.is_empty(),
        "not there from the first scrape on: {missing:?}"
    );
}

#[tokio::test]
async fn what_ended_is_forgotten_after_its_time() {
    let mut server = Server::start();
    let rule = server
        .post_json("/v1/rules", &sensor_rule("river high"))
        .await
        .body;
    assert_eq!(server.post(NDJSON, high_water(600)).await.status, 202);
    eventually("all fire", async || {
        (count(&server, "state = 'firing'").await == 600).then_some(())
    })
    .await;
    let url = format!("{}/v1/rules/{}", server.url, rule["id"].as_str().unwrap());
    assert_eq!(server.client.delete(&url).send().await.unwrap().status(), 204);
    eventually("all end", async || {
        (count(&server, "state = 'resolved'").await == 600).then_some(())
    })
    .await;
    // The start sees what ended, a later one finds that it is over.
    server.configure("[alerts]\nkeep = \"1s\"");
    for _ in 0..2 {
        server.stop().await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        server.restart();
    }
    eventually("none is left", async || {
        (count(&server, "true").await == 0).then_some(())
    })
    .await;
    let page = metrics(&server).await;
    assert_eq!(
        value_of(&page, "riskgrid_alerts{state=\"ended\"}").to_string(),
        "0"
    );
    assert_eq!(
        value_of(&page, "riskgrid_forgotten_total{what=\"alerts\"}").to_string(),
        "600"
    );
}

#[tokio::test]
async fn links_are_those_of_the_proxy_that_is_trusted() {
    let mut server = Server::not_started();
    let tiles = async |server: &Server, headers: &[(&str, &str)]| {
        let mut request = server
            .client
            .get(format!("{}/v1/tiles/water_level.json", server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = crate::server::Answer::of(request.send().await.unwrap()).await;
        (
            answer.status,
            answer.body["tiles"][0].as_str().unwrap_or_default().to_owned(),
        )
    };
    let forwarded = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "map.example"),
    ];
    let layer = "[[layers]]\nid = \"water_level\"\nkind = \"observation\"\nunit = \"m\"\n";
    for (settings, starts_with) in [
        ("", None),
        (
            "trusted_proxies = [\"127.0.0.0/8\"]",
            Some("https://map.example/v1/tiles/"),
        ),
        (
            "public_url = \"https://example.org/risk\"",
            Some("https://example.org/risk/v1/tiles/"),
        ),
    ] {
        server.configure(&format!("[server]\n{settings}\n{layer}"));
        server.restart();
        let own = format!("{}/v1/tiles/", server.url);
        let expected = starts_with.unwrap_or(&own);
        let (status, url) = tiles(&server, &forwarded).await;
        assert!(
            status == 200 && url.starts_with(expected),
            "{settings}: {status} {url}"
        );
        let rule = server
            .client
            .post(format!("{}/v1/rules", server.url))
            .json(&sensor_rule(&format!("r {settings}")));
        let rule = rule
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "map.example");
        let location = rule.send().await.unwrap().headers()["location"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            location.starts_with(&expected.replace("/tiles/", "/rules/")),
            "{settings}: {location}"
        );
        for hostile in [
            "evil.example/x",
            "user@evil.example",
            "evil.example:x",
            "\"><b>",
            "a b",
        ] {
            let (status, url) = tiles(&server, &[("x-forwarded-host", hostile)]).await;
            let is_heard = settings.starts_with("trusted");
            assert_eq!(
                status,
                if is_heard { 400 } else { 200 },
                "{settings}: {hostile} {url}"
            );
            assert!(!url.contains("evil"), "{url}");
        }
        server.stop().await;
    }
}
