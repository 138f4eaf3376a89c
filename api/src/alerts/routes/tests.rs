use std::time::Duration;

use axum::Router;
use reqwest::Client;
use riskgrid_analytics::rules::{RuleBounds, SensorReading, SensorRules};
use riskgrid_ingest::EventTime;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::alerts::delivery::DeliverySettings;
use crate::alerts::store::{Decisions, Notify};

struct Server {
    _folder: tempfile::TempDir,
    alerting: Arc<Alerting>,
    client: Client,
    url: String,
}

struct Answer {
    status: u16,
    content_type: String,
    body: Value,
}

impl Server {
    async fn start(allow_private: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let decisions = Decisions::open(folder.path(), crate::alerts::store::Bounds::default())
            .await
            .unwrap();
        let settings = DeliverySettings {
            allow_private,
            ..DeliverySettings::default()
        };
        let bounds = RuleBounds {
            bucket: std::time::Duration::from_mins(1),
            base_resolution: 9,
            longest_window: Duration::from_hours(24),
            shortest_window: Duration::from_mins(2),
        };
        let clock = Arc::new(|| chrono::Utc::now().timestamp_micros());
        let alerting = Alerting::start(
            decisions,
            settings,
            bounds,
            crate::alerts::store::Keep::default(),
            clock,
        )
        .await
        .unwrap();
        let url = listen(super::all(&alerting).layer(axum::Extension(admin()))).await;
        Self {
            _folder: folder,
            alerting,
            client: Client::builder().no_proxy().build().unwrap(),
            url,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let content_type = response
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        Answer {
            status: response.status().as_u16(),
            content_type: content_type.unwrap_or_default(),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        }
    }
}

/// Who asks in these tests.
fn admin() -> crate::access::Caller {
    crate::access::Caller {
        identity: Arc::new(crate::access::Identity::of_open_mode()),
        address: None,
    }
}

async fn listen(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

fn river() -> Value {
    json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "metric": "last",
        "above": 3.5, "clear_below": 3.2, "for": "2m", "severity": "major", "webhooks": ["ops"]})
}

fn ops() -> Value {
    json!({"name": "ops", "url": "https://ops.example/hook", "filter": {"severity": ["major", "critical"]}})
}

#[tokio::test]
async fn rules_are_made_listed_shown_and_deleted() {
    let server = Server::start(false).await;
    let mut followed = server.alerting.on_rules_changed.subscribe();
    assert_eq!(server.ask("POST", "/v1/rules", Some(river())).await.status, 422);
    assert_eq!(server.ask("POST", "/v1/webhooks", Some(ops())).await.status, 201);
    let made = server.ask("POST", "/v1/rules", Some(river())).await;
    assert_eq!(made.status, 201);
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(made.body["for"], "2m");
    followed.changed().await.unwrap();
    assert_eq!(followed.borrow().first().unwrap().name, "river high");
    assert_eq!(server.ask("POST", "/v1/rules", Some(river())).await.status, 409);
    assert_eq!(
        server.ask("GET", "/v1/rules", None).await.body,
        json!({"rules": [made.body], "next": null})
    );
    assert_eq!(
        server.ask("GET", &format!("/v1/rules/{id}"), None).await.body,
        made.body
    );
    assert_eq!(
        server
            .ask("DELETE", &format!("/v1/rules/{id}"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        server
            .ask("DELETE", &format!("/v1/rules/{id}"), None)
            .await
            .status,
        404
    );
    assert_eq!(server.alerting.on_rules_changed.borrow().len(), 0);
}

#[tokio::test]
async fn a_rule_is_changed_by_whoever_has_read_it_and_all_versions_are_kept() {
    let server = Server::start(false).await;
    let mut rule = river();
    rule["webhooks"] = json!([]);
    let made = server.ask("POST", "/v1/rules", Some(rule.clone())).await;
    let path = format!("/v1/rules/{}", made.body["id"].as_str().unwrap());
    let put = async |tag: Option<&str>, rule: &Value| {
        let mut request = server.client.put(format!("{}{path}", server.url)).json(rule);
        request = request.header("riskgrid-actor", "anna");
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        let answer = request.send().await.unwrap();
        let tag = answer
            .headers()
            .get("etag")
            .map(|tag| tag.to_str().unwrap().to_owned());
        (
            answer.status().as_u16(),
            tag,
            answer.json::<Value>().await.unwrap(),
        )
    };
    // What was read is sent back with one change.
    let mut read = server.ask("GET", &path, None).await.body;
    read["above"] = json!(4.0);
    read["comment"] = json!("after the flood");
    assert_eq!(put(None, &read).await.0, 428);
    assert_eq!(put(Some("\"7\""), &read).await.0, 412);
    let (status, tag, changed) = put(Some("\"1\""), &read).await;
    assert_eq!((status, tag.as_deref()), (200, Some("\"2\"")), "{changed}");
    assert_eq!(
        (changed["above"].as_f64(), &changed["author"]),
        (Some(4.0), &json!("anna"))
    );
    let (status, _, detail) = put(Some("\"1\""), &read).await;
    assert_eq!(status, 412);
    assert!(
        detail["detail"]
            .as_str()
            .unwrap()
            .contains("at version 2; read it again"),
        "{detail}"
    );
    let mut wrong = read.clone();
    wrong["clear_below"] = json!(9);
    assert_eq!(put(Some("\"2\""), &wrong).await.0, 422);
    let versions = server.ask("GET", &format!("{path}/versions"), None).await.body;
    let said = |field: &str| -> Vec<Value> {
        versions["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one[field].clone())
            .collect()
    };
    assert_eq!(said("version"), [2, 1]);
    assert_eq!(said("comment"), [json!("after the flood"), json!(null)]);
    assert_eq!(versions["versions"][1]["rule"]["above"], 3.5);
    assert_eq!(server.alerting.on_rules_changed.borrow()[0].version, 2);
}

#[tokio::test]
async fn a_composite_knows_its_members_and_they_stay() {
    let server = Server::start(false).await;
    let river = |name: &str| {
        json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor",
        "above": 3.5, "severity": "major"})
    };
    let of = |name: &str, members: &[&str]| {
        json!({"name": name, "kind": "composite", "all": members, "by": "none",
        "severity": "major"})
    };
    let unknown = server
        .ask("POST", "/v1/rules", Some(of("both", &["a", "b"])))
        .await;
    assert_eq!(unknown.status, 422);
    assert!(
        unknown.body["detail"]
            .as_str()
            .unwrap()
            .contains("there is no rule \"a\""),
        "{}",
        unknown.body
    );
    let a = server.ask("POST", "/v1/rules", Some(river("a"))).await;
    server.ask("POST", "/v1/rules", Some(river("b"))).await;
    for (name, of_those) in [
        ("one", ["a", "b"]),
        ("two", ["one", "b"]),
        ("three", ["two", "b"]),
    ] {
        let made = server.ask("POST", "/v1/rules", Some(of(name, &of_those))).await;
        assert_eq!(made.status, 201, "{name} {}", made.body);
    }
    let deep = server
        .ask("POST", "/v1/rules", Some(of("four", &["three", "b"])))
        .await;
    assert!(
        deep.body["detail"].as_str().unwrap().contains("up to 3 deep"),
        "{}",
        deep.body
    );
    let own = server
        .ask("POST", "/v1/rules", Some(of("self", &["self", "b"])))
        .await;
    assert!(
        own.body["detail"]
            .as_str()
            .unwrap()
            .contains("not made of \"self\" itself"),
        "{}",
        own.body
    );
    let path = format!("/v1/rules/{}", a.body["id"].as_str().unwrap());
    let kept = server.ask("DELETE", &path, None).await;
    assert_eq!(kept.status, 409);
    assert!(
        kept.body["detail"]
            .as_str()
            .unwrap()
            .contains("a part of \"one\""),
        "{}",
        kept.body
    );
}

#[tokio::test]
async fn a_rule_that_is_off_or_watches_something_else_ends_its_alerts() {
    let server = Server::start(true).await;
    for (change, reason) in [
        (json!({"enabled": false}), "rule_off"),
        (json!({"layer": "rain"}), "rule_changed"),
        (json!({"above": 3.7, "severity": "minor"}), "none"),
    ] {
        let mut rule = river();
        rule["name"] = json!(reason);
        rule["webhooks"] = json!([]);
        rule["for"] = json!("0s");
        let made = server.ask("POST", "/v1/rules", Some(rule.clone())).await;
        let id = made.body["id"].as_str().unwrap().to_owned();
        let stored = server.alerting.decisions.rule(&id).await.unwrap().unwrap();
        let mut sensors = SensorRules::new([stored.rule].into());
        let now = chrono::Utc::now().timestamp_micros();
        sensors.observe(
            "p0",
            SensorReading {
                layer: "water_level",
                sensor: "river-7",
                cell: 0x0894_11d3_68b7_ffff,
                value: 4.0,
                at: EventTime::from_micros(now),
                areas: &[],
            },
        );
        let fired = sensors.take_transitions();
        server
            .alerting
            .record(&fired, crate::alerts::store::Notify::Send, now)
            .await
            .unwrap();
        for (field, value) in change.as_object().unwrap() {
            rule[field] = value.clone();
        }
        let put = server.client.put(format!("{}/v1/rules/{id}", server.url));
        let answer = put.header("if-match", "*").json(&rule).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let alert = server
            .ask("GET", &format!("/v1/alerts/{}", fired[0].episode), None)
            .await
            .body;
        if reason == "none" {
            assert_eq!(
                (&alert["state"], &alert["reason"]),
                (&json!("firing"), &json!(null))
            );
        } else {
            assert_eq!(
                (&alert["state"], &alert["reason"]),
                (&json!("resolved"), &json!(reason))
            );
            // Whoever has not heard of the change yet begins nothing.
            let late = [fired[0].clone()].map(|mut late| {
                late.at = late.at.plus(1);
                late.fired_at = late.at;
                late.episode = "late".to_owned();
                late
            });
            server
                .alerting
                .record(&late, crate::alerts::store::Notify::Send, now)
                .await
                .unwrap();
            assert_eq!(server.ask("GET", "/v1/alerts/late", None).await.status, 404);
        }
    }
}

#[tokio::test]
async fn an_invalid_rule_is_a_problem_that_tells_what_to_change() {
    let server = Server::start(false).await;
    let mut rule = river();
    rule["kind"] = json!("burst");
    let refused = server.ask("POST", "/v1/rules", Some(rule)).await;
    assert_eq!(
        (refused.status, refused.content_type.as_str()),
        (422, "application/problem+json")
    );
    let kinds =
        "threshold, sql, no_data, composite, risk; burst, trend, clusters and geofence are not available";
    let expected = json!({"type": "urn:riskgrid:problem:invalid", "title": "It is not acceptable", "status": 422,
        "detail": format!("`kind` is \"burst\"; allowed: {kinds}"),
        "errors": [{"field": "kind", "found": "\"burst\"", "allowed": kinds}]});
    assert_eq!(refused.body, expected);
    let response = server
        .client
        .post(format!("{}/v1/rules", server.url))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 415);
}

#[tokio::test]
async fn a_secret_is_shown_once() {
    let server = Server::start(false).await;
    let made = server.ask("POST", "/v1/webhooks", Some(ops())).await;
    let (id, secret) = (
        made.body["id"].as_str().unwrap(),
        made.body["secret"].as_str().unwrap(),
    );
    assert!(secret.starts_with("whsec_"));
    assert_eq!(server.ask("POST", "/v1/webhooks", Some(ops())).await.status, 409);
    for path in [
        "/v1/webhooks".to_owned(),
        format!("/v1/webhooks/{id}"),
        format!("/v1/webhooks/{id}/deliveries"),
    ] {
        let answer = server.ask("GET", &path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.to_string().contains("whsec_"), "{path}");
    }
    assert_eq!(
        server
            .ask("DELETE", &format!("/v1/webhooks/{id}"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        server
            .ask("GET", &format!("/v1/webhooks/{id}"), None)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_private_address_is_refused_and_the_password_in_a_url_too() {
    let server = Server::start(false).await;
    for url in [
        "https://10.0.0.1/",
        "http://ops.example/",
        "https://me:word@ops.example/",
    ] {
        let refused = server
            .ask("POST", "/v1/webhooks", Some(json!({"name": "x", "url": url})))
            .await;
        assert_eq!(refused.status, 422, "{url}");
        assert!(!refused.body.to_string().contains("word@"), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_test_tells_what_the_receiver_answered() {
    let server = Server::start(true).await;
    let receiver = listen(
        Router::new().fallback(|body: String| async move { (axum::http::StatusCode::ACCEPTED, body) }),
    )
    .await;
    let made = server
        .ask(
            "POST",
            "/v1/webhooks",
            Some(json!({"name": "here", "url": receiver})),
        )
        .await;
    let path = format!("/v1/webhooks/{}/test", made.body["id"].as_str().unwrap());
    let tested = server.ask("POST", &path, None).await;
    assert_eq!(
        (tested.status, &tested.body["delivered"], &tested.body["status"]),
        (200, &json!(true), &json!(202))
    );
    let made = server
        .ask(
            "POST",
            "/v1/webhooks",
            Some(json!({"name": "nobody", "url": "http://127.0.0.1:1/"})),
        )
        .await;
    let path = format!("/v1/webhooks/{}/test", made.body["id"].as_str().unwrap());
    let tested = server.ask("POST", &path, None).await;
    assert_eq!(
        (tested.status, &tested.body["delivered"], &tested.body["status"]),
        (200, &json!(false), &json!(null))
    );
    assert!(
        tested.body["error"].as_str().unwrap().contains("refused"),
        "{}",
        tested.body
    );
}

#[tokio::test]
async fn alerts_are_listed_acknowledged_and_told_to_followers() {
    let server = Server::start(false).await;
    let mut rule = river();
    rule["webhooks"] = json!([]);
    rule["for"] = json!("0s");
    assert_eq!(server.ask("POST", "/v1/rules", Some(rule)).await.status, 201);
    let mut changes = server.alerting.changes.subscribe();
    let mut rules = SensorRules::new(server.alerting.on_rules_changed.borrow().clone());
    let (at, now) = (1_795_334_400_000_000, 1_795_334_401_000_000);
    for sensor in ["river-7", "river-8"] {
        let reading = SensorReading {
            layer: "water_level",
            sensor,
            cell: 0x0894_11d3_68b7_ffff,
            value: 3.62,
            at: EventTime::from_micros(at),
            areas: &[],
        };
        rules.observe("p0", reading);
    }
    server
        .alerting
        .record(&rules.take_transitions(), Notify::Send, now)
        .await
        .unwrap();
    let told = [changes.recv().await.unwrap(), changes.recv().await.unwrap()];
    assert!(told[0].id < told[1].id, "of one time: by their ids");
    let sensors: std::collections::BTreeSet<_> =
        told.iter().filter_map(|one| one.sensor.as_deref()).collect();
    assert_eq!(sensors, ["river-7", "river-8"].into());

    let first = server.ask("GET", "/v1/alerts?limit=1", None).await.body;
    let next = first["next"].as_str().unwrap();
    let second = server
        .ask("GET", &format!("/v1/alerts?limit=1&after={next}"), None)
        .await
        .body;
    assert_eq!(second["next"], json!(null));
    let alert = &second["alerts"][0];
    let id = alert["id"].as_str().unwrap();
    assert_eq!(
        (&alert["cell"], &alert["at"]),
        (&json!("89411d368b7ffff"), &json!("2026-11-22T08:00:00Z"))
    );
    assert_eq!(
        (&alert["state"], &alert["resolved_at"]),
        (&json!("firing"), &json!(null))
    );
    assert_eq!(alert["evidence"]["limit"], json!(3.5));

    let acknowledged = server.ask("POST", &format!("/v1/alerts/{id}/ack"), None).await;
    assert_eq!(
        (acknowledged.status, &acknowledged.body["state"]),
        (200, &json!("acknowledged"))
    );
    assert_eq!(
        server.ask("GET", &format!("/v1/alerts/{id}"), None).await.body,
        acknowledged.body
    );
    let firing = server.ask("GET", "/v1/alerts?state=firing", None).await.body;
    assert_eq!(firing["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(server.ask("POST", "/v1/alerts/none/ack", None).await.status, 404);
    for bad in ["state=open", "limit=0", "limit=x", "after=y", "stat=firing"] {
        let refused = server.ask("GET", &format!("/v1/alerts?{bad}"), None).await;
        assert_eq!(
            (refused.status, refused.content_type.as_str()),
            (400, "application/problem+json"),
            "{bad}"
        );
    }
}

/// An alert of `river-7`, decided now. Its id.
async fn fire(server: &Server) -> String {
    let mut rules = SensorRules::new(server.alerting.on_rules_changed.borrow().clone());
    let now = (server.alerting.clock)();
    let reading = SensorReading {
        layer: "water_level",
        sensor: "river-7",
        cell: 0x0894_11d3_68b7_ffff,
        value: 3.62,
        at: EventTime::from_micros(now),
        areas: &[],
    };
    rules.observe("p0", reading);
    let transitions = rules.take_transitions();
    server
        .alerting
        .record(&transitions, Notify::Send, now)
        .await
        .unwrap();
    transitions[0].episode.clone()
}

fn in_hours(hours: i64) -> String {
    (chrono::Utc::now() + chrono::Duration::hours(hours)).to_rfc3339()
}

#[tokio::test]
async fn who_takes_an_alert_says_who_why_and_until_when_and_gives_it_back() {
    let server = Server::start(false).await;
    let mut rule = river();
    (rule["webhooks"], rule["for"]) = (json!([]), json!("0s"));
    server.ask("POST", "/v1/rules", Some(rule)).await;
    let id = fire(&server).await;
    let path = |verb: &str| format!("/v1/alerts/{id}/{verb}");
    for (field, bad) in [
        ("until", json!({"until": "soon"})),
        ("until", json!({"until": in_hours(-1)})),
        ("until", json!({"until": in_hours(7 * 24 + 1)})),
        ("by", json!({"by": " "})),
        ("comment", json!({"comment": "x".repeat(2_001)})),
        ("reason", json!({"reason": "none"})),
    ] {
        let refused = server.ask("POST", &path("ack"), Some(bad.clone())).await;
        assert_eq!(refused.status, 422, "{bad}");
        assert!(
            refused.body["detail"].as_str().unwrap().contains(field),
            "{bad}: {}",
            refused.body
        );
    }
    assert_eq!(server.ask("POST", &path("unack"), None).await.status, 409);
    let terms = json!({"by": "anna", "comment": "on my way", "until": in_hours(2)});
    let taken = server.ask("POST", &path("ack"), Some(terms)).await;
    assert_eq!(
        (taken.status, &taken.body["state"]),
        (200, &json!("acknowledged"))
    );
    assert_eq!(
        (
            &taken.body["acknowledged_by"],
            &taken.body["acknowledged_comment"]
        ),
        (&json!("anna"), &json!("on my way"))
    );
    let given_back = server.ask("POST", &path("unack"), None).await;
    assert_eq!(
        (given_back.status, &given_back.body["state"]),
        (200, &json!("firing"))
    );
    assert_eq!(given_back.body["acknowledged_by"], Value::Null);
    // Who says nothing of who they are is who asks.
    let taken = server.ask("POST", &path("ack"), None).await;
    assert_eq!(taken.body["acknowledged_by"], json!(admin().deed("").who));
    assert_eq!(
        server.ask("POST", "/v1/alerts/none/unack", None).await.status,
        404
    );
}

#[tokio::test]
async fn what_is_taken_until_a_time_fires_again_by_itself() {
    let server = Server::start(false).await;
    let mut rule = river();
    (rule["webhooks"], rule["for"]) = (json!([]), json!("0s"));
    server.ask("POST", "/v1/rules", Some(rule)).await;
    let id = fire(&server).await;
    let until = chrono::Utc::now() + chrono::Duration::milliseconds(1_500);
    let terms = json!({"until": until.to_rfc3339()});
    let taken = server
        .ask("POST", &format!("/v1/alerts/{id}/ack"), Some(terms))
        .await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    let begun = std::time::Instant::now();
    while server.ask("GET", &format!("/v1/alerts/{id}"), None).await.body["state"] != "firing" {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "it is still acknowledged"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_silence_is_previewed_made_listed_and_ended_and_then_its_alerts_are_told() {
    let server = Server::start(false).await;
    server.ask("POST", "/v1/webhooks", Some(ops())).await;
    let mut rule = river();
    rule["for"] = json!("0s");
    server.ask("POST", "/v1/rules", Some(rule)).await;
    let silence = json!({"match": {"rule": ["river high"]}, "ends_at": in_hours(2), "comment": "the gauge is repaired"});
    for (field, bad) in [
        (
            "comment",
            json!({"match": {"rule": ["a"]}, "ends_at": in_hours(1)}),
        ),
        ("match", json!({"ends_at": in_hours(1), "comment": "all"})),
        (
            "ends_at",
            json!({"match": {"rule": ["a"]}, "ends_at": in_hours(31 * 24), "comment": "long"}),
        ),
        (
            "lables",
            json!({"match": {"lables": {}}, "ends_at": in_hours(1), "comment": "typo"}),
        ),
        (
            "severity",
            json!({"match": {"severity": ["grave"]}, "ends_at": in_hours(1), "comment": "typo"}),
        ),
    ] {
        let refused = server.ask("POST", "/v1/silences", Some(bad.clone())).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.body);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(
            detail.contains(field) || detail.contains("grave"),
            "{bad}: {detail}"
        );
    }
    let preview = server
        .ask("POST", "/v1/silences?dry_run=true", Some(silence.clone()))
        .await;
    assert_eq!(
        (preview.status, preview.body),
        (200, json!({"open": [], "last_7d": 0, "by_severity": {}}))
    );
    assert_eq!(
        server.ask("GET", "/v1/silences", None).await.body["silences"],
        json!([])
    );

    let made = server.ask("POST", "/v1/silences", Some(silence)).await;
    assert_eq!((made.status, &made.body["state"]), (201, &json!("active")));
    let path = format!("/v1/silences/{}", made.body["id"].as_str().unwrap());
    let id = fire(&server).await;
    let hooks = server.ask("GET", "/v1/webhooks", None).await.body;
    let hook = hooks["webhooks"][0]["id"].as_str().unwrap().to_owned();
    let told = async || {
        let path = format!("/v1/webhooks/{hook}/deliveries");
        server.ask("GET", &path, None).await.body["deliveries"]
            .as_array()
            .unwrap()
            .clone()
    };
    assert_eq!(told().await, Vec::<Value>::new());
    assert_eq!(server.ask("GET", &path, None).await.body["held"], 1);
    assert_eq!(
        server.ask("GET", &format!("/v1/alerts/{id}"), None).await.body["state"],
        "firing"
    );

    assert_eq!(server.ask("DELETE", &path, None).await.status, 204);
    assert_eq!(
        server.ask("DELETE", &path, None).await.status,
        204,
        "it has ended already"
    );
    assert_eq!(server.ask("GET", &path, None).await.body["state"], "ended");
    let begun = std::time::Instant::now();
    while told().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "nobody is told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told().await[0]["alert"], json!(id));
    let listed = server.ask("GET", "/v1/silences", None).await.body;
    assert_eq!(
        (&listed["silences"][0]["id"], &listed["next"]),
        (&made.body["id"], &Value::Null)
    );
    for missing in ["GET", "DELETE"] {
        assert_eq!(server.ask(missing, "/v1/silences/none", None).await.status, 404);
    }
}

#[tokio::test]
async fn an_incident_is_listed_shown_with_its_history_and_taken_whole() {
    let server = Server::start(false).await;
    for (sensor, cell) in [("a", 0x0894_11d3_68b7_ffff_u64), ("b", 0x0894_11d3_68b3_ffff)] {
        let rule = json!({"name": sensor, "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.0,
            "severity": if sensor == "a" { "minor" } else { "major" }});
        assert_eq!(server.ask("POST", "/v1/rules", Some(rule)).await.status, 201);
        let made = server.alerting.on_rules_changed.borrow().clone();
        let mut rules = SensorRules::new(
            made.iter()
                .filter(|rule| *rule.name == *sensor)
                .cloned()
                .collect(),
        );
        rules.observe(
            "p0",
            SensorReading {
                layer: "water_level",
                sensor,
                cell,
                value: 4.0,
                at: EventTime::from_micros(1_795_334_400_000_000),
                areas: &[],
            },
        );
        let transitions = rules.take_transitions();
        server
            .alerting
            .record(&transitions, Notify::NotSentStale, 0)
            .await
            .unwrap();
    }
    let listed = server.ask("GET", "/v1/incidents?state=open", None).await.body;
    let incident = &listed["incidents"][0];
    assert_eq!(
        (listed["incidents"].as_array().unwrap().len(), &listed["next"]),
        (1, &Value::Null)
    );
    assert_eq!(
        (
            &incident["alerts"],
            &incident["open"],
            &incident["severity"],
            &incident["group"]
        ),
        (&json!(2), &json!(2), &json!("major"), &json!("water_level"))
    );
    let path = format!("/v1/incidents/{}", incident["id"].as_str().unwrap());
    let shown = server.ask("GET", &path, None).await.body;
    assert_eq!(shown["lineage"].as_array().unwrap().len(), 3, "{shown}");
    let taken = server
        .ask(
            "POST",
            &format!("{path}/ack"),
            Some(json!({"by": "anna", "comment": "on my way"})),
        )
        .await;
    assert_eq!((taken.status, &taken.body["acknowledged"]), (200, &json!(2)));
    let alerts = server
        .ask("GET", "/v1/alerts?state=acknowledged", None)
        .await
        .body;
    assert_eq!(alerts["alerts"][0]["acknowledged_comment"], "on my way");
    assert_eq!(alerts["alerts"][0]["incident"], incident["id"]);
    assert_eq!(
        server.ask("GET", "/v1/incidents/inc_none", None).await.status,
        404
    );
    assert_eq!(
        server.ask("GET", "/v1/incidents?state=shut", None).await.status,
        400
    );
}
