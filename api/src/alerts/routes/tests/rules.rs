//! Rules: made, changed, with all their versions, and deleted.

use super::*;

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
