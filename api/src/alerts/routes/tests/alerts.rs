//! Alerts: listed, taken, given back, and told to who follows them.

use super::*;

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
