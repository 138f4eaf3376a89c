//! Random grids, scopes and requests: on every route a scoped identity is answered as by an open server that was fed with what
//! that identity may see. Statements in SQL are tried in far greater number below the server, in analytics/tests/tables.

use h3o::{LatLng, Resolution};
use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;
use super::rights::{answer, districts, feed};
use crate::server::{Server, eventually};

pub(super) const GRID: &str = "[grid]\nallowed_lateness = \"0s\"\n";
pub(super) const AREAS: &str =
    "[[areas]]\nlevel = \"district\"\nfile = \"districts.geojson\"\nname = \"name\"\nid = \"code\"\n";
pub(super) const LAYERS: [&str; 3] = ["noise", "flooding", "water_level"];

/// Layers and areas of a scope; none is all.
pub(super) type ScopeOf = (&'static [&'static str], &'static [&'static str]);

pub(super) const SCOPES: [ScopeOf; 4] = [
    (&["noise"], &["west"]),
    (&["water_level", "flooding"], &["east"]),
    (&["water_level"], &[]),
    (&[], &["west"]),
];

pub(super) fn layer_section(id: &str) -> String {
    match id {
        "water_level" => {
            "[[layers]]\nid = \"water_level\"\nkind = \"observation\"\nunit = \"m\"\n".to_owned()
        }
        report => format!("[[layers]]\nid = \"{report}\"\nkind = \"report\"\n"),
    }
}

/// Numbers that are the same in each run.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// An event, and where it is of.
pub(super) struct Placed {
    pub(super) event: Value,
    pub(super) layer: &'static str,
    pub(super) lon: f64,
}

/// Events at the centres of their cells, so that all tables agree where they are.
pub(super) fn world(random: &mut Random) -> Vec<Placed> {
    let number = 40 + random.below(60);
    let mut world: Vec<Placed> = (0..number)
        .map(|number| {
            let layer = random.of(&LAYERS);
            // Not at the border in the north or south: there sums over events and over cells differ.
            let (east, north) = (random.below(1_000) as f64 / 1e4, (50 + random.below(900)) as f64 / 1e4);
            let near = LatLng::new(22.5 + north, 113.9 + east).unwrap().to_cell(Resolution::Nine);
            let place = LatLng::from(near);
            let (lon, lat) = (place.lng(), place.lat());
            let kind = if layer == "water_level" { "observation" } else { "report" };
            let data = if layer == "water_level" {
                json!({"sensor": format!("g{}", random.below(30)), "property": layer, "value": random.below(50) as f64 / 10.0,
                    "unit": "m", "lon": lon, "lat": lat})
            } else {
                json!({"report": format!("r{number}"), "category": layer, "lon": lon, "lat": lat})
            };
            let event = json!({"specversion": "1.0", "id": format!("e{number}"), "source": "//test",
                "type": format!("riskgrid.{kind}.v1"), "time": format!("2026-11-22T08:{:02}:00Z", random.below(55)), "data": data});
            Placed { event, layer, lon }
        })
        // A sensor that moves from one side to the other belongs to where it is last: each has a side of its own.
        .map(|mut placed| {
            if placed.layer == "water_level" {
                let side = if placed.lon < 113.95 { "west" } else { "east" };
                let name = format!("{}-{side}", placed.event["data"]["sensor"].as_str().unwrap());
                placed.event["data"]["sensor"] = json!(name);
            }
            placed
        })
        // Nothing on the border between the two.
        .filter(|placed| (placed.lon - 113.95).abs() > 0.004 && (113.904..113.996).contains(&placed.lon))
        .collect();
    world.sort_by_key(|placed| placed.event["time"].as_str().unwrap().to_owned());
    // The last of all is seen by all, so that what is hidden moves no clock: of each layer on both sides.
    for (number, (layer, lon)) in (1_000..).zip(
        LAYERS
            .into_iter()
            .flat_map(|layer| [(layer, 113.92), (layer, 113.98)]),
    ) {
        world.push(last(number, layer, lon));
    }
    world
}

/// One more event of a layer, later than those of a world.
pub(super) fn last(number: usize, layer: &'static str, lon: f64) -> Placed {
    let place = LatLng::from(LatLng::new(22.55, lon).unwrap().to_cell(Resolution::Nine));
    let mut data = json!({"lon": place.lng(), "lat": place.lat()});
    let kind = if layer == "water_level" {
        "observation"
    } else {
        "report"
    };
    if layer == "water_level" {
        data["sensor"] = json!(format!("last-{lon}"));
        data["property"] = json!(layer);
        data["value"] = json!(1.5);
        data["unit"] = json!("m");
    } else {
        data["category"] = json!(layer);
        data["report"] = json!(format!("r{number}"));
    }
    let event = json!({"specversion": "1.0", "id": format!("e{number}"), "source": "//test",
        "type": format!("riskgrid.{kind}.v1"), "time": "2026-11-22T08:56:00Z", "data": data});
    Placed { event, layer, lon }
}

pub(super) fn is_seen(placed: &Placed, (layers, areas): ScopeOf) -> bool {
    let side = if placed.lon < 113.95 { "west" } else { "east" };
    (layers.is_empty() || layers.contains(&placed.layer)) && (areas.is_empty() || areas.contains(&side))
}

fn requests(random: &mut Random) -> Vec<String> {
    let mut all: Vec<String> = [
        "/v1/layers",
        "/v1/layers/noise",
        "/v1/layers/flooding",
        "/v1/layers/water_level",
        "/v1/areas",
        "/v1/areas/west",
        "/v1/tiles/noise.json",
        "/v1/tiles/flooding.json?metric=weight",
        "/v1/tiles/water_level.json?metric=max",
        "/v1/sql?sql=SELECT * EXCEPT (sources, channels, revision) FROM cells ORDER BY layer, bucket, cell",
        "/v1/sql?sql=SELECT layer, count(*), sum(count), max(max) FROM cells GROUP BY layer ORDER BY layer",
        "/v1/sql?sql=SELECT count(*) FROM cells",
        "/v1/sql?sql=SELECT cell FROM cells WHERE 1 / (CAST(count AS BIGINT) - 2) > 0 ORDER BY cell, bucket",
        "/v1/sql?sql=SELECT layer, count, first_time, last_time FROM layers ORDER BY layer",
        "/v1/sql?sql=SELECT id, layer, lon, lat, cell, areas FROM events ORDER BY id",
        "/v1/sql?sql=SELECT sensor, layer, value, last_time FROM sensors ORDER BY sensor",
        "/v1/sql?sql=SELECT sensor FROM sensors WHERE 1 / (CAST(value * 10 AS BIGINT) - 15) > 0 ORDER BY sensor",
        "/v1/sql?sql=SELECT report, layer, status FROM reports ORDER BY report",
        "/v1/sql?sql=SELECT a.area, count(*) FROM areas a JOIN events e ON st_within(st_point(e.lon, e.lat), a.geometry) GROUP BY 1 ORDER BY 1",
        "/v1/sql?sql=WITH n AS (SELECT cell, sum(count) AS n FROM cells GROUP BY cell) SELECT count(*), max(n) FROM n",
        "/v1/sql?sql=SELECT cell, row_number() OVER (PARTITION BY layer ORDER BY bucket, cell) FROM cells ORDER BY layer, bucket, cell",
        "/v1/sql?sql=SELECT * FROM hotspots(layer => 'noise', window => INTERVAL '1 hour', at => '2026-11-22T09:00:00Z') ORDER BY cell",
        "/v1/sql?sql=SELECT * FROM hotspots(layer => 'flooding', window => INTERVAL '1 hour', at => '2026-11-22T09:00:00Z') ORDER BY cell",
        "/v1/sql?sql=SELECT * FROM hotspots(layer => 'none of it')",
        "/v1/sql?sql=EXPLAIN SELECT count(*) FROM cells WHERE layer = 'noise'",
        "/v1/sql?sql=EXPLAIN SELECT cell, sum(count) FROM cells WHERE bucket > '2026-11-22T08:10:00Z' GROUP BY cell",
        "/v1/sql?sql=EXPLAIN SELECT id FROM events WHERE lon > 113.95",
        "/v1/sql?sql=SELECT rule, layer, sensor, cell, state, value, at, fired_at FROM alerts ORDER BY sensor",
        "/v1/sql?sql=SELECT count(*) FROM alerts WHERE state = 'firing'",
    ]
    .map(str::to_owned)
    .into();
    for _ in 0..60 {
        let zoom = random.below(15) as u32;
        let across = f64::from(1_u32 << zoom);
        let column = ((113.9 + random.below(100) as f64 / 1e3) / 360.0 + 0.5) * across;
        let latitude = (22.5 + random.below(100) as f64 / 1e3).to_radians();
        let row = (1.0 - (latitude.tan() + 1.0 / latitude.cos()).ln() / std::f64::consts::PI) / 2.0 * across;
        let layer = random.of(&LAYERS);
        let metric = random.of(&["count", "weight", "mean", "max", "last", "nothing"]);
        let window = random.of(&["5m", "1h", "2h", "1d"]);
        let at = random.of(&[
            "",
            "&at=2026-11-22T08:30:00Z",
            "&at=2026-11-22T09:00:00Z",
            "&at=2026-11-23T00:00:00Z",
        ]);
        let (column, row) = (column as u32, row as u32);
        all.push(format!(
            "/v1/tiles/{layer}/{zoom}/{column}/{row}.mvt?metric={metric}&window={window}{at}"
        ));
    }
    all
}

pub(super) async fn make_rule(server: &Server, key: Option<&str>) {
    let rule = json!({"name": "high", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "severity": "minor"});
    let request = server.client.post(format!("{}/v1/rules", server.url)).json(&rule);
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    assert_eq!(request.send().await.unwrap().status(), 201);
}

pub(super) fn configured(server: &Server, layers: &[&str]) {
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    let layers: String = layers.iter().map(|layer| layer_section(layer)).collect();
    server.configure(&format!("{GRID}{layers}{AREAS}"));
}

#[tokio::test]
async fn on_every_route_a_scope_is_answered_as_by_a_server_of_what_it_sees() {
    for seed in [3, 20_261_130] {
        let mut random = Random(seed);
        let world = world(&mut random);
        let guarded = {
            let mut server = Server::not_started();
            configured(&server, &LAYERS);
            let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
            server.restart();
            Guarded { server, admin }
        };
        make_rule(&guarded.server, Some(&guarded.admin)).await;
        let events: Vec<Value> = world.iter().map(|placed| placed.event.clone()).collect();
        feed(&guarded.server, Some(&guarded.admin), &events).await;
        eventually("all events", async || {
            (guarded.rows("SELECT count(*) FROM events").await == json!([[events.len()]])).then_some(())
        })
        .await;
        for scope in SCOPES {
            let mut alone = Server::not_started();
            let layers: Vec<&str> = LAYERS
                .into_iter()
                .filter(|layer| scope.0.is_empty() || scope.0.contains(layer))
                .collect();
            configured(&alone, &layers);
            alone.restart();
            if layers.contains(&"water_level") {
                make_rule(&alone, None).await;
            }
            let shown: Vec<Value> = world
                .iter()
                .filter(|placed| is_seen(placed, scope))
                .map(|placed| placed.event.clone())
                .collect();
            feed(&alone, None, &shown).await;
            alone
                .rows_become("SELECT count(*) FROM events", &json!([[shown.len()]]))
                .await;
            let mut rights = json!({"role": "analyst"});
            for (member, names) in [("layers", scope.0), ("areas", scope.1)] {
                if !names.is_empty() {
                    rights[member] = json!(names);
                }
            }
            let key = guarded.key(rights).await;
            // Alerts begin a moment after their events are counted.
            let alerts = "/v1/sql?sql=SELECT count(*) FROM alerts";
            eventually("the alerts are there", async || {
                let (seen, of_alone) = (
                    answer(&guarded.server, Some(&key), alerts).await,
                    answer(&alone, None, alerts).await,
                );
                (seen == of_alone).then_some(())
            })
            .await;
            for request in requests(&mut random) {
                let shown = answer(&guarded.server, Some(&key), &request).await;
                assert_eq!(
                    shown,
                    answer(&alone, None, &request).await,
                    "{request} in {scope:?} of {seed}"
                );
            }
            let rules = guarded.ask(Method::GET, "/v1/rules", Some(&key), None).await;
            let has = rules.body["rules"].as_array().unwrap().len();
            assert_eq!(
                has,
                usize::from(layers.contains(&"water_level")),
                "{}",
                rules.body
            );
        }
    }
}
