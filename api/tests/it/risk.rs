//! The risk surface of a whole server: what events and reference layers make of it, and that a restart changes nothing.

#![allow(clippy::float_cmp, reason = "what is exact is compared exactly")]

use std::fmt::Write as _;
use std::process::Command;

use chrono::Utc;
use h3o::{CellIndex, LatLng, Resolution};
use serde_json::{Value, json};

use crate::crash_rig;
use crate::server::{Server, eventually, reading};

/// Two districts around the invented city's centre; only the western one has people.
fn districts() -> String {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let district = |id: &str, west: f64, people: Value| {
        let (east, south, north) = (west + 0.05, lat - 0.05, lat + 0.05);
        let ring = json!([
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south]
        ]);
        json!({"type": "Feature", "properties": {"id": id, "people": people}, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    };
    let features = [
        district("west", lon - 0.025, json!(120_000)),
        district("east", lon + 0.025, Value::Null),
    ];
    json!({"type": "FeatureCollection", "features": features}).to_string()
}

const MODEL: &str = r#"
[[areas]]
level = "district"
file = "districts.geojson"
id = "id"
name = "id"
population = "people"
[[facilities]]
kind = { const = "hospital" }
file = "hospitals.csv"
name = "name"
lon = "lon"
lat = "lat"
[risk.groups]
flood = ["water_level", "flooding"]
[risk.layers.flooding]
half_life = "3h"
half_level = 3.0
[risk.layers.water_level]
half_life = "3h"
levels = [[1.0, 0.0], [2.0, 0.4], [3.0, 0.8]]
valid_for = "1h"
[risk.exposure]
facilities = { hospital = 3.0 }
[[risk.susceptibility]]
file = "poverty.csv"
area = "area"
value = "poor"
lo = 0.0
hi = 0.5
[[risk.coping]]
kind = "hospital"
distance = 2.0
"#;

fn server(configuration: &str) -> Server {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let mut server = Server::not_started();
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    std::fs::write(
        server.path("hospitals.csv"),
        format!("name,lon,lat\nGeneral,{lon},{lat}\n"),
    )
    .unwrap();
    std::fs::write(server.path("poverty.csv"), "area,poor\nwest,0.2\n").unwrap();
    server.configure(configuration);
    server.restart();
    server
}

fn call(id: &str, reporter: &str, channel: &str, seconds: i64) -> Value {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let time = Utc::now() - chrono::TimeDelta::seconds(seconds);
    json!({"specversion": "1.0", "id": id, "source": "//test/calls", "type": "riskgrid.report.v1", "time": time.to_rfc3339(),
        "data": {"category": "flooding", "severity": 2, "channel": channel, "reporter": reporter, "lon": lon, "lat": lat}})
}

async fn post(server: &Server, events: &[Value]) {
    let body = Value::Array(events.to_vec()).to_string();
    let answer = server.post("application/cloudevents-batch+json", body).await;
    assert_eq!(
        (answer.status, &answer.body["accepted"]),
        (202, &json!(events.len())),
        "{}",
        answer.body
    );
}

/// One row of numbers.
async fn numbers(server: &Server, sql: &str) -> Vec<f64> {
    let rows = server.rows(sql).await;
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    let row = rows[0].as_array().unwrap();
    row.iter()
        .map(|value| value.as_f64().unwrap_or(f64::NAN))
        .collect()
}

fn near(is: f64, should: f64) {
    assert!((is - should).abs() < 1e-9, "{is} instead of {should}");
}

#[tokio::test]
async fn calls_and_a_gauge_make_a_risk_whose_parts_are_told() {
    let mut server = server(MODEL);
    let callers = ["a", "b", "c", "c"].iter().enumerate();
    let mut events: Vec<Value> = callers
        .map(|(number, who)| call(&format!("c{number}"), who, "phone", 120))
        .collect();
    events.push(reading("r1", "gauge-1", 2.0, 60));
    post(&server, &events).await;
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let here = format!("cell = h3_cell({lon}, {lat}, 9)");
    // Both layers, and all together, wherever they are felt: the cell and the ring around it.
    let counts = "SELECT layer, count(*) FROM risk GROUP BY layer ORDER BY layer";
    server
        .rows_become(counts, &json!([["*", 7], ["flooding", 7], ["water_level", 7]]))
        .await;

    let gauge = format!(
        "SELECT hazard, level, intensity, surprise, stale FROM risk WHERE layer = 'water_level' AND {here}"
    );
    assert_eq!(server.rows(&gauge).await, [json!([0.4, 0.4, null, null, false])]);
    // A sensor at its warning is believed at 0.8; three callers beside it make it surer, though their hashes may share a bit.
    let sure = format!(
        "SELECT min(corroboration), max(channels), max(sources) FROM risk WHERE layer = 'flooding' AND {here}"
    );
    let [corroboration, channels, sources] = numbers(&server, &sure).await[..] else {
        panic!()
    };
    assert!((0.89..0.941).contains(&corroboration), "{corroboration}");
    assert_eq!(channels, 2.0);
    assert!((1.0..3.2).contains(&sources), "{sources}");

    let parts = format!(
        "SELECT risk, sqrt(hazard * trust) * power(exposure * vulnerability, 0.25), risk_if_true, \
         sqrt(hazard) * power(exposure * vulnerability, 0.25), impact, population * hazard * trust * vulnerability, \
         susceptibility, facilities FROM risk WHERE layer = 'flooding' AND {here}"
    );
    let [
        risk,
        of_parts,
        if_true,
        of_certain,
        impact,
        of_people,
        susceptibility,
        facilities,
    ] = numbers(&server, &parts).await[..]
    else {
        panic!()
    };
    near(risk, of_parts);
    near(if_true, of_certain);
    near(impact, of_people);
    near(susceptibility, 0.4);
    near(facilities, 3.0);
    let missing = format!("SELECT DISTINCT missing FROM risk WHERE layer = 'flooding' AND {here}");
    assert_eq!(
        server.rows(&missing).await,
        [json!([["baseline", "infrastructure"]])]
    );
    // People live in the western district alone, and all of them somewhere.
    let people = "SELECT count(DISTINCT cell) FROM risk WHERE population > 0";
    assert_eq!(server.rows(people).await, [json!([7])]);
    let all = format!(
        "SELECT a.risk - max(l.risk) FROM risk a JOIN risk l ON a.cell = l.cell WHERE a.layer = '*' AND l.layer <> '*' \
                       AND a.{here} GROUP BY a.risk"
    );
    assert!(numbers(&server, &all).await[0] >= -1e-12);

    let columns = "SELECT layer, cell, sources, channels, susceptibility, lack_of_coping, population, missing, model FROM risk \
                   WHERE layer <> '*' ORDER BY layer, cell";
    let before = server.rows(columns).await;
    server.writes_a_checkpoint().await;
    server.kill();
    server.restart();
    server
        .rows_become(counts, &json!([["*", 7], ["flooding", 7], ["water_level", 7]]))
        .await;
    assert_eq!(server.rows(columns).await, before);
    let page = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("riskgrid_risk_rows 21\n"), "{page}");
}

#[tokio::test]
async fn outcomes_teach_how_far_a_channel_is_believed() {
    let server = server(MODEL);
    post(&server, &[call("o0", "a", "phone", 60)]).await;
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let sure = format!(
        "SELECT corroboration FROM risk WHERE layer = 'flooding' AND cell = h3_cell({lon}, {lat}, 9)"
    );
    let first = eventually("a surface", async || {
        server.rows(&sure).await.first().and_then(|row| row[0].as_f64())
    })
    .await;
    let closed: Vec<Value> = (0..12)
        .flat_map(|number| {
            let open = call(&format!("o{number}-open"), "a", "phone", 50);
            let mut close = call(&format!("o{number}-close"), "a", "phone", 40);
            close["data"]["op"] = json!("close");
            close["data"]["outcome"] = json!("false");
            let report = json!(format!("report-{number}"));
            let mut open = open;
            open["data"]["report"] = report.clone();
            close["data"]["report"] = report;
            [open, close]
        })
        .collect();
    post(&server, &closed).await;
    // Twelve of twelve were false: 5/22 instead of a half, for one caller who called thirteen times.
    let less = eventually("the outcomes count", async || {
        let now = server.rows(&sure).await.first().and_then(|row| row[0].as_f64())?;
        (now < first - 0.1).then_some(now)
    })
    .await;
    assert!((0.2..0.24).contains(&less), "{less}");
}

/// One report of severity 2 each hour for 40 days, in one cell, as a historic feed.
fn hourly() -> Server {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let mut rows = String::from("id,time,lon,lat\n");
    let first = chrono::DateTime::parse_from_rfc3339("2026-01-01T00:30:00Z").unwrap();
    for hour in 0..40 * 24 {
        let time = first + chrono::TimeDelta::hours(hour);
        writeln!(rows, "{hour},{},{lon},{lat}", time.to_rfc3339()).unwrap();
    }
    let server = Server::not_started();
    std::fs::write(server.path("noise.csv"), rows).unwrap();
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    server.configure(
        r#"
[[feeds]]
name = "past"
from = { file = "noise.csv" }
format = "csv"
event = "report"
source = { const = "//past" }
id = ["id"]
time = "time"
lon = "lon"
lat = "lat"
category = { const = "noise" }
severity = { const = 2 }
clock = "event"
valid_from = "2026-01-01T00:00:00Z"
valid_to = "2027-01-01T00:00:00Z"
[[areas]]
level = "district"
file = "districts.geojson"
id = "id"
name = "id"
[risk]
domain = "west"
[risk.layers.noise]
half_life = "6h"
half_level = 3.0
"#,
    );
    server
}

#[tokio::test]
async fn a_past_that_is_even_is_expected_as_it_was() {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let mut server = hourly();
    server.restart();
    let counted = "SELECT sum(count) FROM cells WHERE layer = 'noise'";
    server.rows_become(counted, &json!([[960]])).await;
    let here = format!("layer = 'noise' AND cell = h3_cell({lon}, {lat}, 9)");
    let at = format!(
        "SELECT count(*) FROM risk WHERE {here} AND at = '2026-02-09T23:31:00Z' AND expected IS NOT NULL"
    );
    server.rows_become(&at, &json!([[1]])).await;
    let parts =
        format!("SELECT expected, intensity, forecast, z, level, surprise, hazard FROM risk WHERE {here}");
    let [expected, intensity, forecast, z, level, surprise, hazard] = numbers(&server, &parts).await[..]
    else {
        panic!()
    };
    let (rate, felt) = rates_in_the_west();
    // An even past has an even week, and comes to its half-life over ln 2.
    let of_one = 6.0 / std::f64::consts::LN_2;
    near(expected, of_one * felt);
    near(
        forecast,
        0.7 * rate * 24.0 + 0.3 * intensity * std::f64::consts::LN_2 / 6.0 * 24.0,
    );
    near(level, intensity / (intensity + 3.0));
    near(surprise, z.max(0.0) / (z.max(0.0) + 4.0));
    near(hazard, 0.75 * level + 0.25 * surprise);
}

/// ρ of the cell at the centre, and what is felt there of all rates, by the model's formulas over a list of the district's
/// cells: two marks an hour in that cell alone, from 2 January to 7 February.
fn rates_in_the_west() -> (f64, f64) {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let here = LatLng::new(lat, lon).unwrap().to_cell(Resolution::Nine);
    let domain: Vec<CellIndex> = here
        .grid_disk::<Vec<_>>(40)
        .into_iter()
        .filter(|cell| {
            let centre = LatLng::from(*cell);
            (centre.lng() - lon).abs() < 0.025 && (centre.lat() - lat).abs() < 0.05
        })
        .collect();
    let (hours, cells) = (37.0 * 24.0, domain.len() as f64);
    let marks = 2.0 * hours;
    let parent = |cell: CellIndex| cell.parent(Resolution::Seven).unwrap();
    let rate = |cell: CellIndex| {
        let family = domain
            .iter()
            .filter(|other| parent(**other) == parent(cell))
            .count() as f64;
        let of_family = if parent(cell) == parent(here) { marks } else { 0.0 };
        let of_cell = if cell == here { marks } else { 0.0 };
        let family_rate = (of_family + 168.0 * marks / (hours * cells)) / (hours * family + 168.0);
        (of_cell + 168.0 * family_rate) / (hours + 168.0)
    };
    let weight = |from: CellIndex, to: CellIndex| if from == to { 1.0 } else { (-1.0_f64 / 0.72).exp() };
    let around = |cell: CellIndex| -> Vec<CellIndex> {
        let near: Vec<CellIndex> = cell.grid_disk(1);
        near.into_iter().filter(|near| domain.contains(near)).collect()
    };
    let felt = around(here).into_iter().map(|from| {
        let total: f64 = around(from).into_iter().map(|to| weight(from, to)).sum();
        weight(from, here) / total * rate(from)
    });
    (rate(here), felt.sum())
}

#[tokio::test]
async fn a_period_is_played_again_and_its_scores_are_told() {
    let server = hourly();
    let output = Command::new(crash_rig::binary())
        .arg("evaluate")
        .arg("--config")
        .arg(server.path("riskgrid.toml"))
        .args([
            "--layer",
            "noise",
            "--from",
            "2026-02-05T00:00:00Z",
            "--to",
            "2026-02-09T00:00:00Z",
            "--horizon",
            "1h",
            "--json",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["events"], json!(96.0));
    let method = |name: &str| {
        told["methods"]
            .as_array()
            .unwrap()
            .iter()
            .find(|of| of["method"] == name)
            .unwrap()
            .clone()
    };
    // The one busy cell is the first of every method that looks back.
    for name in ["forecast", "long_run_mean", "last_week"] {
        assert_eq!(method(name)["hit_rate"], json!([1.0, 1.0, 1.0]), "{name}");
    }
    let (even, cells) = (method("even"), told["cells"].as_f64().unwrap());
    assert!(
        (even["hit_rate"][1].as_f64().unwrap() - (0.05 * cells).round() / cells).abs() < 1e-9,
        "{even}"
    );
    assert!(even["ig"].as_f64().unwrap().abs() < 1e-9);
    // All events in one of so many cells: nearly the logarithm of their number.
    let gain = (0.95 * cells + 0.05).ln();
    assert!((method("long_run_mean")["ig"].as_f64().unwrap() - gain).abs() < 1e-9);

    let absent = Command::new(crash_rig::binary())
        .arg("evaluate")
        .arg("--config")
        .arg(server.path("riskgrid.toml"))
        .args([
            "--layer",
            "fire",
            "--from",
            "2026-02-05T00:00:00Z",
            "--to",
            "2026-02-09T00:00:00Z",
        ])
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(
        !absent.status.success() && complained.contains("[risk.layers.fire]"),
        "{complained}"
    );
}

#[tokio::test]
async fn a_feed_that_fell_silent_is_told_by_its_own_name_and_no_other_that_begins_like_it() {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let mut server = Server::not_started();
    let time = (Utc::now() - chrono::TimeDelta::minutes(5)).to_rfc3339();
    std::fs::write(
        server.path("calls.csv"),
        format!("id,time,lon,lat\n1,{time},{lon},{lat}\n"),
    )
    .unwrap();
    server.configure(
        r#"
[[feeds]]
name = "calls"
from = { file = "calls.csv" }
format = "csv"
event = "report"
source = { const = "//calls" }
id = ["id"]
time = "time"
lon = "lon"
lat = "lat"
category = { const = "noise" }
severity = { const = 2 }
"#,
    );
    server.restart();
    let counted = "SELECT sum(count) FROM cells WHERE layer = 'noise'";
    server.rows_become(counted, &json!([[1]])).await;
    for (name, feed) in [("others", "cal"), ("calls", "calls")] {
        let rule = json!({"name": name, "kind": "no_data", "of": "feed", "feeds": [feed], "expected": "1m", "severity": "minor"});
        let made = server.post_json("/v1/rules", &rule).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let told = "SELECT rule, instance, state FROM alerts";
    server
        .rows_become(told, &json!([["calls", "calls", "firing"]]))
        .await;
}

#[tokio::test]
async fn files_of_one_layer_are_played_as_one() {
    let server = hourly();
    let configuration = std::fs::read_to_string(server.path("riskgrid.toml")).unwrap();
    let (settings, rest) = configuration.split_once("[[feeds]]").unwrap();
    let (feed, rest) = rest.split_once("[[areas]]").unwrap();
    let rows = std::fs::read_to_string(server.path("noise.csv")).unwrap();
    let (header, rows) = rows.split_once('\n').unwrap();
    let (early, late): (Vec<&str>, Vec<&str>) = rows.lines().partition(|row| row.contains("2026-01-"));
    for (file, rows) in [("early.csv", early), ("late.csv", late)] {
        std::fs::write(server.path(file), format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    }
    let of_file = |name: &str| {
        feed.replace("\"past\"", &format!("\"{name}\""))
            .replace("noise.csv", &format!("{name}.csv"))
    };
    let both = format!(
        "{settings}[[feeds]]{}[[feeds]]{}[[areas]]{rest}",
        of_file("early"),
        of_file("late")
    );
    std::fs::write(server.path("both.toml"), both).unwrap();
    let played = |configuration: &str| {
        let output = Command::new(crash_rig::binary())
            .arg("evaluate")
            .arg("--config")
            .arg(server.path(configuration))
            .args([
                "--layer",
                "noise",
                "--from",
                "2026-02-05T00:00:00Z",
                "--to",
                "2026-02-07T00:00:00Z",
                "--json",
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let (one, two) = (played("riskgrid.toml"), played("both.toml"));
    assert_eq!(one["events"], json!(48.0));
    assert_eq!(one, two);
}

#[tokio::test]
async fn tiles_show_the_surface_and_tell_their_fixed_colours() {
    let server = server(MODEL);
    post(
        &server,
        &[call("t1", "a", "phone", 60), reading("t2", "gauge-1", 3.0, 30)],
    )
    .await;
    server
        .rows_become("SELECT count(*) FROM risk WHERE layer = '*'", &json!([[7]]))
        .await;
    let described = server.get("/v1/tiles/*.json").await;
    assert_eq!(described.status, 200, "{}", described.body);
    assert_eq!(
        described.body["riskgrid:legend"]["limits"],
        json!([0.2, 0.4, 0.6, 0.8])
    );
    assert_eq!(described.body["vector_layers"][0]["id"], "*");
    let of_class = server.get("/v1/tiles/flooding.json?metric=class").await;
    assert_eq!(
        of_class.body["riskgrid:legend"]["classes"][0], "black_swan",
        "{}",
        of_class.body
    );
    let get = async |path: &str| {
        let response = server
            .client
            .get(format!("{}{path}", server.url))
            .send()
            .await
            .unwrap();
        let tag = response
            .headers()
            .get("etag")
            .map(|tag| tag.to_str().unwrap().to_owned());
        (
            response.status().as_u16(),
            tag,
            response.bytes().await.unwrap().to_vec(),
        )
    };
    for (path, property) in [
        ("/v1/tiles/*/0/0/0.mvt?metric=risk", "risk"),
        ("/v1/tiles/%2A/0/0/0.mvt?metric=risk_if_true", "risk_if_true"),
        ("/v1/tiles/flooding/0/0/0.mvt?metric=class", "normal"),
        ("/v1/tiles/water_level/0/0/0.mvt?metric=risk", "water_level"),
    ] {
        let (status, tag, bytes) = get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(tag.is_some(), "{path}");
        assert!(
            bytes
                .windows(property.len())
                .any(|window| window == property.as_bytes()),
            "{path}"
        );
    }
    assert_eq!(get("/v1/tiles/*/3/0/0.mvt").await.0, 204);
    for (path, status) in [
        ("/v1/tiles/*/0/0/0.mvt?metric=class", 400),
        ("/v1/tiles/*/0/0/0.mvt?metric=count", 400),
        (
            "/v1/tiles/flooding/0/0/0.mvt?metric=risk&at=2026-01-01T00:00:00Z",
            400,
        ),
        ("/v1/tiles/absent/0/0/0.mvt?metric=risk", 404),
    ] {
        assert_eq!(get(path).await.0, status, "{path}");
    }
    let catalogue = server.get("/v1/layers").await;
    assert_eq!(
        catalogue.body["risk"]["layers"],
        json!(["flooding", "water_level"])
    );
}
