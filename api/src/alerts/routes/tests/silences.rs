//! Silences and incidents.

use super::*;

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
