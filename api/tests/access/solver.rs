//! Whoever puts together all numbers that the public is answered, of SQL and of tiles, gets no sum of fewer than `k` events.

use std::collections::{BTreeMap, BTreeSet};

use h3o::{CellIndex, LatLng, Resolution};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, tile_reader};
use crate::server::eventually;

const K: u64 = 5;
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
id = "clock"
kind = "report"
"#;
const HOURS: u64 = 3;

/// A cell and the hour that it is of.
type Atom = (u64, u64);

/// What happened, by atom: events of so many people.
fn world() -> BTreeMap<Atom, (u64, u64)> {
    let parents = [
        0x0854_11ca_3fff_ffff_u64,
        0x0854_11c0_3fff_ffff,
        0x0854_11cb_3fff_ffff,
    ];
    let parents = parents
        .into_iter()
        .filter_map(|parent| CellIndex::try_from(parent).ok());
    let cells = parents.flat_map(|parent| {
        parent
            .children(Resolution::Seven)
            .take(15)
            .map(u64::from)
            .collect::<Vec<_>>()
    });
    let mut state = 20_261_122_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut world = BTreeMap::new();
    for cell in cells {
        for hour in 0..HOURS {
            let events = random(13);
            if events > 0 {
                world.insert((cell, hour), (events, 1 + random(events)));
            }
        }
    }
    world
}

fn events(world: &BTreeMap<Atom, (u64, u64)>) -> Vec<Value> {
    let mut events = Vec::new();
    for ((cell, hour), (count, people)) in world {
        let place = LatLng::from(CellIndex::try_from(*cell).unwrap());
        for number in 0..*count {
            events.push(
                json!({"specversion": "1.0", "id": format!("{cell:x} {hour} {number}"), "source": "//test",
                "type": "riskgrid.report.v1", "time": format!("2026-11-22T{:02}:{:02}:00Z", 8 + hour, number),
                "data": {"category": "noise", "reporter": format!("{cell:x} {}", number % people),
                    "lon": place.lng(), "lat": place.lat()}}),
            );
        }
    }
    // Oldest first, then what moves the clock past the steps.
    events.sort_by_key(|event| event["time"].as_str().unwrap().to_owned());
    events.push(
        json!({"specversion": "1.0", "id": "clock", "source": "//test", "type": "riskgrid.report.v1",
        "time": "2026-11-22T11:30:00Z", "data": {"category": "clock", "lon": 113.9, "lat": 22.55}}),
    );
    events
}

async fn rows(guarded: &Guarded, sql: &str) -> Vec<Value> {
    let answer = guarded
        .ask(Method::POST, "/v1/sql", None, Some(json!({ "sql": sql })))
        .await;
    assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
    answer.body["rows"].as_array().unwrap().clone()
}

fn parent(cell: u64, resolution: u8) -> u64 {
    let parent = CellIndex::try_from(cell)
        .unwrap()
        .parent(resolution.try_into().unwrap());
    parent.unwrap().into()
}

/// Sums of atoms that are known, brought to their reduced form.
fn reduced(mut rows: Vec<Vec<i128>>) -> Vec<Vec<i128>> {
    let width = rows.first().map_or(0, Vec::len);
    let mut done = 0;
    for column in 0..width {
        let Some(pivot) = (done..rows.len()).find(|row| rows[*row][column] != 0) else {
            continue;
        };
        rows.swap(done, pivot);
        for row in 0..rows.len() {
            if row != done && rows[row][column] != 0 {
                let (by, of) = (rows[done][column], rows[row][column]);
                let pivot = rows[done].clone();
                for (value, pivot) in rows[row].iter_mut().zip(pivot) {
                    *value = *value * by - pivot * of;
                }
                // Kept small: a factor of all tells nothing.
                let factor = rows[row]
                    .iter()
                    .fold(0, |factor, value| greatest_divisor(factor, value.abs()));
                if factor > 1 {
                    rows[row].iter_mut().for_each(|value| *value /= factor);
                }
            }
        }
        done += 1;
    }
    rows.truncate(done);
    rows
}

fn greatest_divisor(one: i128, other: i128) -> i128 {
    if other == 0 {
        one
    } else {
        greatest_divisor(other, one % other)
    }
}

/// What a public number is the sum of, and the number.
type Known = (BTreeSet<Atom>, u64);

#[tokio::test]
async fn no_numbers_of_tiles_and_sql_together_tell_a_sum_of_few_events() {
    let guarded = Guarded::start_with(CONFIGURATION);
    let world = world();
    for part in events(&world).chunks(500) {
        let url = format!("{}/v1/events", guarded.server.url);
        let request = guarded.server.client.post(url).bearer_auth(&guarded.admin);
        let request = request.header("content-type", "application/cloudevents-batch+json");
        let answer = request
            .body(Value::from(part.to_vec()).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
    }
    eventually("the steps are published", async || {
        let layer = guarded.get("/v1/layers/noise", None).await;
        (layer.body["last_time"] == "2026-11-22T11:00:00Z").then_some(())
    })
    .await;
    let hour_of = |row: &Value| {
        let hour: u64 = row[1].as_str().unwrap()[11..13].parse().unwrap();
        hour - 8
    };
    let cell_of = |row: &Value| row[0].as_str().map(|cell| u64::from_str_radix(cell, 16).unwrap());
    let mut known: Vec<Known> = Vec::new();
    let shown: BTreeMap<Atom, u64> = rows(&guarded, "SELECT cell, bucket, count FROM cells")
        .await
        .iter()
        .map(|row| ((cell_of(row).unwrap(), hour_of(row)), row[2].as_u64().unwrap()))
        .collect();
    assert!(
        shown.len() > 20 && shown.len() < world.len(),
        "{} of {}",
        shown.len(),
        world.len()
    );
    known.extend(
        shown
            .iter()
            .map(|(atom, count)| (BTreeSet::from([*atom]), *count)),
    );
    // What is hidden is in the finest rest that holds it.
    let mut hidden: BTreeSet<Atom> = world
        .keys()
        .filter(|atom| !shown.contains_key(atom))
        .copied()
        .collect();
    let mut rests: Vec<(Option<u64>, u64, u64)> =
        rows(&guarded, "SELECT cell, bucket, count FROM cells_rest")
            .await
            .iter()
            .map(|row| (cell_of(row), hour_of(row), row[2].as_u64().unwrap()))
            .collect();
    let level = |cell: Option<u64>| cell.map_or(-1, |cell| (cell >> 52 & 15) as i8);
    rests.sort_by_key(|(cell, ..)| -level(*cell));
    assert!(!rests.is_empty());
    for (cell, hour, count) in &rests {
        let holds = |atom: &&Atom| {
            atom.1 == *hour && cell.is_none_or(|cell| parent(atom.0, (cell >> 52 & 15) as u8) == cell)
        };
        let held: BTreeSet<Atom> = hidden.iter().filter(holds).copied().collect();
        hidden.retain(|atom| !held.contains(atom));
        known.push((held, *count));
    }
    // Tiles, of each hour and of all, at every zoom.
    let mut from_tiles = 0;
    for zoom in 0..=14_u32 {
        for (window, hours) in [
            ("1h", 0..1),
            ("1h", 1..2),
            ("1h", 2..3),
            ("3h", 0..3),
            ("90m", 0..2),
        ] {
            let at = 8 + hours.end;
            let mut cells: BTreeMap<u64, u64> = BTreeMap::new();
            for (column, row) in tiles_of(&world, zoom) {
                let path = format!(
                    "/v1/tiles/noise/{zoom}/{column}/{row}.mvt?window={window}&at=2026-11-22T{at:02}:00:00Z"
                );
                let mut answer = guarded.send(Method::GET, &path, None, None).await;
                // The public asks so much in a minute; it can wait.
                while answer.status().as_u16() == 429 {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    answer = guarded.send(Method::GET, &path, None, None).await;
                }
                let status = answer.status().as_u16();
                assert!([200, 204].contains(&status), "{status} {path}");
                // A cell that meets several tiles has the same number in each.
                for (cell, count) in tile_reader::counts(&answer.bytes().await.unwrap()) {
                    assert_eq!(*cells.entry(cell).or_insert(count), count, "{path}");
                }
            }
            for (cell, count) in cells {
                let level = (cell >> 52 & 15) as u8;
                let of_cell = |(atom, hour): &&Atom| hours.contains(hour) && parent(*atom, level) == cell;
                let atoms: BTreeSet<Atom> = shown.keys().filter(of_cell).copied().collect();
                let sum: u64 = atoms.iter().map(|atom| shown[atom]).sum();
                assert_eq!(sum, count, "{cell:x} at zoom {zoom}");
                known.push((atoms, count));
                from_tiles += 1;
            }
        }
    }
    assert!(from_tiles > 100, "{from_tiles}");
    let document = guarded.get("/v1/tiles/noise.json", None).await;
    let all: BTreeSet<Atom> = world
        .keys()
        .filter(|atom| !shown.contains_key(atom))
        .copied()
        .collect();
    let all = all.difference(&hidden).copied().collect();
    known.push((all, document.body["meta"]["suppressed"].as_u64().unwrap()));
    // Each number by itself stands for enough, and so does all that follows from them together.
    let number: BTreeMap<Atom, usize> = world.keys().zip(0..).map(|(atom, at)| (*atom, at)).collect();
    let mut distinct: BTreeSet<Vec<i128>> = BTreeSet::new();
    for (atoms, count) in &known {
        assert_eq!(count % K, 0);
        let mut row = vec![0; world.len()];
        for atom in atoms {
            row[number[atom]] = 1;
        }
        distinct.insert(row);
    }
    for row in reduced(distinct.into_iter().collect()) {
        let sum: i128 = row
            .iter()
            .zip(world.values())
            .map(|(by, (count, _))| by * i128::from(*count))
            .sum();
        let scale = row.iter().map(|by| by.abs()).max().unwrap_or(1).max(1);
        assert!(sum.abs() / scale >= i128::from(K), "{row:?}");
    }
}

/// The tiles of a zoom that hold the places of the world, and those around them, where their hexagons may reach.
fn tiles_of(world: &BTreeMap<Atom, (u64, u64)>, zoom: u32) -> BTreeSet<(u32, u32)> {
    let across = f64::from(1_u32 << zoom);
    let mut tiles = BTreeSet::new();
    for (cell, _) in world.keys() {
        let place = LatLng::from(CellIndex::try_from(*cell).unwrap());
        let latitude = place.lat().to_radians();
        let north = (latitude.tan() + 1.0 / latitude.cos()).ln() / std::f64::consts::PI;
        let column = (place.lng() / 360.0 + 0.5) * across;
        let row = (1.0 - north) / 2.0 * across;
        tiles.insert((column as u32, row as u32));
    }
    tiles
}
