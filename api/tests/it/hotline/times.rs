//! What happens by itself when a time comes, and what takes it back.

use serde_json::{Value, json};

use super::{Hotline, problem};
use crate::server::eventually;

fn rules(handle: &Value) -> Value {
    json!({"name": "test", "rules": [{"id": "all", "calendar": "cn", "self_service": true, "clocks": {"handle": handle}}]})
}

async fn dispatched(hotline: &Hotline, handle: &Value) -> String {
    let duty = json!({"rows": [{"id": "l", "layer": "light", "office": "lighting"}]});
    for (path, body) in [("/v1/hotline/rules", rules(handle)), ("/v1/duty", duty)] {
        let put = hotline.put(path, "\"0\"", &body).await;
        assert_eq!(put.status, 200, "{path}: {}", put.body);
    }
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline.moves(&id, &json!({"move": "dispatch"})).await;
    id
}

/// Waits until the newest row of a case is a move, made by riskgrid itself.
async fn moved_by_itself(hotline: &Hotline, id: &str, name: &str) -> Value {
    eventually(name, async || {
        let rows = hotline.server.get(&format!("/v1/cases/{id}/moves")).await.body;
        let last = rows["moves"].as_array()?.last()?.clone();
        (last["move"] == json!(name)).then_some(last)
    })
    .await
}

#[tokio::test]
async fn a_card_is_withdrawn_where_the_deadline_moves_away_from_it() {
    let hotline = Hotline::start();
    let hook = json!({"name": "desk", "url": "http://127.0.0.1:1/hook"});
    let made = hotline.post("/v1/webhooks", &[], &hook).await;
    let webhook = made.body["id"].as_str().unwrap().to_owned();
    // Yellow comes two seconds after the start.
    let id = dispatched(
        &hotline,
        &json!({"term": "3600s", "yellow": "3598s", "extend": "7200s", "extensions": 1}),
    )
    .await;
    eventually("a yellow card", async || {
        (hotline.show(&id).await["card"] == "yellow").then_some(())
    })
    .await;
    hotline
        .moves(
            &id,
            &json!({"move": "extend", "amount": "7200s", "reason": "a part is missing"}),
        )
        .await;
    assert_eq!(hotline.show(&id).await["card"], "none");
    assert_eq!(
        hotline.server.get("/v1/cases?card=yellow").await.body["cases"],
        json!([])
    );
    let path = format!("/v1/webhooks/{webhook}/deliveries");
    let told = eventually("both are told", async || {
        let deliveries = hotline.server.get(&path).await.body;
        let kinds: Vec<String> = deliveries["deliveries"]
            .as_array()?
            .iter()
            .filter_map(|delivery| delivery["type"].as_str().map(str::to_owned))
            .filter(|kind| kind.starts_with("case.card"))
            .collect();
        (kinds.len() == 2).then_some(kinds)
    })
    .await;
    assert!(told.contains(&"case.card".to_owned()) && told.contains(&"case.card_withdrawn".to_owned()));
}

#[tokio::test]
async fn who_is_not_reached_in_time_is_called_no_more() {
    let hotline = Hotline::start_with("[hotline]\ncall_back = \"2s\"\n");
    let id = hotline.case(&json!({})).await;
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline
        .moves(&id, &json!({"move": "answer", "text": "done"}))
        .await;
    hotline.moves(&id, &json!({"move": "close"})).await;
    let lapse = moved_by_itself(&hotline, &id, "lapse").await;
    assert_eq!(
        [&lapse["actor"], &lapse["duty"], &lapse["to_state"]],
        [&json!("system"), &json!("system"), &json!("finished")]
    );
    // Once, and the clock is stopped by it.
    let clocks = hotline.server.get(&format!("/v1/cases/{id}/clocks")).await.body;
    assert!(
        clocks["clocks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|clock| clock["state"] == "stopped")
    );
    let late = json!({"move": "call_back", "reached": false});
    let refused = hotline.try_move(&id, &late).await;
    assert_eq!((refused.status, problem(&refused)), (409, "illegal-move"));
    // Who is heard of later may still say so.
    hotline
        .moves(&id, &json!({"move": "rate", "resolved": "yes", "rating": 4}))
        .await;
}

#[tokio::test]
async fn a_pause_ends_by_itself_and_the_deadline_has_moved_by_it() {
    let hotline = Hotline::start_with("[hotline]\nlongest_pause = \"3s\"\n");
    let id = dispatched(&hotline, &json!("3600s")).await;
    let due = async || {
        let clocks = hotline.server.get(&format!("/v1/cases/{id}/clocks")).await.body;
        let handle = clocks["clocks"].as_array().unwrap()[0].clone();
        chrono::DateTime::parse_from_rfc3339(handle["due"].as_str().unwrap()).unwrap()
    };
    let before = due().await;
    hotline
        .moves(&id, &json!({"move": "pause", "reason": "waiting_other"}))
        .await;
    let resume = moved_by_itself(&hotline, &id, "resume").await;
    assert_eq!(
        [&resume["actor"], &resume["duty"]],
        [&json!("system"), &json!("system")]
    );
    let moved = due().await - before;
    assert!(moved >= chrono::Duration::seconds(3), "{moved}");
    assert_eq!(hotline.show(&id).await["paused_at"], Value::Null);
    let refused = hotline.try_move(&id, &json!({"move": "resume"})).await;
    assert_eq!((refused.status, problem(&refused)), (409, "not-paused"));
}

#[tokio::test]
async fn a_request_that_is_sent_many_times_at_once_is_done_once() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    let path = format!("/v1/cases/{id}/moves");
    let headers = [("if-match", "\"1\""), ("idempotency-key", "accept-it")];
    let body = json!({"move": "accept"});
    let asked = (0..50).map(|_| hotline.post(&path, &headers, &body));
    let answers = futures::future::join_all(asked).await;
    let mut done = 0;
    for answer in &answers {
        match answer.status {
            200 => {
                done += 1;
                assert_eq!(
                    (&answer.body["state"], &answer.body["version"]),
                    (&json!("accepted"), &json!(2))
                );
            }
            409 => assert_eq!(problem(answer), "in-progress", "{}", answer.body),
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert!(done >= 1);
    for _ in 0..3 {
        let again = hotline
            .ask(reqwest::Method::POST, &path, &headers, Some(&body))
            .await;
        assert_eq!(again.headers()["idempotent-replay"], "true");
    }
    assert_eq!(hotline.rows_of(&id).await.len(), 2);
    let case = json!({"kind": "help", "layer": "light", "lon": 113.9, "lat": 22.5});
    let key = [("idempotency-key", "call-9")];
    let asked = (0..50).map(|_| hotline.post("/v1/cases", &key, &case));
    let answers = futures::future::join_all(asked).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.body["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    let all = hotline.server.get("/v1/cases").await.body;
    assert_eq!(all["cases"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn every_case_is_what_its_moves_come_to() {
    use riskgrid_analytics::hotline::moves::{Mode, fold};
    let hotline = Hotline::start();
    let id = dispatched(&hotline, &json!("5wd")).await;
    let split =
        json!({"move": "split", "reason": "two things", "cases": [{"kind": "help"}, {"layer": "light"}]});
    hotline.moves(&id, &split).await;
    let all = hotline.server.get("/v1/cases").await.body["cases"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(all.len(), 3);
    for case in &all {
        let part = case["id"].as_str().unwrap();
        if part != id {
            hotline.moves(part, &json!({"move": "dispatch"})).await;
            hotline.moves(part, &json!({"move": "start"})).await;
        }
        let shown = hotline.show(part).await;
        let mode = if shown["split_of"].is_null() {
            Mode::Own
        } else {
            Mode::Split
        };
        let rows = hotline.server.get(&format!("/v1/cases/{part}/moves")).await.body;
        let rows: Vec<[String; 3]> = rows["moves"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| ["move", "from_state", "to_state"].map(|name| row[name].as_str().unwrap().to_owned()))
            .collect();
        let folded = fold(
            mode,
            rows.iter().map(|[name, from, to]| (&**name, &**from, &**to)),
        )
        .unwrap();
        assert_eq!(json!(folded.state.as_str()), shown["state"]);
        assert_eq!(json!(folded.version), shown["version"]);
    }
}
