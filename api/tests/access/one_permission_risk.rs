//! The risk surface for a scoped identity is that of an open server which was fed with what it may see: no row, no number, no
//! tile tells of a layer of the same hazard group that is hidden, nor of what lies outside its areas and their next ring.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::Guarded;
use super::one_permission::{AREAS, GRID, LAYERS, Placed, Random, SCOPES, is_seen, layer_section, world};
use super::rights::{answer, districts, feed};
use crate::server::{DEADLINE, Server, eventually};

/// Layers on the surface, in one hazard group as far as they are there.
fn configured(server: &Server, layers: &[&str]) {
    std::fs::write(server.path("districts.geojson"), districts()).unwrap();
    // Sources are hashed by a key of each installation; here they are to compare.
    let catalogue = server.data().join("checkpoints/catalogue");
    std::fs::create_dir_all(&catalogue).unwrap();
    let key = json!({"format": 1, "source_key": "07".repeat(32)});
    std::fs::write(catalogue.join("source-key.json"), key.to_string()).unwrap();
    let sections: String = layers.iter().map(|layer| layer_section(layer)).collect();
    let models: Vec<String> = layers
        .iter()
        .map(|layer| {
            let model = match *layer {
                "water_level" => "levels = [[1.0, 0.0], [2.0, 0.4], [3.0, 0.8]]\nvalid_for = \"4h\"\n",
                _ => "half_level = 3.0\n",
            };
            format!("[risk.layers.{layer}]\nhalf_life = \"3h\"\n{model}")
        })
        .collect();
    let flood: Vec<&&str> = layers.iter().filter(|layer| **layer != "noise").collect();
    let groups = format!("[risk.groups]\nflood = {flood:?}\n");
    server.configure(&format!("{GRID}{sections}{AREAS}{groups}{}", models.concat()));
}

/// The same events, of the hour before now, by several people over several channels.
fn recent(world: &[Placed]) -> Vec<Value> {
    let now = Utc::now();
    let moved = world.iter().enumerate().map(|(number, placed)| {
        let mut event = placed.event.clone();
        let minute: i64 = event["time"].as_str().unwrap()[14..16].parse().unwrap();
        event["time"] = json!((now - TimeDelta::minutes(60 - minute)).to_rfc3339());
        if placed.layer != "water_level" {
            event["data"]["channel"] = json!(["phone", "app", "camera"][number % 3]);
            event["data"]["reporter"] = json!(format!("somebody {}", number % 7));
            event["data"]["severity"] = json!(number % 4);
        }
        event
    });
    moved.collect()
}

fn requests() -> Vec<String> {
    let mut all: Vec<String> = [
        "SELECT * EXCEPT (model) FROM risk ORDER BY layer, cell",
        "SELECT count(*), max(risk), min(risk_low), max(risk_high), sum(loo_layer) FROM risk",
        "SELECT layer, count(*), max(corroboration), max(channels) FROM risk GROUP BY layer ORDER BY layer",
        "SELECT h3_parent(cell, 7), max(risk) FROM risk WHERE layer = '*' GROUP BY 1 ORDER BY 1",
        "SELECT cell FROM risk WHERE 1 / (CAST(risk * 100 AS BIGINT) - 20) > 0 ORDER BY layer, cell",
        "SELECT cell, rank() OVER (ORDER BY risk DESC) FROM risk WHERE layer = '*' ORDER BY cell",
        "SELECT a.area, max(r.risk) FROM areas a JOIN risk r ON h3_in_area(r.cell, a.area) GROUP BY 1 ORDER BY 1",
        "EXPLAIN SELECT count(*) FROM risk",
        "EXPLAIN SELECT cell, risk FROM risk WHERE layer = 'flooding' AND risk > 0.2",
        "SELECT * FROM forecast_scores ORDER BY layer",
    ]
    .map(|sql| format!("/v1/sql?sql={}", sql.replace('+', "%2B")))
    .into();
    all.push("/v1/layers".to_owned());
    for layer in ["*", "noise", "flooding", "water_level"] {
        for metric in ["risk", "risk_if_true", "class", "forecast"] {
            all.push(format!("/v1/tiles/{layer}.json?metric={metric}"));
            // The whole world, the city, and a part of each district.
            for tile in ["0/0/0", "9/418/223", "13/6687/3568", "13/6689/3568"] {
                all.push(format!("/v1/tiles/{layer}/{tile}.mvt?metric={metric}"));
            }
        }
    }
    all
}

/// All answers, and the moment of the surface before and after them.
async fn answers(server: &Server, key: Option<&str>) -> (Value, Vec<(u16, Option<String>, String)>) {
    let moments = "/v1/sql?sql=SELECT DISTINCT at FROM risk";
    let before = answer(server, key, moments).await.2;
    let mut all = Vec::new();
    for request in requests() {
        let (status, tag, body) = answer(server, key, &request).await;
        // How much is counted of a layer is told when it was counted, which is not the surface's moment.
        all.push((status, tag, body));
    }
    let after = answer(server, key, moments).await.2;
    (json!([before, after]), all)
}

#[tokio::test]
async fn a_scope_has_the_surface_of_what_it_sees() {
    let world = world(&mut Random(20_261_201));
    let events = recent(&world);
    let mut guarded = {
        let mut server = Server::not_started();
        configured(&server, &LAYERS);
        let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
        server.restart();
        Guarded { server, admin }
    };
    feed(&guarded.server, Some(&guarded.admin), &events).await;
    eventually("a surface of all", async || {
        let rows = guarded
            .rows("SELECT DISTINCT layer FROM risk ORDER BY layer")
            .await;
        (rows == json!([["*"], ["flooding"], ["noise"], ["water_level"]])).then_some(())
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
        let shown: Vec<Value> = world
            .iter()
            .zip(&events)
            .filter(|(placed, _)| is_seen(placed, scope))
            .map(|(_, event)| event.clone())
            .collect();
        feed(&alone, None, &shown).await;
        // A class that a cell had is kept for hours: both begin with the hours that the grid knows, and with nothing that a surface of
        // half of the events showed.
        for server in [&mut alone, &mut guarded.server] {
            server.stop().await;
            server.restart();
        }
        let mut rights = json!({"role": "analyst"});
        for (member, names) in [("layers", scope.0), ("areas", scope.1)] {
            if !names.is_empty() {
                rights[member] = json!(names);
            }
        }
        let key = guarded.key(rights).await;
        // Both make surfaces at their own pace: they are compared once both are of one moment.
        let began = std::time::Instant::now();
        loop {
            let (of_guarded, of_alone) = (
                answers(&guarded.server, Some(&key)).await,
                answers(&alone, None).await,
            );
            if of_guarded == of_alone && of_alone.1[0].2.contains("\"*\"") {
                break;
            }
            if began.elapsed() > 2 * DEADLINE {
                assert_eq!(of_guarded.0, of_alone.0, "{scope:?}");
                for (request, (shown, should)) in requests().iter().zip(of_guarded.1.iter().zip(&of_alone.1))
                {
                    assert_eq!(shown, should, "{request} in {scope:?}");
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}
