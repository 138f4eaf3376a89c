//! Cases and the log: each report is one case, whatever is read again, and a case that was stored has its event.

use chrono::{Duration, Utc};
use serde_json::{Value, json};

use super::Hotline;
use crate::server::eventually;

fn event(id: &str, report: &str, op: &str, category: &str, seconds_ago: i64) -> Value {
    let time = (Utc::now() - Duration::seconds(seconds_ago)).to_rfc3339();
    json!({"specversion": "1.0", "id": id, "source": "//city/311", "type": "riskgrid.report.v1", "time": time,
        "data": {"report": report, "op": op, "category": category, "lon": 113.95, "lat": 22.54, "channel": "phone",
            "severity": 3}})
}

async fn post(hotline: &Hotline, events: &[Value]) {
    let batch = Value::from(events.to_vec()).to_string();
    let media_type = "application/cloudevents-batch+json";
    let answer = hotline.server.post(media_type, batch).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

async fn cases(hotline: &Hotline, count: usize) -> Vec<Value> {
    eventually("cases of reports", async || {
        let answer = hotline.server.get("/v1/cases").await;
        let cases = answer.body["cases"].as_array()?.clone();
        (cases.len() == count).then_some(cases)
    })
    .await
}

#[tokio::test]
async fn a_report_of_the_log_is_one_case_and_others_decide_mirrors() {
    let hotline = Hotline::start();
    let first = event("1", "r1", "open", "light", 30);
    post(&hotline, &[first.clone(), event("2", "r2", "open", "plain", 30)]).await;
    let made = cases(&hotline, 1).await;
    assert_eq!(
        (
            &made[0]["source"],
            &made[0]["report"],
            &made[0]["mode"],
            &made[0]["severity"]
        ),
        (&json!("//city/311"), &json!("r1"), &json!("own"), &json!(3))
    );
    let id = made[0]["id"].as_str().unwrap().to_owned();
    // The same event is no news; another one of the report is a note; what others close of ours is not closed.
    post(
        &hotline,
        &[
            first,
            event("3", "r1", "open", "light", 20),
            event("4", "r1", "close", "light", 10),
            // A close that comes before its open.
            event("5", "p1", "close", "pothole", 5),
            event("6", "p1", "open", "pothole", 15),
            event("7", "p2", "open", "pothole", 15),
        ],
    )
    .await;
    let all = cases(&hotline, 3).await;
    let rows: Vec<String> = hotline
        .rows_of(&id)
        .await
        .into_iter()
        .map(|(row, _)| row)
        .collect();
    assert_eq!(rows, ["open", "note"]);
    let state_of = |report: &str| {
        let case = all.iter().find(|case| case["report"] == json!(report)).unwrap();
        case["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (state_of("p1").as_str(), state_of("p2").as_str()),
        ("finished", "handling")
    );
    let mirror = all.iter().find(|case| case["report"] == "p2").unwrap();
    let refused = hotline
        .try_move(
            mirror["id"].as_str().unwrap(),
            &json!({"move": "note", "text": "x"}),
        )
        .await;
    assert_eq!((refused.status, super::problem(&refused)), (409, "mirrored"));
}

#[tokio::test]
async fn a_killed_server_has_each_case_once_and_its_event_too() {
    let mut hotline = Hotline::start();
    for round in 0..4 {
        let events: Vec<Value> = (0..20)
            .map(|number| {
                let name = format!("{round}-{number}");
                event(&name, &name, "open", "light", 60)
            })
            .collect();
        post(&hotline, &events).await;
        let case = json!({"kind": "help", "layer": "light", "lon": 113.9, "lat": 22.5});
        let key = format!("call-{round}");
        let headers = [("idempotency-key", key.as_str())];
        let posted = hotline.post("/v1/cases", &headers, &case);
        // The kill comes somewhere in between.
        tokio::select! {
            answer = posted => assert_eq!(answer.status, 201),
            () = tokio::time::sleep(std::time::Duration::from_millis(3 * round)) => {}
        }
        hotline.server.kill();
        hotline.server.restart();
        // Whoever had no answer asks again.
        let again = hotline
            .post("/v1/cases", &[("idempotency-key", &key)], &case)
            .await;
        assert_eq!(again.status, 201, "{}", again.body);
    }
    cases(&hotline, 84).await;
    let events = "SELECT count(*) FROM events WHERE layer = 'light'";
    hotline.server.rows_become(events, &json!([[84]])).await;
    for case in cases(&hotline, 84).await {
        assert_eq!(case["version"], 1, "{case}");
        assert_eq!(case["observed"], "yes", "{case}");
    }
}

#[tokio::test]
async fn what_ends_at_the_hotline_ends_on_the_grid() {
    let hotline = Hotline::start();
    let id = hotline.case(&json!({})).await;
    let report = hotline.show(&id).await["report"].clone();
    hotline.moves(&id, &json!({"move": "accept"})).await;
    hotline
        .moves(&id, &json!({"move": "answer", "text": "done"}))
        .await;
    hotline.moves(&id, &json!({"move": "close"})).await;
    hotline
        .server
        .rows_become(
            "SELECT report, status, outcome FROM reports",
            &json!([[report, "closed", "unknown"]]),
        )
        .await;
    // Where nobody knows, there is no event before somebody does.
    let unlocated = hotline
        .post("/v1/cases", &[], &json!({"kind": "help", "layer": "light"}))
        .await;
    assert_eq!(unlocated.body["place"]["quality"], "unlocated");
    let id = unlocated.body["id"].as_str().unwrap();
    assert_eq!(hotline.show(id).await["observed"], "no");
    hotline
        .moves(id, &json!({"move": "locate", "lon": 114.0, "lat": 22.6}))
        .await;
    let opened = hotline.show(id).await["opened_at"].clone();
    let rows = eventually("its event", async || {
        let rows = hotline
            .server
            .rows("SELECT time FROM events WHERE op = 'open' AND lon = 114.0")
            .await;
        (!rows.is_empty()).then_some(rows)
    })
    .await;
    let at = |value: &Value| {
        chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap())
            .unwrap()
            .timestamp_micros()
    };
    assert_eq!(at(&rows[0][0]), at(&opened));
}
