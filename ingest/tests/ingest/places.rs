//! Reference layers from real files: boundaries of cities, hospitals and airports.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use h3o::{LatLng, Resolution};
use riskgrid_ingest::places::{Places, cells_of, great_circle_metres, load};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::skipped;

/// The folder of the reference layers; without it a test is skipped, and says so.
fn reference() -> Option<PathBuf> {
    let folder = match std::env::var_os("RISKGRID_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let folder = folder.join("reference");
    if folder.is_dir() {
        return Some(folder);
    }
    skipped::say("RISKGRID_TEST_DATA names no data sets");
    None
}

fn tables<T: DeserializeOwned>(tables: Value) -> Vec<T> {
    serde_json::from_value(tables).unwrap()
}

fn areas(folder: &Path, written: Value) -> Places {
    load(&tables(written), &[], &[], folder).unwrap()
}

fn city(file: &str, name: &str) -> Value {
    json!([{"level": "neighbourhood", "file": format!("boundaries/{file}.geojson.gz"), "name": name}])
}

const CITIES: [(&str, usize); 8] = [
    ("boston", 26),
    ("chicago", 98),
    ("new-york-city-boroughs", 5),
    ("oakland", 131),
    ("sacramento", 121),
    ("san-francisco", 37),
    ("san-jose", 18),
    ("st-louis", 83),
];

#[test]
fn real_boundaries_load_and_each_area_holds_its_point() {
    let Some(folder) = reference() else {
        return;
    };
    let checked = |places: &Places, number: usize| {
        assert_eq!(places.areas.areas().len(), number);
        for area in places.areas.areas() {
            let [lon, lat] = area.shape.point_inside();
            assert!(
                places
                    .areas
                    .areas_of([lon, lat])
                    .iter()
                    .any(|found| found.id == area.id),
                "{}",
                area.id
            );
        }
    };
    for (file, number) in CITIES {
        checked(&areas(&folder, city(file, "name")), number);
    }
    let shenzhen = areas(&folder, city("shenzhen_districts", "qh"));
    checked(&shenzhen, 10);
    let nanshan = shenzhen.areas.find("南山").unwrap();
    assert!(
        nanshan.id.starts_with("area_") && nanshan.id.len() == 13,
        "{}",
        nanshan.id
    );
    let ids = shenzhen.areas.ids_of([113.93, 22.53]);
    assert_eq!(ids.as_ref(), std::slice::from_ref(&nanshan.id));
    let shanghai = areas(&folder, city("shanghai_districts", "name"));
    checked(&shanghai, 1);
}

#[test]
fn many_levels_of_many_cities_fit_into_one_hierarchy() {
    let Some(folder) = reference() else {
        return;
    };
    let mut written = vec![
        json!({"level": "borough", "file": "boundaries/new-york-city-boroughs.geojson.gz", "name": "name"}),
        json!({"level": "province", "file": "boundaries/shanghai_districts.geojson.gz", "name": "name", "id": "adcode"}),
    ];
    for file in ["boston", "oakland", "sacramento"] {
        let file_name = format!("boundaries/{file}.geojson.gz");
        // Two cities have a Downtown: ids need the city before them.
        written.push(json!({"level": "neighbourhood", "file": file_name, "name": "name", "id": [{"const": file}, "name"]}));
    }
    let places = areas(&folder, json!(written));
    assert_eq!(places.areas.areas().len(), 5 + 1 + 26 + 131 + 121);
    assert!(places.areas.get("310000").is_some());
    assert!(places.areas.find("Downtown").is_err());
    assert_eq!(
        &*places.areas.find("boston:Downtown").unwrap().level,
        "neighbourhood"
    );
}

#[test]
fn cells_of_real_areas_are_those_of_a_loop_over_their_surroundings() {
    let Some(folder) = reference() else {
        return;
    };
    let boston = areas(&folder, city("boston", "name"));
    for area in boston.areas.areas() {
        for resolution in [Resolution::Seven, Resolution::Nine, Resolution::Ten] {
            let [lon, lat] = area.shape.point_inside();
            // Far enough for the longest of them, the Harbor Islands.
            let around = LatLng::new(lat, lon)
                .unwrap()
                .to_cell(Resolution::Six)
                .grid_disk_safe(4);
            let slow: BTreeSet<u64> = around
                .flat_map(|cell| cell.children(resolution))
                .filter(|cell| {
                    let centre = LatLng::from(*cell);
                    area.shape.contains([centre.lng(), centre.lat()])
                })
                .map(u64::from)
                .collect();
            let cells = cells_of(&area.shape, resolution, 1_000_000).unwrap();
            assert_eq!(
                cells,
                slow.into_iter().collect::<Vec<_>>(),
                "{} {resolution}",
                area.id
            );
        }
    }
}

#[test]
fn the_nearest_hospitals_are_those_of_a_loop_over_all() {
    let Some(folder) = reference() else {
        return;
    };
    let written = json!([
        {"kind": {"const": "hospital"}, "file": "facilities/us_hospitals.csv.gz", "id": "ID", "name": "NAME",
         "lon": "LONGITUDE", "lat": "LATITUDE", "properties": ["TYPE", "BEDS", "TRAUMA"]},
        {"kind": {"const": "airport"}, "file": "facilities/us_airports.csv.gz", "id": [{"const": "airport"}, "iata"], "name": "name",
         "lon": "longitude", "lat": "latitude"},
    ]);
    let places = load(&[], &tables(written), &[], &folder).unwrap();
    let all = places.facilities.facilities();
    assert_eq!(all.len(), 7581 + 3376);
    // Boston, mid-Pacific west and east of the antimeridian, Guam, the North Pole, London.
    let from = [
        [-71.06, 42.36],
        [179.9, 20.0],
        [-179.9, 20.0],
        [144.8, 13.5],
        [0.0, 90.0],
        [-0.1, 51.5],
    ];
    for [lon, lat] in from {
        for kind in [None, Some("hospital"), Some("airport")] {
            let of_kind = all
                .iter()
                .filter(|facility| kind.is_none_or(|kind| &*facility.kind == kind));
            let mut slow: Vec<(f64, &str)> = of_kind
                .map(|facility| {
                    (
                        great_circle_metres([lon, lat], [facility.lon, facility.lat]),
                        &*facility.id,
                    )
                })
                .collect();
            slow.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
            slow.truncate(5);
            let near = places.facilities.nearest([lon, lat], 5, kind);
            let near: Vec<(f64, &str)> = near
                .iter()
                .map(|near| (near.metres, &*near.facility.id))
                .collect();
            assert_eq!(near, slow, "{lon} {lat} {kind:?}");
        }
    }
    let beds = &all
        .iter()
        .find(|facility| &*facility.id == "0003829406")
        .unwrap()
        .properties;
    assert_eq!(beds[1], ("BEDS".into(), "46".to_owned()));
}
