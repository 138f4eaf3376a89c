//! Decisions in a real PostgreSQL: a whole life in it, over restarts of the server; and two nodes that share it, of which one
//! is away for longer than its lease.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::server::{CANNOT, Server, WRONG_CONFIGURATION, eventually, reading, skip};

#[path = "../../../fixtures/postgres.rs"]
mod real;

/// The `webhook-id` and the body of each message.
type Received = Arc<Mutex<Vec<(String, Value)>>>;

async fn receive(State(received): State<Received>, headers: HeaderMap, body: String) -> StatusCode {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let body = serde_json::from_str(&body).unwrap();
    received.lock().unwrap().push((id, body));
    StatusCode::OK
}

async fn receiver() -> (String, Received) {
    let received = Received::default();
    let router = Router::new().fallback(receive).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, received)
}

fn postgres() -> Option<real::Postgres> {
    let server = real::Postgres::start();
    if server.is_none() {
        skip("RISKGRID_TEST_POSTGRES names no programs of PostgreSQL");
    }
    server
}

fn decisions(url: &str, postgres: &real::Postgres) -> String {
    format!(
        "[decisions]\nurl = \"{url}?sslmode=verify-full&sslrootcert={}\"\npassword_file = \"{}\"\n",
        postgres.authority().display(),
        postgres.password_file().display()
    )
}

async fn made(server: &Server, path: &str, body: Value) -> Value {
    let made = server.post_json(path, &body).await;
    assert_eq!(made.status, 201, "{path}: {}", made.body);
    made.body
}

#[tokio::test]
async fn rules_alerts_messages_and_the_audit_live_in_postgres_over_restarts() {
    let Some(postgres) = postgres() else { return };
    let mut server = Server::not_started();
    server.configure(&decisions(&postgres.database("life"), &postgres));
    server.restart();
    let (url, received) = receiver().await;
    made(&server, "/v1/webhooks", json!({"name": "ops", "url": url})).await;
    let rule = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "clear_below": 3.2, "severity": "major", "webhooks": ["ops"]});
    made(&server, "/v1/rules", rule.clone()).await;
    let refused = server.post_json("/v1/rules", &rule).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let high = reading("1", "river-7", 3.62, 5).to_string();
    assert_eq!(server.post("application/json", high).await.status, 202);
    eventually("the receiver is told", async || {
        (received.lock().unwrap().len() == 1).then_some(())
    })
    .await;

    server.stop().await;
    server.restart();
    let alerts = server.get("/v1/alerts").await.body;
    assert_eq!(alerts["alerts"][0]["state"], "firing", "{alerts}");
    let id = alerts["alerts"][0]["id"].as_str().unwrap().to_owned();
    let taken = server
        .post_json(&format!("/v1/alerts/{id}/ack"), &json!({"comment": "on my way"}))
        .await;
    assert_eq!(
        (taken.status, &taken.body["state"]),
        (200, &json!("acknowledged")),
        "{}",
        taken.body
    );

    // Nothing is said goodbye to.
    server.kill();
    server.restart();
    let sql = "SELECT state, sensor, acknowledged_comment FROM alerts WHERE sensor = 'river-7' AND fired_at > '2020-01-01'";
    server
        .rows_become(sql, &json!([["acknowledged", "river-7", "on my way"]]))
        .await;
    let low = reading("2", "river-7", 3.0, 0).to_string();
    assert_eq!(server.post("application/json", low).await.status, 202);
    eventually("the end is told", async || {
        let kinds: Vec<_> = received
            .lock()
            .unwrap()
            .iter()
            .map(|(_, body)| body["type"].clone())
            .collect();
        (kinds == [json!("alert.firing"), json!("alert.resolved")]).then_some(())
    })
    .await;
    let audit = server.get("/v1/audit").await.body;
    let actions: Vec<_> = audit["audit"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|row| row["action"].clone())
        .collect();
    for end in ["audit.start", "server.start", ".create", ".ack"] {
        let is_there = actions
            .iter()
            .any(|action| action.as_str().unwrap().ends_with(end));
        assert!(is_there, "{end}: {actions:?}");
    }
    let verified = server.ask(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    // Nothing lies in a file beside it.
    assert!(!server.data().join("decisions.sqlite").exists());
    let stored = postgres.answers("life", "SELECT count(*) FROM alerts, rules, webhooks");
    assert_eq!(stored, "1");

    server.stop().await;
    server.configure("");
    let said = server.is_refused(CANNOT);
    assert!(said.contains("decisions.url"), "{said}");
    server.configure(&decisions(&postgres.database("empty"), &postgres));
    let said = server.is_refused(CANNOT);
    assert!(said.contains("had before"), "{said}");
}

#[tokio::test]
async fn a_database_that_does_not_let_in_is_told_without_its_password() {
    let Some(postgres) = postgres() else { return };
    let mut server = Server::not_started();
    let url = postgres.database("closed");
    let wrong = server.path("wrong");
    std::fs::write(&wrong, "not-the-password\n").unwrap();
    let rights = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let configured = |url: &str| format!("[decisions]\nurl = \"{url}\"\npassword_file = \"wrong\"\n");
    rights(0o600);
    server.configure(&configured(&url));
    let said = server.is_refused(CANNOT);
    assert!(
        said.contains("/closed") && !said.contains("not-the-password"),
        "{said}"
    );
    // A certificate from nobody that this system trusts.
    server.configure(&configured(&format!("{url}?sslmode=verify-full")));
    let said = server.is_refused(CANNOT);
    assert!(
        said.contains("certificate") && !said.contains("not-the-password"),
        "{said}"
    );
    rights(0o644);
    server.configure(&configured(&url));
    assert!(server.is_refused(WRONG_CONFIGURATION).contains("chmod 600"));
    let with_password = url.replace("riskgrid@", "riskgrid:not-the-password@");
    server.configure(&configured(&with_password));
    rights(0o600);
    let said = server.is_refused(WRONG_CONFIGURATION);
    assert!(
        said.contains("password_file") && !said.contains("not-the-password"),
        "{said}"
    );
}

fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &server.process_id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Two reports of flooding in one of Shenzhen's cells, so that its count is over the limit.
fn flooding(cell: &str, lon: f64) -> String {
    let now = chrono::Utc::now().to_rfc3339();
    let report = |number: u32| {
        json!({"specversion": "1.0", "id": format!("{cell}-{number}"), "source": "//test/calls", "type": "riskgrid.report.v1",
            "time": now, "data": {"category": "flooding", "channel": "call", "lon": lon, "lat": 22.54}})
    };
    json!([report(1), report(2)]).to_string()
}

#[tokio::test]
async fn of_two_nodes_one_decides_and_the_other_takes_over_when_it_is_away_too_long() {
    let Some(postgres) = postgres() else { return };
    let url = postgres.database("shared");
    let (mut one, mut other) = (Server::not_started(), Server::not_started());
    one.configure(&decisions(&url, &postgres));
    other.configure(&decisions(&url, &postgres));
    one.restart();
    other.restart();
    let (url, received) = receiver().await;
    made(&one, "/v1/webhooks", json!({"name": "ops", "url": url})).await;
    let rule = json!({"name": "many floods", "kind": "threshold", "layer": "flooding", "per": "cell", "metric": "count",
        "window": "30m", "resolution": 8, "above": 1, "clear_below": 1, "severity": "major", "webhooks": ["ops"]});
    made(&one, "/v1/rules", rule).await;
    eventually("the other node knows the rule", async || {
        let rules = other.get("/v1/rules").await.body;
        (rules["rules"][0]["name"] == "many floods").then_some(())
    })
    .await;
    let messages = || received.lock().unwrap().clone();
    let holder = || {
        postgres.answers(
            "shared",
            "SELECT string_agg(name || holder || epoch, ' ' ORDER BY name) FROM leases",
        )
    };
    let before = holder();

    let batch = "application/cloudevents-batch+json";
    for server in [&one, &other] {
        assert_eq!(server.post(batch, flooding("a", 114.05)).await.status, 202);
    }
    eventually("one alert is told", async || {
        (messages().len() == 1).then_some(())
    })
    .await;

    // Else it could be sent once more, under the same id.
    let noted = "SELECT count(*) FROM deliveries WHERE state = 'delivered'";
    eventually("that it was told is noted", async || {
        (postgres.answers("shared", noted) == "1").then_some(())
    })
    .await;
    signal(&one, "-STOP");
    assert_eq!(other.post(batch, flooding("b", 114.15)).await.status, 202);
    eventually("the other node takes over and tells", async || {
        (messages().len() == 2).then_some(())
    })
    .await;
    assert_ne!(holder(), before);
    signal(&one, "-CONT");
    assert_eq!(one.post(batch, flooding("b", 114.15)).await.status, 202);
    assert_eq!(other.post(batch, flooding("c", 114.25)).await.status, 202);
    assert_eq!(one.post(batch, flooding("c", 114.25)).await.status, 202);
    eventually("a third alert is told", async || {
        (messages().len() == 3).then_some(())
    })
    .await;
    // The one that was away has looked at the grid many times since.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let told = messages();
    let ids: BTreeSet<_> = told.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!((told.len(), ids.len()), (3, 3), "{told:?}");
    let decided = postgres.answers(
        "shared",
        "SELECT count(*) || ' ' || count(DISTINCT instance) FROM alerts",
    );
    assert_eq!(decided, "3 3");
}

/// What the public is to see of `noise`, an hour a step.
const PUBLISHED: &str = r#"
[access]
anonymous = "public"
[access.public]
sql = true
delay = "0s"
[grid]
allowed_lateness = "0s"
[[layers]]
id = "noise"
kind = "report"
public = "suppressed"
public_step = "1h"
[[layers]]
id = "flooding"
kind = "report"
"#;

/// So many reports of different people in one place in an hour, then one of another layer that moves the clock past it.
fn hour_of_noise(hour: u32, number: u32) -> String {
    let event = |id: String, category: &str, minutes: u32| {
        json!({"specversion": "1.0", "id": id, "source": "//test", "type": "riskgrid.report.v1",
            "time": format!("2026-11-22T{:02}:{:02}:00Z", hour + minutes / 60, minutes % 60),
            "data": {"category": category, "reporter": format!("somebody {id}"), "lon": 114.05, "lat": 22.54}})
    };
    let noise = (0..number).map(|number| event(format!("{hour}-{number}"), "noise", number % 60));
    let clock = event(format!("clock {hour}"), "flooding", 70);
    noise.chain([clock]).collect::<Value>().to_string()
}

/// What a node answers to everybody.
async fn published(server: &Server) -> Vec<String> {
    let mut all = Vec::new();
    for path in [
        "/v1/sql?sql=SELECT * FROM cells ORDER BY bucket, cell",
        "/v1/sql?sql=SELECT * FROM cells_rest ORDER BY bucket, cell",
        "/v1/layers/noise",
        "/v1/tiles/noise/12/3345/1784.mvt?window=1d",
    ] {
        // Everybody may ask twice a second.
        let answer = eventually("it is answered", async || {
            let answer = server.client.get(format!("{}{path}", server.url)).send().await;
            Some(answer.unwrap()).filter(|answer| answer.status() != 429)
        })
        .await;
        let version = answer.headers().get("riskgrid-version").cloned();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        all.push(format!(
            "{status} {version:?} {:?}",
            String::from_utf8_lossy(&body)
        ));
    }
    all
}

#[tokio::test]
async fn of_two_nodes_one_publishes_and_both_serve_the_same() {
    let Some(postgres) = postgres() else { return };
    let url = postgres.database("published");
    let (mut one, mut other) = (Server::not_started(), Server::not_started());
    let configuration = format!("{PUBLISHED}{}", decisions(&url, &postgres));
    one.configure(&configuration);
    other.configure(&configuration);
    // The first of the two reads the first key; what it guards is guarded on both.
    let made = Command::new(crate::crash_rig::binary())
        .args(["keys", "new"])
        .output()
        .unwrap();
    let key = String::from_utf8(made.stdout).unwrap();
    for server in [&mut one, &mut other] {
        let file = server.path("first.key");
        std::fs::write(&file, &key).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let with_key = configuration.replace("[access]\n", "[access]\nfirst_key_file = \"first.key\"\n");
        server.configure(&with_key);
        server.restart();
    }
    let feed = async |server: &Server, hour: u32, number: u32| {
        let request = server.client.post(format!("{}/v1/events", server.url));
        let request = request
            .bearer_auth(key.trim())
            .header("content-type", "application/cloudevents-batch+json");
        let answer = request.body(hour_of_noise(hour, number)).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    };
    let steps = || {
        postgres
            .answers("published", "SELECT string_agg(page, '') FROM published")
            .matches("\"seconds\"")
            .count()
    };
    let both_have = async |one: &Server, other: &Server, what: &str, rows: usize| {
        eventually(what, async || {
            let (of_one, of_other) = (published(one).await, published(other).await);
            let hours = of_one[0].matches("3600").count();
            (of_one == of_other && hours == rows).then_some(())
        })
        .await;
    };
    // Each has a journal of its own: what is published is what the one has that publishes.
    feed(&one, 8, 23).await;
    feed(&other, 8, 44).await;
    both_have(&one, &other, "the first hour is published once", 1).await;
    assert_eq!(steps(), 1);
    let holder = || {
        postgres.answers(
            "published",
            "SELECT holder || epoch FROM leases WHERE name = 'publication'",
        )
    };
    let before = holder();

    // Whichever publishes is away for longer than its lease: the other goes on where it stood.
    let first = published(&one).await;
    one.stop().await;
    feed(&other, 9, 31).await;
    eventually("the node that is left publishes", async || {
        (published(&other).await[0].matches("3600").count() == 2).then_some(())
    })
    .await;
    assert_eq!(steps(), 2);
    one.restart();
    feed(&one, 9, 12).await;
    both_have(
        &one,
        &other,
        "the one that came back serves what was published without it",
        2,
    )
    .await;
    other.kill();
    feed(&one, 10, 25).await;
    eventually(
        "it publishes what comes next once the lease of the other has ended",
        async || (published(&one).await[0].matches("3600").count() == 3).then_some(()),
    )
    .await;
    assert_ne!(holder(), before);
    other.restart();
    both_have(&one, &other, "both have all", 3).await;
    assert_eq!(steps(), 3);
    // Nothing that was shown is another now.
    let rows = first[0].split("[[").nth(1).unwrap();
    let row = rows.split(']').next().unwrap().to_owned();
    eventually("the first hour is as it was", async || {
        published(&other).await[0].contains(&row).then_some(())
    })
    .await;
}
