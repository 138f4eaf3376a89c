//! Dead letters of the journal and of the HTTP intake: listed, read, replayed once the configuration is mended, and
//! counted once whatever happens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::server::{Answer, Server, eventually, reading_at};

const NDJSON: &str = "application/x-ndjson";
/// With it, observations of `noise` have a layer beside the reports of `noise`.
const NOISE_LEVEL: &str =
    "[[layers]]\nid = \"noise_level\"\nkind = \"observation\"\nnames = [\"noise\"]\nunit = \"dB\"\n";
const COUNTED: &str = "SELECT sum(count) FROM cells WHERE layer = 'noise_level'";
const OPEN: &str = "SELECT count(*) FROM dead_letters WHERE replayed IS NULL";
const SETTLED: &str = "SELECT count(*) FROM dead_letters WHERE replayed IS NOT NULL";

fn noise(number: usize, time: DateTime<Utc>) -> Value {
    let mut event = reading_at(&format!("n{number}"), "microphone", 60.0, time);
    event["data"]["property"] = json!("noise");
    event["data"]["unit"] = json!("dB");
    event
}

/// A server that has refused so many observations: in the same request the name became a layer of reports.
async fn server_with_letters(count: usize) -> (Server, DateTime<Utc>) {
    let server = Server::start();
    let time = Utc::now();
    let mut report = reading_at("r", "citizen", 0.0, time);
    report["type"] = json!("riskgrid.report.v1");
    report["data"] = json!({"category": "noise", "lon": report["data"]["lon"], "lat": report["data"]["lat"]});
    let observations = (0..count).map(|number| noise(number, time).to_string());
    let lines: Vec<String> = std::iter::once(report.to_string()).chain(observations).collect();
    let answer = server.post(NDJSON, lines.join("\n")).await;
    assert_eq!(answer.body["accepted"], json!(count + 1), "{}", answer.body);
    server.rows_become(OPEN, &json!([[count]])).await;
    (server, time)
}

async fn replay(server: &Server, filters: Value) -> Value {
    // Right after a kill the log is read again first.
    eventually("a replay is taken", async || {
        let answer = server.post_json("/v1/dead-letters/replay", &filters).await;
        match answer.status {
            503 => None,
            200 => Some(answer.body),
            _ => panic!("{}", answer.body),
        }
    })
    .await
}

/// What the audit holds, newest first.
async fn deeds(server: &Server) -> Vec<String> {
    let audit = server.get("/v1/audit").await.body;
    let rows = audit["audit"].as_array().unwrap().iter();
    rows.map(|row| row["action"].as_str().unwrap().to_owned())
        .collect()
}

fn is_refused_for(answer: &Answer, parameter: &str) {
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert_eq!(answer.status, 400, "{parameter}: {}", answer.body);
    assert_eq!(answer.media_type, "application/problem+json");
    assert!(detail.contains(parameter), "{parameter}: {detail}");
}

#[tokio::test]
async fn what_is_valid_after_the_catalogue_was_mended_is_counted_once() {
    let (mut server, time) = server_with_letters(5).await;
    let again = replay(&server, json!({"topic": "journal"})).await;
    assert_eq!(
        again,
        json!({"replayed": 5, "accepted": 0, "duplicate": 0, "logged": 0, "refused": {"unknown_layer": 5},
            "not_replayable": {}, "next": null})
    );
    server.rows_become(OPEN, &json!([[5]])).await;

    server.stop().await;
    server.configure(NOISE_LEVEL);
    server.restart();
    // One of them is sent again meanwhile.
    assert_eq!(server.post(NDJSON, noise(3, time).to_string()).await.status, 202);
    server.rows_become(COUNTED, &json!([[1]])).await;
    let said = server.ask(&["dead-letters", "replay", "--reason", "unknown_layer", "--json"]);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(
        said,
        json!({"replayed": 5, "accepted": 4, "duplicate": 1, "logged": 0, "refused": {}, "not_replayable": {}})
    );
    server.rows_become(COUNTED, &json!([[5]])).await;
    server.rows_become(SETTLED, &json!([[5]])).await;
    assert_eq!(replay(&server, json!({})).await["replayed"], 0);
    server.kill();
    server.restart();
    server.rows_become(COUNTED, &json!([[5]])).await;
    assert_eq!(replay(&server, json!({})).await["replayed"], 0);

    // Read twice more each: when they were refused again, and when they were accepted or known.
    let page = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    for line in [
        "{result=\"accepted\"} 6",
        "{result=\"duplicate\"} 1",
        "{result=\"refused\"} 10",
    ] {
        assert!(
            page.contains(&format!("riskgrid_events_total{line}\n")),
            "{line}: {page}"
        );
    }
}

#[tokio::test]
async fn killed_in_the_middle_of_replays_each_letter_is_counted_once() {
    const LETTERS: usize = 6_000;
    let (mut server, _) = server_with_letters(LETTERS).await;
    server.stop().await;
    server.configure(NOISE_LEVEL);
    server.restart();
    for kill in 0..3 {
        let url = format!("{}/v1/dead-letters/replay", server.url);
        let request = server.client.post(url).json(&json!({"limit": 1_500}));
        // Its answer may never come.
        let asked = tokio::spawn(request.send());
        eventually("some are replayed", async || {
            let settled = server.rows(SETTLED).await[0][0].as_u64().unwrap();
            (settled > kill * 700 || asked.is_finished()).then_some(())
        })
        .await;
        server.kill();
        server.restart();
    }
    while server.rows(OPEN).await[0][0] != 0 {
        replay(&server, json!({"limit": 2_000})).await;
    }
    server.rows_become(COUNTED, &json!([[LETTERS]])).await;
    server.rows_become(SETTLED, &json!([[LETTERS]])).await;
    server.kill();
    server.restart();
    server.rows_become(COUNTED, &json!([[LETTERS]])).await;
}

#[tokio::test]
async fn what_the_intake_refused_is_put_into_the_log_once_it_is_valid() {
    const FAR: &str = "[edge]\nbounds = [0.0, 0.0, 1.0, 1.0]\n";
    const TOTAL: &str = "SELECT sum(count) FROM cells";
    let mut server = Server::start_on(None, FAR);
    let time = Utc::now();
    let ahead = time + TimeDelta::minutes(7);
    let lines: Vec<String> = (0..4)
        .map(|number| reading_at(&number.to_string(), "river", 1.0, time).to_string())
        .chain([
            reading_at("ahead", "river", 1.0, ahead).to_string(),
            "not JSON".to_owned(),
        ])
        .collect();
    assert_eq!(server.post(NDJSON, lines.join("\n")).await.status, 400);
    server.stop().await;
    server.configure("");
    server.restart();
    // One of them is sent again meanwhile.
    assert_eq!(server.post(NDJSON, lines[2].clone()).await.status, 202);
    let answer = replay(&server, json!({"topic": "http"})).await;
    let counts = (&answer["replayed"], &answer["logged"], &answer["refused"]);
    assert_eq!(
        counts,
        (&json!(6), &json!(4), &json!({"in_future": 1, "malformed": 1}))
    );
    server.rows_become(TOTAL, &json!([[4]])).await;
    server.rows_become(OPEN, &json!([[2]])).await;
    assert_eq!(
        replay(&server, json!({"reason": "invalid_position"})).await["replayed"],
        0
    );
    server.kill();
    server.restart();
    server.rows_become(TOTAL, &json!([[4]])).await;
}

#[tokio::test]
async fn raw_bytes_are_given_page_by_page_and_each_look_is_in_the_audit() {
    let (server, time) = server_with_letters(5).await;
    let plain = server
        .get("/v1/dead-letters?reason=unknown_layer&limit=2")
        .await
        .body;
    assert_eq!(plain["dead_letters"].as_array().unwrap().len(), 2);
    assert_eq!(plain["dead_letters"][0]["key"], "journal/0/0/1");
    assert_eq!(plain["dead_letters"][0]["raw"], Value::Null);
    assert_eq!(deeds(&server).await, ["server.start", "audit.start"]);

    let mut path = "/v1/dead-letters?raw=true&limit=2".to_owned();
    let mut events = Vec::new();
    let mut looks = 0;
    loop {
        let page = server.get(&path).await.body;
        looks += 1;
        for row in page["dead_letters"].as_array().unwrap() {
            let bytes = STANDARD.decode(row["raw"].as_str().unwrap()).unwrap();
            events.push(serde_json::from_slice::<Value>(&bytes).unwrap());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/dead-letters?raw=true&limit=2&after={next}");
    }
    let sent: Vec<Value> = (0..5).map(|number| noise(number, time)).collect();
    assert_eq!((events, looks), (sent, 3));
    replay(&server, json!({"key": "journal/0/0/2"})).await;

    let audit = server.get("/v1/audit?limit=3").await.body;
    let rows = audit["audit"].as_array().unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row["action"].as_str().unwrap(), row["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("dead_letters.replay", 1),
            ("dead_letters.raw", 1),
            ("dead_letters.raw", 2)
        ]
    );
    assert_eq!(rows[0]["detail"]["key"], "journal/0/0/2");
    assert_eq!(
        (&rows[0]["who"], &rows[0]["address"]),
        (&json!("anonymous"), &json!("127.0.0.1"))
    );
    let rest = server
        .get(&format!("/v1/audit?after={}", audit["next"]))
        .await
        .body;
    // The start of the server and of the audit are the oldest.
    assert_eq!(
        (rest["audit"].as_array().unwrap().len(), &rest["next"]),
        (3, &Value::Null)
    );

    let text = |output: std::process::Output| {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = text(server.ask(&["dead-letters", "list", "--topic", "journal", "--limit", "4"]));
    let keys: Vec<&str> = listed
        .lines()
        .skip(1)
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["journal/0/0/1", "journal/0/0/2", "journal/0/0/3", "journal/0/0/4"]
    );
    let audited = text(server.ask(&["audit", "--json", "--limit", "1"]));
    assert_eq!(audited.lines().count(), 1);
    assert!(audited.contains("dead_letters.replay"), "{audited}");
}

#[tokio::test]
async fn a_filter_that_cannot_be_understood_is_named_and_nothing_is_done() {
    let (server, _) = server_with_letters(1).await;
    for (query, parameter) in [
        ("reason=because", "`reason`"),
        ("since=yesterday", "`since`"),
        ("until=%00", "`until`"),
        ("key=journal", "`key`"),
        ("after=journal/0/0", "`after`"),
        ("limit=-1", "`limit`"),
        ("limit=1e9", "`limit`"),
        ("raw=perhaps", "`raw`"),
        ("rason=malformed", "`rason`"),
        ("limit=1&limit=2", "`limit`"),
    ] {
        is_refused_for(&server.get(&format!("/v1/dead-letters?{query}")).await, parameter);
    }
    for (body, parameter) in [
        (json!({"reason": "because"}), "`reason`"),
        (json!({"limit": 1.5}), "`limit`"),
        (json!({"until": {}}), "`until`"),
        (json!({"raw": "true"}), "`raw`"),
        (json!({"topics": "journal"}), "`topics`"),
        (json!(["journal"]), "JSON object"),
    ] {
        is_refused_for(
            &server.post_json("/v1/dead-letters/replay", &body).await,
            parameter,
        );
    }
    is_refused_for(&server.get("/v1/audit?limit=0").await, "`limit`");
    is_refused_for(&server.get("/v1/audit?after=now").await, "after");
    assert_eq!(deeds(&server).await, ["server.start", "audit.start"]);
    let said = server.ask(&["dead-letters", "replay", "--since", "yesterday"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("`since`"));
}
