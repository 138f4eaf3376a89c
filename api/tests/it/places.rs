//! Reference layers on a whole server: areas on events, study areas by name, facilities, and errors that tell what to do.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Server, fixture, program, reading, skip};

/// An invented district around the city of the fixtures, of which one half is an area of its own.
fn districts() -> String {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let feature = |name: &str, code: &str, [west, south, east, north]: [f64; 4]| {
        let ring = json!([
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south]
        ]);
        json!({"type": "Feature", "properties": {"name": name, "code": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    };
    let whole = [lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1];
    let features = [
        feature("Quay", "quay", whole),
        feature("Market", "market", [lon - 0.1, lat - 0.1, lon, lat + 0.1]),
        feature("Market", "other_market", [lon + 0.2, lat, lon + 0.3, lat + 0.1]),
    ];
    json!({"type": "FeatureCollection", "features": features}).to_string()
}

const TABLES: &str = r#"
[[areas]]
level = "district"
file = "districts.geojson"
name = "name"
id = "code"
[[facilities]]
kind = { const = "hospital" }
file = "hospitals.csv"
name = "name"
lon = "lon"
lat = "lat"
properties = ["beds"]
"#;

fn server() -> Server {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    let mut server = Server::not_started();
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    let hospitals = format!("name,lon,lat,beds\nGeneral,{lon},{lat},46\n");
    std::fs::write(server.path("hospitals.csv"), hospitals).unwrap();
    server.configure(TABLES);
    server.restart();
    server
}

#[tokio::test]
async fn events_bear_the_ids_of_their_areas_and_areas_are_study_areas() {
    let server = server();
    let events: Vec<Value> = (0..5)
        .map(|number| reading(&format!("e{number}"), "river-1", 1.0, 120 + number))
        .collect();
    let body = Value::Array(events).to_string();
    assert_eq!(
        server
            .post("application/cloudevents-batch+json", body)
            .await
            .status,
        202
    );
    // The sensor stands on the border of Market, which is the western half.
    let of_areas = "SELECT areas, count(*) FROM events GROUP BY areas";
    server.rows_become(of_areas, &json!([[["quay"], 5]])).await;
    let inside = "SELECT count(*) FROM events WHERE array_has(areas, 'quay')";
    assert_eq!(server.rows(inside).await, [json!([5])]);

    let areas = "SELECT area, name, level, parent, population FROM areas ORDER BY area";
    assert_eq!(
        server.rows(areas).await,
        [
            json!(["market", "Market", "district", null, null]),
            json!(["other_market", "Market", "district", null, null]),
            json!(["quay", "Quay", "district", null, null]),
        ]
    );
    let facilities = "SELECT facility, kind, properties, properties['beds'] FROM facilities";
    assert_eq!(
        server.rows(facilities).await,
        [json!(["general", "hospital", {"beds": "46"}, "46"])]
    );

    // Later than what is complete, so that the newest events are in the window.
    let at = (chrono::Utc::now() + chrono::TimeDelta::minutes(1)).to_rfc3339();
    let hot = |domain: &str| {
        format!(
            "SELECT count(*), sum(value), sum(CASE WHEN h3_in_area(cell, 'quay') THEN 1 ELSE 0 END) \
                 FROM hotspots('water_level', resolution => 8, domain => '{domain}', at => '{at}')"
        )
    };
    let rows = server.rows(&hot("Quay")).await;
    let cells = rows[0][0].as_i64().unwrap();
    assert!(cells > 300, "{rows:?}");
    assert_eq!(rows, [json!([cells, 5.0, cells])]);
    assert_eq!(server.rows(&hot("quay")).await, rows);
    let market = server.rows(&hot("market")).await[0][0].as_i64().unwrap();
    assert!(
        (cells / 2 - 20..cells / 2 + 20).contains(&market),
        "{market} of {cells}"
    );

    for (domain, expected) in [
        (
            "Market",
            "domain is 'Market', allowed is 'neighbours' or 'observed', or an area's id or name; several areas have this name, say which: 'market', 'other_market'",
        ),
        (
            "quai",
            "domain is 'quai', allowed is 'neighbours' or 'observed', or an area's id or name; did you mean 'quay'?",
        ),
        (
            "nowhere at all",
            "or an area's id or name; the table areas lists them",
        ),
    ] {
        let answer = server.post_json("/v1/sql", &json!({"sql": hot(domain)})).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(
            answer.body["detail"].as_str().unwrap().contains(expected),
            "{}",
            answer.body
        );
    }

    let list = server.get("/v1/areas").await.body;
    assert_eq!(
        list["areas"][2],
        json!({"id": "quay", "name": "Quay", "level": "district", "parent": null, "population": null})
    );
    let one = server.get("/v1/areas/quay").await;
    assert_eq!(
        (one.status, one.media_type.as_str()),
        (200, "application/geo+json")
    );
    assert_eq!(
        one.body["geometry"]["coordinates"][0][0]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    assert_eq!(server.get("/v1/areas/quai").await.status, 404);
}

#[tokio::test]
async fn areas_of_kept_events_stay_and_a_changed_file_counts_from_the_next_start() {
    let mut server = server();
    let post = async |server: &Server, id: &str| {
        assert_eq!(
            server
                .post("application/json", reading(id, "river-1", 1.0, 60).to_string())
                .await
                .status,
            202
        );
    };
    post(&server, "before").await;
    let sql = "SELECT id, areas FROM events ORDER BY id DESC";
    server.rows_become(sql, &json!([["before", ["quay"]]])).await;
    server.stop().await;
    std::fs::write(
        server.path("districts.geojson"),
        districts().replace("\"quay\"", "\"pier\""),
    )
    .unwrap();
    server.restart();
    post(&server, "after").await;
    server
        .rows_become(sql, &json!([["before", ["quay"]], ["after", ["pier"]]]))
        .await;
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_place_before_anything_starts() {
    let server = Server::not_started();
    let broken = districts().replacen("]]]", "]],[]]", 1);
    std::fs::write(server.path("districts.geojson"), broken).unwrap();
    std::fs::write(server.path("hospitals.csv"), "name,lon,lat,beds\nGeneral,1,2,3\n").unwrap();
    server.configure(TABLES);
    let refused = server.run(&["serve"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let expected = "areas: districts.geojson, feature 1: `Quay`: ring 2 of polygon 1 has fewer than three different corners";
    assert!(said.contains(expected), "{said}");
    let check = |file: &str| {
        let output = Command::new(crate::crash_rig::binary())
            .args(["check-config", "--config"])
            .arg(server.path(file))
            .output();
        let output = output.unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (sound, said) = check("riskgrid.toml");
    assert!(!sound && said.contains(expected), "{said}");
    std::fs::write(
        server.path("other.toml"),
        "[[areas]]\nlevel = \"a\"\nfile = \"a.csv\"\nname = \"a\"\npopulaton = \"b\"\n",
    )
    .unwrap();
    let (sound, said) = check("other.toml");
    assert!(
        !sound && said.contains("populaton") && said.contains("did you mean `population`?"),
        "{said}"
    );
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    let (sound, said) = check("riskgrid.toml");
    assert!(sound && said.contains("3 areas, 1 facilities"), "{said}");
}

#[tokio::test]
async fn all_reports_of_boston_are_in_the_neighbourhoods_that_geos_finds() {
    let (Some(python), Some(data)) = (program("RISKGRID_PYTHON"), data()) else {
        return;
    };
    let script = Command::new(&python)
        .arg("-B")
        .arg(fixture("truth/boston_areas.py"))
        .env("RISKGRID_TEST_DATA", &data)
        .output()
        .unwrap();
    assert!(
        script.status.success(),
        "{}",
        String::from_utf8_lossy(&script.stderr)
    );
    let truth: Value = serde_json::from_slice(&script.stdout).unwrap();
    let expected: Vec<Value> = truth["areas"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, count)| json!([id, count]))
        .collect();
    assert_eq!(expected.len(), 26);

    let feed = std::fs::read_to_string(fixture("feeds/boston_311.file.toml")).unwrap();
    let feed = feed.replace("../shared/data", &data.to_string_lossy());
    let areas = data.join("reference/boundaries/boston.geojson.gz");
    let areas = format!(
        "[[areas]]\nlevel = \"neighbourhood\"\nfile = \"{}\"\nname = \"name\"\n",
        areas.display()
    );
    let mut server = Server::not_started();
    server.configure(&format!(
        "[grid]\nevents_age = \"2y\"\nevents_bytes = \"1GiB\"\n{areas}{feed}"
    ));
    server.restart();
    let all = "SELECT count(*) FROM events";
    server.rows_become(all, &json!([[truth["reports"]]])).await;
    let by_area = "SELECT a.area, count(e.area) FROM areas a LEFT JOIN (SELECT unnest(areas) AS area FROM events) e \
                   ON a.area = e.area GROUP BY a.area ORDER BY a.area";
    assert_eq!(server.rows(by_area).await, expected);
    let in_none = "SELECT count(*) FROM events WHERE cardinality(areas) = 0";
    assert_eq!(server.rows(in_none).await, [json!([truth["in_no_area"]])]);

    // One area's cells, and what was reported in them, by two ways.
    let at = "at => '2015-10-01T04:00:00Z', window => INTERVAL '300 days', resolution => 9";
    let scored =
        format!("SELECT count(*), sum(value) FROM hotspots('street_lights', {at}, domain => 'Dorchester')");
    let summed =
        "SELECT sum(count) FROM cells WHERE layer = 'street_lights' AND h3_in_area(cell, 'dorchester')";
    let (scored, summed) = (server.rows(&scored).await, server.rows(summed).await);
    assert_eq!(scored[0][1].as_f64(), summed[0][0].as_f64());
    assert!(scored[0][0].as_i64().unwrap() > 100, "{scored:?}");
}

/// The folder of the real data sets; without it the test is skipped, and says so.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("RISKGRID_TEST_DATA")
        .map_or_else(|| fixture("../../shared/data").into(), PathBuf::from);
    if folder.is_dir() {
        return folder.canonicalize().ok();
    }
    skip("RISKGRID_TEST_DATA names no data sets");
    None
}
