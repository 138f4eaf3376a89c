//! Tiles and SQL tell the same numbers, and tags last as long as the content.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::server::{Server, fixture, program, reading};

const ZOOM: u32 = 10;
const EVENTS: usize = 300;

/// Column and row of the tile that holds a place.
fn tile_of(lon: f64, lat: f64) -> (i64, i64) {
    let side = f64::from(1 << ZOOM);
    let (sine, x) = (lat.to_radians().sin(), (lon + 180.0) / 360.0);
    let y = 0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * std::f64::consts::PI);
    ((x * side) as i64, (y * side) as i64)
}

/// Observations around the city's centre, two hundredths of a degree apart, three minutes ago.
async fn post_observations(server: &Server) {
    let events: Vec<Value> = (0..EVENTS)
        .map(|number| {
            let mut event = reading(&number.to_string(), &format!("river-{}", number % 100), 1.0, 180);
            let (lon, lat) = riskgrid_fixtures::CENTRE;
            let (column, row) = ((number % 20) as f64, (number / 20) as f64);
            event["data"]["lon"] = json!(lon + 0.02 * (column - 10.0));
            event["data"]["lat"] = json!(lat + 0.02 * (row - 7.0));
            event
        })
        .collect();
    let body = Value::Array(events).to_string();
    let answer = server.post("application/cloudevents-batch+json", body).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(EVENTS)));
    let sql = "SELECT sum(count) FROM cells WHERE layer = 'water_level'";
    server.rows_become(sql, &json!([[EVENTS]])).await;
}

/// The tile with its tag; the window ends at a fixed time, so that the content does.
async fn tile(server: &Server, x: i64, y: i64, at: &str, known: &str) -> (u16, String, Vec<u8>) {
    let url = format!(
        "{}/v1/tiles/water_level/{ZOOM}/{x}/{y}.mvt?window=2h&at={at}",
        server.url
    );
    let request = server.client.get(url).header("if-none-match", known);
    let response = request.send().await.unwrap();
    let tag = response
        .headers()
        .get("etag")
        .map(|tag| tag.to_str().unwrap().to_owned());
    (
        response.status().as_u16(),
        tag.unwrap_or_default(),
        response.bytes().await.unwrap().to_vec(),
    )
}

fn window_end() -> String {
    let end = chrono::Utc::now() + chrono::TimeDelta::minutes(2);
    end.format("%Y-%m-%dT%H:%M:00Z").to_string()
}

#[tokio::test]
async fn a_tag_lasts_as_long_as_the_content_and_over_a_restart() {
    let mut server = Server::start();
    post_observations(&server).await;
    let at = window_end();
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let (x, y) = tile_of(lon, lat);
    let (status, tag, bytes) = tile(&server, x, y, &at, "\"other\"").await;
    assert_eq!(status, 200);
    assert!(!tag.is_empty() && !bytes.is_empty());
    let (status, same, nothing) = tile(&server, x, y, &at, &tag).await;
    assert_eq!((status, same, nothing.len()), (304, tag.clone(), 0));
    server.stop().await;
    server.restart();
    let (status, again, content) = tile(&server, x, y, &at, "\"other\"").await;
    assert_eq!((status, &again, content), (200, &tag, bytes));
    server.kill();
    server.restart();
    assert_eq!(tile(&server, x, y, &at, &tag).await.0, 304);
    let one_more = reading("more", "river-1", 1.0, 180).to_string();
    assert_eq!(server.post("application/json", one_more).await.status, 202);
    let sql = "SELECT sum(count) FROM cells WHERE layer = 'water_level'";
    server.rows_become(sql, &json!([[EVENTS + 1]])).await;
    let (status, changed, _) = tile(&server, x, y, &at, &tag).await;
    assert_eq!(status, 200);
    assert_ne!(changed, tag);
}

#[tokio::test]
async fn the_sum_over_the_tiles_of_a_zoom_is_that_of_sql() {
    let Some(python) = program("RISKGRID_PYTHON") else {
        return;
    };
    let server = Server::start();
    post_observations(&server).await;
    let at = window_end();
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let (x, y) = tile_of(lon, lat);
    let mut cells: BTreeMap<String, i64> = BTreeMap::new();
    for (column, row) in (-2..=2).flat_map(|column| (-2..=2).map(move |row| (column, row))) {
        let (status, _, bytes) = tile(&server, x + column, y + row, &at, "\"other\"").await;
        if status == 204 {
            continue;
        }
        assert_eq!(status, 200);
        let decoded = decode(&python, &bytes);
        for feature in decoded["water_level"]["features"].as_array().unwrap() {
            assert_eq!(
                (&feature["valid"], &feature["clockwise"]),
                (&json!(true), &json!(true))
            );
            let properties = &feature["properties"];
            let count = properties["count"].as_i64().unwrap();
            // A hexagon on an edge is in several tiles, each time with its whole number.
            let known = cells.insert(properties["cell"].to_string(), count);
            assert!(known.is_none_or(|known| known == count));
        }
    }
    assert_eq!(cells.values().sum::<i64>(), EVENTS as i64);
}

fn decode(python: &str, bytes: &[u8]) -> Value {
    let mut reader = Command::new(python)
        .arg(fixture("reference/decode_tile.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
