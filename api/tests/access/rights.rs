//! One permission everywhere: whoever sees a part of the grid is answered, on every route, as by a server that was fed with that
//! part alone.

use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;
use crate::server::Server;

const LAYERS: &str = r#"
[grid]
allowed_lateness = "0s"
[[layers]]
id = "noise"
kind = "report"
[[layers]]
id = "flooding"
kind = "report"
[[areas]]
level = "district"
file = "districts.geojson"
name = "name"
id = "code"
"#;

/// Two squares side by side.
pub(super) fn districts() -> String {
    let feature = |code: &str, west: f64| {
        let (east, south, north) = (west + 0.05, 22.5, 22.6);
        let ring = json!([
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south]
        ]);
        json!({"type": "Feature", "properties": {"name": code, "code": code},
            "geometry": {"type": "Polygon", "coordinates": [ring]}})
    };
    json!({"type": "FeatureCollection", "features": [feature("west", 113.9), feature("east", 113.95)]})
        .to_string()
}

/// A report of a layer at so many degrees east of the western edge, so many minutes after eight.
fn report(id: &str, layer: &str, east: f64, minutes: u32) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "//test", "type": "riskgrid.report.v1",
        "time": format!("2026-11-22T08:{minutes:02}:00Z"),
        "data": {"report": id, "category": layer, "lon": 113.9 + east, "lat": 22.55}})
}

/// What is seen by who sees `noise` in the west, and what is not.
fn events() -> (Vec<Value>, Vec<Value>) {
    let seen = vec![
        report("s1", "noise", 0.01, 1),
        report("s2", "noise", 0.012, 2),
        report("s3", "noise", 0.03, 40),
    ];
    let hidden = vec![
        report("h1", "noise", 0.08, 0),
        report("h2", "flooding", 0.01, 1),
        report("h3", "noise", 0.07, 30),
        report("h4", "learnt from this one", 0.01, 5),
        report("h5", "flooding", 0.09, 39),
    ];
    (seen, hidden)
}

pub(super) async fn feed(server: &Server, key: Option<&str>, events: &[Value]) {
    let mut request = server.client.post(format!("{}/v1/events", server.url));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request
        .header("content-type", "application/cloudevents-batch+json")
        .body(Value::from(events.to_vec()).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
}

/// Everything that is read, and says nothing of the state of the whole grid.
const QUESTIONS: [&str; 18] = [
    "/v1/layers",
    "/v1/layers/noise",
    "/v1/layers/flooding",
    "/v1/layers/nothing",
    "/v1/tiles/noise.json",
    "/v1/tiles/flooding.json",
    "/v1/tiles/noise/12/3344/1784.mvt?window=1h&at=2026-11-22T09:00:00Z",
    "/v1/tiles/noise/9/418/223.mvt?window=1h&at=2026-11-22T09:00:00Z&metric=weight",
    "/v1/tiles/noise/0/0/0.mvt?window=1h&at=2026-11-22T09:00:00Z",
    "/v1/tiles/flooding/0/0/0.mvt",
    "/v1/areas",
    // each server hashes sources by a key of its own
    "/v1/sql?sql=SELECT * EXCEPT (sources, channels) FROM cells ORDER BY layer, bucket, cell",
    "/v1/sql?sql=SELECT layer, count, first_time, last_time FROM layers ORDER BY layer",
    "/v1/sql?sql=SELECT id, layer, cell, areas FROM events ORDER BY id",
    "/v1/sql?sql=SELECT * FROM hotspots(layer => 'noise', window => INTERVAL '1 hour', at => '2026-11-22T09:00:00Z')",
    "/v1/sql?sql=SELECT * FROM trends(layer => 'noise', step => INTERVAL '5 minutes', window => INTERVAL '1 hour', method => 'plain', at => '2026-11-22T09:00:00Z')",
    "/v1/sql?sql=SELECT * FROM bursts(layer => 'noise', baseline => INTERVAL '3 hours', gap => INTERVAL '1 hour', at => '2026-11-22T09:00:00Z')",
    "/v1/sql?sql=SELECT * FROM dead_letters",
];

/// The same answer, whoever gives it: status, tag, body, without what names the server and a query.
pub(super) async fn answer(server: &Server, key: Option<&str>, path: &str) -> (u16, Option<String>, String) {
    let mut request = server.client.get(format!("{}{path}", server.url));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    let tag = answer
        .headers()
        .get("etag")
        .map(|tag| tag.to_str().unwrap().to_owned());
    let (status, body) = (answer.status().as_u16(), answer.bytes().await.unwrap());
    let whole = String::from_utf8_lossy(&body);
    let body = whole.replace(&server.url, "");
    // A tag of bytes that name the server is the server's own.
    let tag = tag.filter(|_| body == whole);
    (status, tag, body)
}

#[tokio::test]
async fn a_scope_is_answered_as_by_a_server_of_what_it_sees() {
    let guarded = {
        let mut server = Server::not_started();
        std::fs::write(server.path("districts.geojson"), districts()).unwrap();
        server.configure(LAYERS);
        let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
        server.restart();
        Guarded { server, admin }
    };
    let mut alone = Server::not_started();
    std::fs::write(alone.path("districts.geojson"), districts()).unwrap();
    alone.configure(&LAYERS.replace("[[layers]]\nid = \"flooding\"\nkind = \"report\"\n", ""));
    alone.restart();
    let (seen, hidden) = events();
    let both: Vec<Value> = hidden.iter().chain(&seen).cloned().collect();
    feed(&guarded.server, Some(&guarded.admin), &both).await;
    feed(&alone, None, &seen).await;
    alone
        .rows_become("SELECT count(*) FROM events", &json!([[3]]))
        .await;
    crate::server::eventually("all events", async || {
        (guarded.rows("SELECT count(*) FROM events").await == json!([[8]])).then_some(())
    })
    .await;
    let scope = json!({"role": "operator", "layers": ["noise"], "areas": ["west"]});
    let key = guarded.key(scope).await;
    for question in QUESTIONS {
        // What nobody but a whole server's operator has is asked of the other as a table that nobody has.
        let of_alone = question.replace("dead_letters", "nothing");
        let shown = answer(&guarded.server, Some(&key), question).await;
        let (status, tag, body) = answer(&alone, None, &of_alone).await;
        let expected = (
            status,
            tag,
            body.replace(
                "nothing",
                if question.contains("dead_letters") {
                    "dead_letters"
                } else {
                    "nothing"
                },
            ),
        );
        assert_eq!(shown, expected, "{question}");
    }
    // What is hidden moves no conditional request.
    let tile = "/v1/tiles/noise/0/0/0.mvt?window=1h&at=2026-11-22T09:00:00Z";
    let tag = answer(&guarded.server, Some(&key), tile).await.1.unwrap();
    feed(
        &guarded.server,
        Some(&guarded.admin),
        &[report("h9", "noise", 0.06, 40)],
    )
    .await;
    crate::server::eventually("one more event", async || {
        (guarded.rows("SELECT count(*) FROM events").await == json!([[9]])).then_some(())
    })
    .await;
    let again = guarded
        .server
        .client
        .get(format!("{}{tile}", guarded.server.url))
        .bearer_auth(&key);
    let again = again.header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
}

#[tokio::test]
async fn the_public_sees_nothing_of_the_grid() {
    let guarded = Guarded::start_with(
        "[access]\nanonymous = \"public\"\n[access.public]\nsql = true\n[[layers]]\nid = \"noise\"\nkind = \"report\"",
    );
    feed(&guarded.server, Some(&guarded.admin), &events().0).await;
    crate::server::eventually("all events", async || {
        (guarded.rows("SELECT count(*) FROM events").await == json!([[3]])).then_some(())
    })
    .await;
    let layers = guarded.get("/v1/layers", None).await;
    assert_eq!((layers.status, &layers.body["layers"]), (200, &json!([])));
    for path in [
        "/v1/layers/noise",
        "/v1/tiles/noise.json",
        "/v1/tiles/noise/0/0/0.mvt",
    ] {
        assert_eq!(guarded.get(path, None).await.status, 404, "{path}");
    }
    for table in [
        "events",
        "reports",
        "sensors",
        "units",
        "rules",
        "silences",
        "dead_letters",
    ] {
        let sql = json!({"sql": format!("SELECT * FROM {table}")});
        let answer = guarded.ask(Method::POST, "/v1/sql", None, Some(sql)).await;
        assert_eq!(answer.status, 400, "{table}: {}", answer.body);
    }
    let plan = json!({"sql": "EXPLAIN SELECT 1"});
    assert_eq!(
        guarded
            .ask(Method::POST, "/v1/sql", None, Some(plan))
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn queries_are_ones_own_and_end_by_who_asked_them() {
    let guarded = Guarded::start();
    let (one, other) = (
        guarded.key(json!({"role": "analyst"})).await,
        guarded.key(json!({"role": "operator"})).await,
    );
    let endless = json!({"sql": "SELECT count(*) FROM generate_series(1, 3000000) a(v), generate_series(1, 3000000) b(v) WHERE a.v * b.v = 7",
        "query_id": "mine", "timeout_ms": 300_000});
    let url = format!("{}/v1/sql", guarded.server.url);
    let asked = guarded
        .server
        .client
        .post(url)
        .bearer_auth(&one)
        .json(&endless)
        .send();
    let running = tokio::spawn(asked);
    let runs = "SELECT who, via, state FROM queries WHERE query_id = 'mine' AND state = 'running'";
    let rows = crate::server::eventually("it runs", async || {
        let rows = guarded.rows(runs).await;
        (rows != json!([])).then_some(rows)
    })
    .await;
    let who = format!("key:{}", super::id_of(&one));
    assert_eq!(rows, json!([[who, "http", "running"]]));
    // beside a query that keeps all threads at work, and on a busy machine
    let sql = Some(json!({"sql": runs, "timeout_ms": 120_000}));
    let of_other = guarded.ask(Method::POST, "/v1/sql", Some(&other), sql).await;
    assert_eq!(of_other.body["rows"], json!([]), "{}", of_other.body);
    let path = "/v1/sql/mine";
    assert_eq!(
        guarded.ask(Method::DELETE, path, Some(&other), None).await.status,
        404
    );
    assert_eq!(
        guarded.ask(Method::DELETE, path, Some(&one), None).await.status,
        204
    );
    let ended = running.await.unwrap().unwrap();
    assert_eq!(ended.status(), 499);
    assert_eq!(
        guarded.ask(Method::DELETE, path, Some(&one), None).await.status,
        404
    );
}

#[tokio::test]
async fn a_rule_sees_what_its_maker_sees_also_after_the_key_is_gone() {
    let guarded = {
        let mut server = Server::not_started();
        std::fs::write(server.path("districts.geojson"), districts()).unwrap();
        let water = "[[layers]]\nid = \"water_level\"\nkind = \"observation\"\nunit = \"m\"\n";
        server.configure(&format!("{LAYERS}{water}"));
        let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
        server.restart();
        Guarded { server, admin }
    };
    let scope = json!({"role": "operator", "layers": ["water_level"], "areas": ["west"]});
    let key = guarded.key(scope).await;
    let rule = |name: &str, layer: &str| {
        json!({"name": name, "kind": "threshold", "layer": layer, "per": "cell", "metric": "count", "window": "1h",
            "at_least": 1, "severity": "minor"})
    };
    let make = async |rule: Value| {
        guarded
            .ask(Method::POST, "/v1/rules", Some(&key), Some(rule))
            .await
            .status
    };
    // A layer of others and none at all are refused alike.
    assert_eq!(make(rule("of another layer", "noise")).await, 403);
    assert_eq!(make(rule("of no layer", "nothing")).await, 403);
    let mut high = rule("high", "water_level");
    high["per"] = json!("sensor");
    high["metric"] = json!("last");
    high["above"] = json!(3.5);
    let members = high.as_object_mut().unwrap();
    members.remove("window");
    members.remove("at_least");
    assert_eq!(make(high).await, 201);
    let level = |id: &str, east: f64| {
        json!({"specversion": "1.0", "id": id, "source": "//test", "type": "riskgrid.observation.v1",
            "time": "2026-11-22T08:30:00Z", "data": {"sensor": id, "property": "water_level", "value": 4.0, "unit": "m",
                "lon": 113.9 + east, "lat": 22.55}})
    };
    let sensors = "SELECT sensor FROM alerts ORDER BY sensor";
    feed(
        &guarded.server,
        Some(&guarded.admin),
        &[level("east-1", 0.08), level("west-1", 0.02)],
    )
    .await;
    crate::server::eventually("the one in the west", async || {
        (guarded.rows(sensors).await == json!([["west-1"]])).then_some(())
    })
    .await;
    let revoked = format!("/v1/keys/{}", super::id_of(&key));
    let answer = guarded
        .ask(Method::DELETE, &revoked, Some(&guarded.admin), None)
        .await;
    assert_eq!(answer.status, 204);
    feed(
        &guarded.server,
        Some(&guarded.admin),
        &[level("east-2", 0.07), level("west-2", 0.01)],
    )
    .await;
    crate::server::eventually("the next one in the west", async || {
        (guarded.rows(sensors).await == json!([["west-1"], ["west-2"]])).then_some(())
    })
    .await;
}
