//! Rules of all kinds in a whole server: what each makes of the same calls.

use chrono::Utc;
use riskgrid_fixtures::CENTRE;
use serde_json::{Value, json};

use crate::server::{Server, eventually, reading_at};

fn call(id: &str, lon: f64, lat: f64) -> Value {
    let now = chrono::Utc::now().to_rfc3339();
    json!({"specversion": "1.0", "id": id, "source": "//city/calls", "type": "riskgrid.report.v1", "time": now,
        "data": {"report": id, "category": "flooding", "lon": lon, "lat": lat, "severity": 2, "channel": "phone"}})
}

/// Two districts around the invented city's centre.
fn districts() -> String {
    let (lon, lat) = CENTRE;
    let district = |id: &str, west: f64| {
        let (east, south, north) = (west + 0.05, lat - 0.05, lat + 0.05);
        let ring = json!([
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south]
        ]);
        json!({"type": "Feature", "properties": {"id": id}, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    };
    let features = [district("west", lon - 0.025), district("east", lon + 0.025)];
    json!({"type": "FeatureCollection", "features": features}).to_string()
}

async fn post(server: &Server, events: Vec<Value>) {
    let answer = server
        .post(
            "application/cloudevents-batch+json",
            Value::Array(events).to_string(),
        )
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

async fn make(server: &Server, rule: Value) -> Value {
    let made = server.post_json("/v1/rules", &rule).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body
}

/// The instance of the alert of a rule that fires.
async fn fires(server: &Server, rule: &str) -> Value {
    let path = format!("/v1/alerts?state=firing&rule={}", rule.replace(' ', "%20"));
    eventually(rule, async || {
        let alerts = server.get(&path).await.body;
        let alert = alerts["alerts"][0].clone();
        (!alert.is_null()).then_some(alert)
    })
    .await
}

#[tokio::test]
async fn each_kind_fires_at_its_instance_and_a_composite_where_all_do() {
    let mut server = Server::not_started();
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    server.configure(
        "[[areas]]\nlevel = \"district\"\nfile = \"districts.geojson\"\nid = \"id\"\nname = \"id\"\n",
    );
    server.restart();
    let (lon, lat) = CENTRE;
    let calls: Vec<Value> = (0..5)
        .map(|number| call(&format!("c{number}"), lon + 0.03, lat))
        .collect();
    post(&server, calls).await;
    eventually("the calls are there", async || {
        let rows = server
            .rows("SELECT sum(count) FROM cells WHERE layer = 'flooding'")
            .await;
        (rows == [json!([5])]).then_some(())
    })
    .await;
    let per = |per: &str, name: &str| {
        json!({"name": name, "kind": "threshold", "layer": "flooding", "per": per,
        "metric": "count", "window": "15m", "at_least": 5, "severity": "major"})
    };
    let mut in_the_west = per("cell", "cells of the west");
    in_the_west["in"] = json!(["west"]);
    make(&server, in_the_west).await;
    make(&server, per("cell", "cells")).await;
    let mut areas = per("area", "areas");
    areas["level"] = json!("district");
    make(&server, areas).await;
    make(&server, json!({"name": "rows", "kind": "sql", "keys": ["p"], "cell": "p", "value": "n", "at_least": 1,
        "sql": "SELECT h3_parent(cell, 7) AS p, sum(count) AS n FROM cells WHERE layer = 'flooding' AND bucket >= $1 - INTERVAL '1 hour' GROUP BY 1",
        "severity": "minor"})).await;
    make(
        &server,
        json!({"name": "both", "kind": "composite", "all": ["cells", "areas"], "by": "area",
        "level": "district", "severity": "critical"}),
    )
    .await;
    let cell = fires(&server, "cells").await;
    assert_eq!(cell["instance"], cell["cell"]);
    assert_eq!(
        (&cell["areas"], &cell["kind"]),
        (&json!(["east"]), &json!("threshold"))
    );
    assert_eq!(fires(&server, "areas").await["instance"], "east");
    assert_eq!(fires(&server, "both").await["instance"], "east");
    let west = server.get("/v1/alerts?rule=cells%20of%20the%20west").await.body;
    assert_eq!(west["alerts"], json!([]));
    // Filters of alerts.
    let of = async |filter: &str| -> usize {
        let alerts = server.get(&format!("/v1/alerts?{filter}")).await.body;
        alerts["alerts"]
            .as_array()
            .unwrap_or_else(|| panic!("{filter}: {alerts}"))
            .len()
    };
    assert_eq!(of("area=east").await, 1);
    assert_eq!(of("area=west").await, 0);
    assert_eq!(of("kind=composite&severity=critical,minor").await, 1);
    assert_eq!(of(&format!("cell={}", cell["cell"].as_str().unwrap())).await, 1);
    assert_eq!(of("from=2030-01-01T00:00:00Z").await, 0);
    assert_eq!(of("held=true").await, 0);
    let rules = server
        .rows("SELECT name, kind, firing FROM rules WHERE firing > 0 ORDER BY name")
        .await;
    assert_eq!(
        rules,
        [
            json!(["areas", "threshold", 1]),
            json!(["both", "composite", 1]),
            json!(["cells", "threshold", 1])
        ]
    );
    let steps = server
        .rows("SELECT DISTINCT kind, severity FROM transitions ORDER BY 2")
        .await;
    assert_eq!(steps, [json!(["firing", "critical"]), json!(["firing", "major"])]);
}

#[tokio::test]
async fn what_a_rule_would_say_is_said_without_making_it() {
    let server = Server::start();
    // Of now: what is old by the wall clock is not pending any more.
    let high = reading_at("1", "river-7", 3.62, Utc::now()).to_string();
    assert_eq!(server.post("application/json", high).await.status, 202);
    let rule = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor",
        "above": 3.5, "for": "1h", "severity": "major"});
    let said = eventually("the reading is there", async || {
        let said = server.post_json("/v1/rules?dry_run=true", &rule).await;
        assert_eq!(said.status, 200, "{}", said.body);
        (said.body["instances"] == 1).then_some(said.body)
    })
    .await;
    assert_eq!(said["would"], json!({"firing": 0, "pending": 1}));
    assert_eq!(
        (&said["over"][0]["instance"], &said["over"][0]["value"]),
        (&json!("river-7"), &json!(3.62))
    );
    assert_eq!(server.get("/v1/rules").await.body["rules"], json!([]));
    // Made, it is pending.
    make(&server, rule).await;
    let high = reading_at("2", "river-7", 3.7, Utc::now()).to_string();
    assert_eq!(server.post("application/json", high).await.status, 202);
    let pending = eventually("it is pending", async || {
        let alerts = server.get("/v1/alerts?state=pending").await.body;
        let alert = alerts["alerts"][0].clone();
        (!alert.is_null()).then_some(alert)
    })
    .await;
    assert_eq!(
        (&pending["id"], &pending["sensor"]),
        (&json!(null), &json!("river-7"))
    );
    assert!(pending["due"].as_str() > pending["since"].as_str(), "{pending}");
}

#[tokio::test]
async fn a_query_that_a_rule_cannot_use_is_refused_when_it_is_made() {
    let server = Server::start();
    let rule = |sql: &str, keys: Value| {
        json!({"name": "rows", "kind": "sql", "sql": sql, "keys": keys, "severity": "minor",
        "timeout": "1s"})
    };
    for (sql, keys, field, found) in [
        ("DELETE FROM cells", json!(["a"]), "sql", "begins with DELETE"),
        ("SELECT 1 AS a", json!(["b"]), "keys", "no column \"b\""),
        ("SELECT 1.5 AS a", json!(["a"]), "keys", "1.5"),
        ("SELECT a FROM nowhere", json!(["a"]), "sql", "nowhere"),
        ("SELECT $2 AS a", json!(["a"]), "sql", "$2 is not a parameter"),
        (
            "SELECT 1 AS a UNION ALL SELECT 1",
            json!(["a"]),
            "keys",
            "two rows have [1]",
        ),
    ] {
        let refused = server.post_json("/v1/rules", &rule(sql, keys)).await;
        assert_eq!(refused.status, 422, "{sql}: {}", refused.body);
        assert_eq!(
            refused.body["errors"][0]["field"], field,
            "{sql}: {}",
            refused.body
        );
        assert!(
            refused.body["detail"].as_str().unwrap().contains(found),
            "{sql}: {}",
            refused.body
        );
    }
}

#[tokio::test]
async fn a_back_test_says_when_a_rule_would_have_fired() {
    let server = Server::start();
    let (lon, lat) = CENTRE;
    post(
        &server,
        (0..3)
            .map(|number| call(&format!("c{number}"), lon, lat))
            .collect(),
    )
    .await;
    eventually("the calls are there", async || {
        let rows = server
            .rows("SELECT sum(count) FROM cells WHERE layer = 'flooding'")
            .await;
        (rows == [json!([3])]).then_some(())
    })
    .await;
    let now = chrono::Utc::now();
    let rule = json!({"name": "calls", "kind": "threshold", "layer": "flooding", "per": "cell", "metric": "count",
        "window": "5m", "at_least": 3, "severity": "major"});
    let asked = json!({"rule": rule, "from": now - chrono::TimeDelta::minutes(30), "to": now + chrono::TimeDelta::minutes(30),
        "truth": "SELECT time, cell FROM events WHERE layer = 'flooding'"});
    let said = server.post_json("/v1/rules/backtest", &asked).await;
    assert_eq!(said.status, 200, "{}", said.body);
    assert_eq!(
        said.body["episodes"].as_array().unwrap().len(),
        1,
        "{}",
        said.body
    );
    let episode = &said.body["episodes"][0];
    assert_eq!(
        (episode["value"].as_f64(), episode["peak"].as_f64()),
        (Some(3.0), Some(3.0))
    );
    assert!(episode["ended_at"].is_string());
    assert_eq!(said.body["truth"]["hits"], 3);
    assert_eq!(
        (&said.body["knowledge"], &said.body["skipped"]),
        (&json!("final"), &json!(0))
    );
    let wrong = json!({"rule": rule, "from": "yesterday", "to": now});
    assert_eq!(server.post_json("/v1/rules/backtest", &wrong).await.status, 422);
}
