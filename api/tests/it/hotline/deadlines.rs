//! Whose a case is, by when it must be done, and what happens when it is not.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::{Hotline, problem};
use crate::server::eventually;

/// Offices by layer, and one for all that nobody has.
fn duty() -> Value {
    json!({"rows": [
        {"id": "r1", "layer": "light", "office": "lighting", "with": ["police"]},
        {"id": "r2", "layer": "noise", "office": "police"},
        {"id": "r9", "office": "district", "fallback": true},
    ]})
}

/// Working dates of one place, without a holiday.
fn calendar() -> Value {
    let day = json!(["09:00-12:00", "13:30-17:30"]);
    json!({"zone": "Asia/Shanghai", "week": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": [],
        "sun": []}, "days": {}})
}

fn rules(handle: &str) -> Value {
    let mut term = json!({"term": handle, "yellow": "1wd"});
    if handle.ends_with("wd") {
        term["extend"] = json!("3wd");
        term["extensions"] = json!(1);
    }
    json!({"name": "test", "rules": [{"id": "all", "calendar": "office", "self_service": true, "clocks": {
        "accept": "2h", "respond": "1wd", "citizen": "30wd", "return": "1h", "handle": term}}]})
}

async fn with_rules(handle: &str) -> Hotline {
    let hotline = Hotline::start();
    for (path, body) in [
        ("/v1/calendars/office", calendar()),
        ("/v1/hotline/rules", rules(handle)),
        ("/v1/duty", duty()),
    ] {
        let put = hotline.put(path, "\"0\"", &body).await;
        assert_eq!(
            (put.status, &put.body["version"]),
            (200, &json!(1)),
            "{path}: {}",
            put.body
        );
    }
    hotline
}

fn time(value: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap())
        .unwrap()
        .to_utc()
}

async fn clock(hotline: &Hotline, id: &str, name: &str) -> Value {
    let answer = hotline.server.get(&format!("/v1/cases/{id}/clocks")).await;
    let clocks = answer.body["clocks"].as_array().unwrap();
    clocks.iter().find(|clock| clock["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn data_have_versions_and_what_cannot_be_is_told() {
    let hotline = with_rules("5wd").await;
    let shown = hotline.server.get("/v1/duty").await;
    assert_eq!(shown.body, duty());
    // A calendar and rules that riskgrid ships are there, at version 0.
    let shipped = hotline.server.get("/v1/calendars/cn").await;
    assert_eq!(
        (shipped.status, &shipped.body["zone"]),
        (200, &json!("Asia/Shanghai"))
    );
    assert_eq!(hotline.server.get("/v1/calendars/mars").await.status, 404);
    let again = hotline.put("/v1/duty", "\"0\"", &duty()).await;
    assert_eq!((again.status, &again.body["version"]), (412, &json!(1)));
    let tie = json!({"rows": [{"id": "a", "layer": "light", "office": "x"}, {"id": "b", "layer": "light", "office": "y"}]});
    let refused = hotline.put("/v1/duty", "\"1\"", &tie).await;
    assert_eq!((refused.status, problem(&refused)), (422, "ambiguous-rule"));
    for (path, body) in [
        ("/v1/duty", json!({"rows": [{"id": "a"}]})),
        (
            "/v1/hotline/rules",
            json!({"name": "x", "rules": [{"id": "a", "calendar": "mars"}]}),
        ),
        ("/v1/calendars/office", json!({"zone": "Mars/Phobos", "week": {}})),
    ] {
        let refused = hotline.put(path, "\"1\"", &body).await;
        assert_eq!((refused.status, problem(&refused)), (422, "invalid"), "{path}");
    }
    let refused = hotline
        .post("/v1/duty/preview", &[("riskgrid-duty", "handler")], &duty())
        .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn an_office_gets_a_case_returns_it_and_the_next_has_a_whole_term() {
    let hotline = with_rules("5wd").await;
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    let dispatched = hotline.moves(&id, &json!({"move": "dispatch"})).await;
    assert_eq!(dispatched["state"], "dispatched");
    let names: Vec<&str> = dispatched["clocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|clock| clock["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["citizen", "handle", "respond", "return"]);
    let why = hotline.server.get(&format!("/v1/cases/{id}/why")).await.body;
    assert_eq!(
        (&why["rule"], &why["matched"], &why["fallback"]),
        (&json!("r1"), &json!({"layer": "light"}), &json!(false))
    );
    let of_office = [("riskgrid-duty", "handler"), ("riskgrid-office", "police")];
    let path = format!("/v1/cases/{id}/moves");
    let elsewhere = hotline.post(&path, &of_office, &json!({"move": "start"})).await;
    assert_eq!(elsewhere.status, 404, "another office does not see it");
    hotline
        .moves(&id, &json!({"move": "return", "reason": "not ours"}))
        .await;
    let shown = hotline.show(&id).await;
    assert_eq!(
        (&shown["excluded"], &shown["returns"], &shown["office"]),
        (&json!(["lighting"]), &json!(1), &Value::Null)
    );
    assert_eq!(clock(&hotline, &id, "handle").await["state"], "stopped");
    hotline.moves(&id, &json!({"move": "dispatch"})).await;
    assert_eq!(hotline.show(&id).await["office"], "district");
    let handle = clock(&hotline, &id, "handle").await;
    assert_eq!(
        (&handle["generation"], &handle["state"]),
        (&json!(2), &json!("running"))
    );
    let refused = hotline
        .try_move(&id, &json!({"move": "return", "reason": "nor ours"}))
        .await;
    assert_eq!((refused.status, problem(&refused)), (409, "no-return"));
    hotline.moves(&id, &json!({"move": "start"})).await;
    assert_eq!(clock(&hotline, &id, "respond").await["state"], "stopped");
    hotline
        .moves(
            &id,
            &json!({"move": "reply", "result": "resolved", "text": "done"}),
        )
        .await;
    for name in ["handle", "citizen", "return"] {
        assert_eq!(clock(&hotline, &id, name).await["state"], "stopped", "{name}");
    }
    // Nobody closes the work of their own office.
    let version = hotline.show(&id).await["version"].to_string();
    let own = [
        ("riskgrid-duty", "reviewer"),
        ("riskgrid-office", "district"),
        ("if-match", &format!("\"{version}\"")),
    ];
    let refused = hotline.post(&path, &own, &json!({"move": "close"})).await;
    assert_eq!((refused.status, problem(&refused)), (409, "own-work"));
    hotline.moves(&id, &json!({"move": "close"})).await;
    assert_eq!(clock(&hotline, &id, "call_back").await["state"], "running");
    hotline
        .moves(&id, &json!({"move": "redo", "reason": "it is dark again"}))
        .await;
    let shown = hotline.show(&id).await;
    assert_eq!(
        (&shown["state"], &shown["round"], &shown["office"]),
        (&json!("handling"), &json!(2), &json!("district"))
    );
    assert_eq!(clock(&hotline, &id, "handle").await["generation"], 3);
}

#[tokio::test]
async fn extensions_and_pauses_move_a_deadline_never_earlier() {
    let hotline = with_rules("5wd").await;
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline.moves(&id, &json!({"move": "dispatch"})).await;
    let before = time(&clock(&hotline, &id, "handle").await["due"]);
    for (amount, status, kind) in [
        ("2d", 422, "invalid"),
        ("0wd", 422, "invalid"),
        ("4wd", 409, "extension-limit"),
    ] {
        let body = json!({"move": "extend", "amount": amount, "reason": "rain"});
        let refused = hotline.try_move(&id, &body).await;
        assert_eq!((refused.status, problem(&refused)), (status, kind), "{amount}");
    }
    hotline
        .moves(&id, &json!({"move": "extend", "amount": "3wd", "reason": "rain"}))
        .await;
    let after = time(&clock(&hotline, &id, "handle").await["due"]);
    assert!(after - before >= Duration::days(3), "{before} {after}");
    let again = json!({"move": "extend", "amount": "1wd", "reason": "more rain"});
    let refused = hotline.try_move(&id, &again).await;
    assert_eq!((refused.status, problem(&refused)), (409, "extension-limit"));
    let refused = hotline.try_move(&id, &json!({"move": "resume"})).await;
    assert_eq!((refused.status, problem(&refused)), (409, "not-paused"));
    let pause = json!({"move": "pause", "reason": "waiting_caller"});
    hotline.moves(&id, &pause).await;
    let refused = hotline.try_move(&id, &pause).await;
    assert_eq!((refused.status, problem(&refused)), (409, "paused"));
    assert_eq!(clock(&hotline, &id, "handle").await["state"], "paused");
    // Who leaves the office resumes first, by a row of its own.
    hotline
        .moves(
            &id,
            &json!({"move": "transfer", "office": "parks", "reason": "theirs"}),
        )
        .await;
    let rows = hotline.rows_of(&id).await;
    let last: Vec<&str> = rows.iter().rev().take(2).map(|(row, _)| row.as_str()).collect();
    assert_eq!(last, ["transfer", "resume"]);
    let shown = hotline.show(&id).await;
    assert_eq!(
        (&shown["office"], &shown["paused_at"]),
        (&json!("parks"), &Value::Null)
    );
}

#[tokio::test]
async fn what_is_late_is_red_within_a_second_and_whoever_follows_is_told() {
    let hotline = with_rules("2s").await;
    let hook = json!({"name": "desk", "url": "http://127.0.0.1:1/hook"});
    let made = hotline.post("/v1/webhooks", &[], &hook).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let webhook = made.body["id"].as_str().unwrap().to_owned();
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline.moves(&id, &json!({"move": "dispatch"})).await;
    eventually("a red card", async || {
        let handle = clock(&hotline, &id, "handle").await;
        (handle["card"] == "red").then_some(())
    })
    .await;
    let listed = hotline.server.get("/v1/cases?card=red").await;
    assert_eq!(listed.body["cases"][0]["id"], json!(id));
    let late = json!({"move": "extend", "amount": "1s", "reason": "x"});
    let refused = hotline.try_move(&id, &late).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let deliveries = hotline
        .server
        .get(&format!("/v1/webhooks/{webhook}/deliveries"))
        .await;
    let kinds: Vec<&str> = deliveries.body["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "case.moved").count(),
        3,
        "{kinds:?}"
    );
    assert!(kinds.contains(&"case.card"), "{kinds:?}");
    let rows = hotline
        .server
        .rows("SELECT state, office, card, breach_risk FROM cases")
        .await;
    assert_eq!(rows, [json!(["dispatched", "lighting", "red", 1.0])]);
    let rows = hotline
        .server
        .rows("SELECT name, card, state FROM case_clocks WHERE name = 'handle'")
        .await;
    assert_eq!(rows, [json!(["handle", "red", "running"])]);
    let rows = hotline
        .server
        .rows("SELECT move FROM case_moves ORDER BY seq")
        .await;
    assert_eq!(rows, [json!(["open"]), json!(["accept"]), json!(["dispatch"])]);
}

#[tokio::test]
async fn a_new_calendar_computes_running_clocks_anew_and_a_new_table_is_looked_at_first() {
    let hotline = with_rules("5wd").await;
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline.moves(&id, &json!({"move": "dispatch"})).await;
    let before = time(&clock(&hotline, &id, "handle").await["due"]);
    let mut other = calendar();
    for days in 0..10 {
        let date = (Utc::now() + Duration::days(days)).format("%Y-%m-%d").to_string();
        other["days"][date] = json!([]);
    }
    let put = hotline.put("/v1/calendars/office", "\"1\"", &other).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let after = time(&clock(&hotline, &id, "handle").await["due"]);
    assert!(after - before >= Duration::days(6), "{before} {after}");
    assert!(hotline.rows_of(&id).await.iter().any(|(row, _)| row == "note"));
    let table = json!({"rows": [{"id": "n1", "layer": "light", "office": "new lights"}]});
    let preview = hotline.post("/v1/duty/preview", &[], &table).await;
    assert_eq!(
        preview.body,
        json!({"cases": [{"case": id, "from": "lighting", "to": "new lights", "rule": "n1"}]})
    );
    assert_eq!(
        hotline.show(&id).await["office"],
        "lighting",
        "it is only looked at"
    );
    let mut table = table;
    table["redispatch"] = json!(true);
    hotline.post("/v1/duty/preview", &[], &table).await;
    assert_eq!(hotline.show(&id).await["office"], "new lights");
}

#[tokio::test]
async fn a_label_of_the_dispatch_chooses_the_rule() {
    let hotline = Hotline::start_with("[hotline]\nrules = \"beijing\"\n");
    let put = hotline.put("/v1/duty", "\"0\"", &duty()).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let mut terms = Vec::new();
    for dispatch in [
        json!({"move": "dispatch"}),
        json!({"move": "dispatch", "labels": ["hard"]}),
        json!({"move": "dispatch", "labels": ["other", "hard"]}),
    ] {
        let id = hotline.case(&json!({})).await;
        hotline.moves(&id, &json!({"move": "accept"})).await;
        hotline.moves(&id, &dispatch).await;
        let handle = clock(&hotline, &id, "handle").await;
        // To the end of the day, where no clock is put back or forward.
        terms.push((time(&handle["due"]) - time(&handle["start"])).num_days());
        assert!(hotline.show(&id).await["labels"].is_array());
    }
    assert_eq!(terms, [7, 15, 15]);
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    for (labels, status) in [
        (json!("hard"), 400),
        (json!([7]), 422),
        (json!(vec!["x"; 17]), 422),
    ] {
        let refused = hotline
            .try_move(&id, &json!({"move": "dispatch", "labels": labels}))
            .await;
        assert_eq!(refused.status, status, "{labels}: {}", refused.body);
    }
}

#[tokio::test]
async fn what_a_case_is_about_or_where_it_lies_comes_first_as_the_configuration_says() {
    let area = r#"
[[areas]]
level = "district"
file = "areas.geojson"
id = "id"
name = "id"
"#;
    let square = json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"id": "district-1"},
        "geometry": {"type": "Polygon", "coordinates":
            [[[113.9, 22.5], [114.0, 22.5], [114.0, 22.6], [113.9, 22.6], [113.9, 22.5]]]}}]});
    let duty = json!({"rows": [
        {"id": "by-duty", "layer": "light", "office": "lighting"},
        {"id": "by-area", "area": "district-1", "office": "district"},
    ]});
    for (order, office) in [("duty", "lighting"), ("area", "district")] {
        let mut server = crate::server::Server::not_started();
        std::fs::write(server.path("areas.geojson"), square.to_string()).unwrap();
        let section = format!("[hotline]\norder = \"{order}\"\n{area}");
        server.configure(&format!("{section}{}", super::LAYERS));
        server.restart();
        let hotline = Hotline { server };
        hotline.put("/v1/duty", "\"0\"", &duty).await;
        let id = hotline.case(&json!({})).await;
        hotline.moves(&id, &json!({"move": "accept"})).await;
        hotline.moves(&id, &json!({"move": "dispatch"})).await;
        assert_eq!(hotline.show(&id).await["office"], office);
        let why = hotline.server.get(&format!("/v1/cases/{id}/why")).await.body;
        assert_eq!(why["beaten"].as_array().unwrap().len(), 1, "{why}");
    }
}
