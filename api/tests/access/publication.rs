//! What the public is answered is what was published, byte for byte, whatever else the grid holds.

use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;
use crate::server::{Server, eventually};

const CONFIGURATION: &str = r#"
[access]
anonymous = "public"
[access.public]
sql = true
delay = "0s"
[grid]
allowed_lateness = "0s"
[[layers]]
id = "noise"
kind = "report"
public = "suppressed"
public_step = "1h"
[[layers]]
id = "flooding"
kind = "report"
[[layers]]
id = "water_level"
kind = "observation"
unit = "m"
public = "open"
"#;

/// A server whose numbers are rounded as in every other one of these.
fn guarded() -> Guarded {
    let mut server = Server::not_started();
    server.configure(CONFIGURATION);
    let catalogue = server.data().join("checkpoints/catalogue");
    std::fs::create_dir_all(&catalogue).unwrap();
    let key: String = (0..32).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let key = json!({"format": 1, "source_key": key});
    std::fs::write(catalogue.join("source-key.json"), key.to_string()).unwrap();
    let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
    server.restart();
    Guarded { server, admin }
}

/// A report of somebody, so many degrees east of a place, so many minutes after eight.
fn report(number: usize, layer: &str, east: f64, minutes: usize) -> Value {
    let (hour, minute) = (8 + minutes / 60, minutes % 60);
    json!({"specversion": "1.0", "id": format!("r{number}"), "source": "//test", "type": "riskgrid.report.v1",
        "time": format!("2026-11-22T{hour:02}:{minute:02}:00Z"),
        "data": {"category": layer, "reporter": format!("somebody {number}"), "lon": 113.9 + east, "lat": 22.55}})
}

/// What a gauge of a place reads, which is the same in all worlds.
fn measured(number: usize) -> Value {
    json!({"specversion": "1.0", "id": format!("m{number}"), "source": "//gauges", "type": "riskgrid.observation.v1",
        "time": format!("2026-11-22T08:{number:02}:00Z"),
        "data": {"sensor": format!("g{}", number % 3), "property": "water_level", "value": number, "unit": "m",
            "lon": 113.9 + 0.001 * number as f64, "lat": 22.55}})
}

/// Many in one place, then what is hidden, then what moves the clock past the steps.
fn world(hidden: &[(f64, usize)]) -> Vec<Value> {
    let shown = (0..23).map(|number| report(number, "noise", 0.0, 2 * number));
    let next = (30..39).map(|number| report(number, "noise", 0.0, 60 + number));
    let few = (100..)
        .zip(hidden)
        .map(|(number, (east, minutes))| report(number, "noise", *east, *minutes));
    shown
        .chain((0..9).map(measured))
        .chain(few)
        .chain(next)
        .chain([report(900, "flooding", 0.0, 130)])
        .collect()
}

async fn is_published(guarded: &Guarded) {
    eventually("the steps are published", async || {
        let layer = guarded.get("/v1/layers/noise", None).await;
        (layer.body["last_time"] == "2026-11-22T10:00:00Z").then_some(())
    })
    .await;
}

/// Status, headers and body of an answer, without what names the server, the moment and a query.
async fn answer(guarded: &Guarded, path: &str, tag: Option<&str>) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut request = guarded.server.client.get(format!("{}{path}", guarded.server.url));
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    // Who asks too fast is told so, and learns nothing.
    let answer = eventually("it is answered", async || {
        let answer = request.try_clone().unwrap().send().await.unwrap();
        (answer.status() != 429).then_some(answer)
    })
    .await;
    let headers = answer.headers().iter();
    let headers = headers.filter(|(name, _)| !["date", "riskgrid-query-id"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let (status, mut headers): (u16, Vec<_>) = (answer.status().as_u16(), headers.collect());
    let body = answer.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&body);
    let body = if text.contains(&guarded.server.url) {
        // A tag of bytes that name the server is the server's own, and so is their number.
        headers.retain(|(name, _)| !["etag", "content-length"].contains(&name.as_str()));
        text.replace(&guarded.server.url, "").into_bytes()
    } else {
        body.to_vec()
    };
    (status, headers, body)
}

fn questions() -> Vec<String> {
    let mut all: Vec<String> = [
        "/v1/layers",
        "/v1/layers/noise",
        "/v1/layers/flooding",
        "/v1/layers/water_level",
        "/v1/tiles/water_level.json",
        "/v1/tiles/water_level.json?metric=max&window=2h",
        "/v1/tiles/water_level/0/0/0.mvt?metric=mean",
        "/v1/tiles/water_level/0/0/0.mvt?metric=sources",
        "/v1/tiles/water_level/11/1671/892.mvt?window=30m",
        "/v1/alerts",
        "/v1/sql?sql=SELECT * FROM alerts",
        "/v1/sql?sql=SELECT * FROM risk",
        "/v1/tiles/noise.json",
        "/v1/tiles/noise.json?metric=weight",
        "/v1/tiles/flooding.json",
        "/v1/tiles/noise/0/0/0.mvt?metric=sources",
        "/v1/tiles/noise/0/0/0.mvt?at=2026-11-22T07:00:00Z",
        "/v1/sql?sql=SELECT * FROM cells ORDER BY layer, bucket, cell",
        "/v1/sql?sql=SELECT * FROM cells_rest ORDER BY layer, bucket, cell",
        "/v1/sql?sql=SELECT * FROM cells WHERE layer = 'noise' ORDER BY bucket, cell",
        "/v1/sql?sql=SELECT layer, sum(count) FROM cells WHERE layer <> 'noise' GROUP BY layer",
        "/v1/sql?sql=SELECT * FROM layers ORDER BY layer",
        "/v1/sql?sql=SELECT sum(count), count(*), min(bucket), max(bucket) FROM cells",
        "/v1/sql?sql=SELECT cell FROM cells WHERE 1 / (CAST(count AS BIGINT) - 20) > 0 ORDER BY cell",
        "/v1/sql?sql=SELECT weight FROM cells",
        "/v1/sql?sql=SELECT * FROM events",
        "/v1/sql?sql=SELECT * FROM hotspots(layer => 'noise')",
        "/v1/sql?sql=SELECT * FROM trends(layer => 'noise')",
        "/v1/sql?sql=SELECT * FROM bursts(layer => 'noise')",
        "/v1/sql?sql=EXPLAIN SELECT * FROM cells",
        "/v1/sql?sql=SELECT table_name, column_name FROM information_schema.columns ORDER BY 1, 2",
    ]
    .map(str::to_owned)
    .into();
    for zoom in 0..=14_u32 {
        let across = f64::from(1_u32 << zoom);
        let column = ((113.9 / 360.0 + 0.5) * across) as u32;
        let latitude = 22.55_f64.to_radians();
        let row = ((1.0 - (latitude.tan() + 1.0 / latitude.cos()).ln() / std::f64::consts::PI) / 2.0 * across)
            as u32;
        for window in [
            "",
            "?window=2h",
            "?window=1m&at=2026-11-22T09:00:00Z",
            "?window=90m&at=2026-11-22T09:30:00Z",
        ] {
            all.push(format!("/v1/tiles/noise/{zoom}/{column}/{row}.mvt{window}"));
            all.push(format!("/v1/tiles/water_level/{zoom}/{column}/{row}.mvt{window}"));
        }
    }
    all
}

#[tokio::test]
async fn two_worlds_of_one_publication_are_answered_alike() {
    let mut one = guarded();
    let other = guarded();
    one.feed(&world(&[(0.3, 5), (0.3, 6), (-0.2, 70)])).await;
    other
        .feed(&world(&[(0.6, 1), (1.2, 30), (0.6, 40), (0.61, 75)]))
        .await;
    is_published(&one).await;
    is_published(&other).await;
    let mut first = Vec::new();
    for question in questions() {
        let (in_one, in_other) = (
            answer(&one, &question, None).await,
            answer(&other, &question, None).await,
        );
        assert_eq!(in_one, in_other, "{question}");
        let tag = in_one
            .1
            .iter()
            .find(|(name, _)| name == "etag")
            .map(|(_, tag)| tag.clone());
        if let Some(tag) = tag {
            let known = answer(&one, &question, Some(&tag)).await;
            assert_eq!(known, answer(&other, &question, Some(&tag)).await, "{question}");
            assert_eq!(known.0, 304, "{question}");
        }
        first.push(in_one);
    }
    // It shows something, rounded: 23 events become 20 or 25, 9 become 5 or 10.
    let rows = |answer: &(u16, Vec<(String, String)>, Vec<u8>)| -> Value {
        serde_json::from_slice::<Value>(&answer.2).unwrap()["rows"].clone()
    };
    let at = |sql: &str| {
        let place = questions().iter().position(|question| question.ends_with(sql));
        rows(&first[place.unwrap()])
    };
    let cells = at("SELECT * FROM cells WHERE layer = 'noise' ORDER BY bucket, cell");
    let counts: Vec<u64> = cells
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[4].as_u64().unwrap())
        .collect();
    assert_eq!(counts.len(), 2, "{cells}");
    assert!(
        [20, 25].contains(&counts[0]) && [5, 10].contains(&counts[1]),
        "{cells}"
    );
    assert_eq!(
        at("SELECT * FROM cells_rest ORDER BY layer, bucket, cell"),
        json!([])
    );
    let open = "SELECT layer, sum(count) FROM cells WHERE layer <> 'noise' GROUP BY layer";
    assert_eq!(at(open), json!([["water_level", 9]]));
    // What comes late is never shown, and a restart changes nothing.
    one.feed(&[report(950, "noise", 0.0, 3), report(951, "noise", 0.0, 4)])
        .await;
    one.server.kill();
    one.server.restart();
    is_published(&one).await;
    for (question, before) in questions().iter().zip(&first) {
        assert_eq!(answer(&one, question, None).await, *before, "{question}");
    }
    // Whoever has a role reads the grid as ever.
    let sql = json!({"sql": "SELECT sum(count) FROM cells WHERE layer = 'noise'"});
    let whole = one
        .ask(Method::POST, "/v1/sql", Some(&one.admin), Some(sql))
        .await;
    assert_eq!(whole.body["rows"], json!([[37]]));
}
