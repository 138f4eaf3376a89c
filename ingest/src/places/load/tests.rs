//! Files of each format, right ones and wrong ones.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use super::*;

mod refusals;

/// Loads the tables of a configuration, written as JSON.
fn load_from(folder: &Path, tables: &Value) -> Result<Places, String> {
    fn tables_of<T: serde::de::DeserializeOwned>(tables: &Value, name: &str) -> Vec<T> {
        let written = tables.get(name).cloned().unwrap_or_else(|| json!([]));
        serde_json::from_value(written).unwrap()
    }
    load(
        &tables_of::<AreaSettings>(tables, "areas"),
        &tables_of::<FacilitySettings>(tables, "facilities"),
        &tables_of::<PopulationSettings>(tables, "population"),
        folder,
    )
    .map_err(|error| error.to_string())
}

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn refusal(files: &[(&str, &str)], tables: &Value) -> String {
    let folder = folder_of(files);
    load_from(folder.path(), tables).unwrap_err()
}

fn square(west: f64, south: f64, size: f64) -> Value {
    let (east, north) = (west + size, south + size);
    json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
}

fn feature(properties: &Value, geometry: &Value) -> Value {
    json!({"type": "Feature", "properties": properties, "geometry": geometry})
}

fn collection(features: &[Value]) -> String {
    json!({"type": "FeatureCollection", "features": features}).to_string()
}

fn city() -> String {
    collection(&[feature(
        &json!({"name": "Harbour City", "people": 500}),
        &square(0.0, 0.0, 10.0),
    )])
}

fn districts() -> String {
    collection(&[
        feature(&json!({"name": "罗湖", "code": 1}), &square(0.0, 0.0, 5.0)),
        feature(&json!({"name": "Old Town", "code": 2}), &square(5.0, 0.0, 5.0)),
    ])
}

fn two_levels() -> Value {
    json!({"areas": [
        {"level": "city", "file": "city.geojson", "name": "name", "population": "people"},
        {"level": "district", "file": "districts.json", "name": "name", "within": "city"},
    ]})
}

#[test]
fn a_hierarchy_is_found_by_place_and_ids_are_slugs_of_names() {
    let folder = folder_of(&[("city.geojson", &city()), ("districts.json", &districts())]);
    let places = load_from(folder.path(), &two_levels()).unwrap();
    let rows: Vec<_> = places
        .areas
        .areas()
        .iter()
        .map(|area| {
            (
                &*area.id,
                area.name.as_str(),
                area.parent.as_deref(),
                area.population,
            )
        })
        .collect();
    let nameless = crate::words::slug_or_hash("罗湖", "area");
    assert!(
        nameless.starts_with("area_") && nameless.len() == 13,
        "{nameless}"
    );
    assert_eq!(
        rows,
        [
            (nameless.as_str(), "罗湖", Some("harbour_city"), None),
            ("harbour_city", "Harbour City", None, Some(500)),
            ("old_town", "Old Town", Some("harbour_city"), None),
        ]
    );
    let ids = places.areas.ids_of([5.0, 1.0]);
    assert_eq!(
        ids.iter().map(|id| &**id).collect::<Vec<_>>(),
        ["harbour_city", "old_town"]
    );
}

#[test]
fn a_parent_may_be_named_by_its_id() {
    let files = [("city.geojson", city()), ("districts.json", districts())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let tables = |parent: &Value| {
        json!({"areas": [
            {"level": "city", "file": "city.geojson", "name": "name"},
            {"level": "district", "file": "districts.json", "name": "name", "id": [{"const": "d"}, "code"], "parent": parent},
        ]})
    };
    let folder = folder_of(&files);
    let places = load_from(folder.path(), &tables(&json!({"const": "harbour_city"}))).unwrap();
    assert_eq!(
        places.areas.get("d:2").unwrap().parent.as_deref(),
        Some("harbour_city")
    );
    let said = refusal(
        &files,
        &tables(&json!({"field": "code", "map": {"1": "harbour_city", "2": "atlantis"}})),
    );
    assert_eq!(
        said,
        "areas: districts.json, feature 2: its `parent` is `atlantis`, which is the id of no other area; load the level above too"
    );
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A Parquet file with a column of shapes in WKB, and `geo` metadata about it.
fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>, geo: Option<&Value>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let metadata = geo.map(|geo| vec![KeyValue::new("geo".to_owned(), geo.to_string())]);
    let properties = WriterProperties::builder()
        .set_key_value_metadata(metadata)
        .build();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn geo(column: &Value) -> Value {
    json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})
}

#[test]
fn each_format_gives_the_same_areas() {
    let folder = folder_of(&[
        ("a.geojson", &districts()),
        (
            "a.csv",
            "name;shape\n罗湖;\"POLYGON((0 0, 5 0, 5 5, 0 5, 0 0))\"\nOld Town;\"MULTIPOLYGON(((5 0, 10 0, 10 5, 5 5, 5 0)))\"\n",
        ),
    ]);
    fs::write(folder.path().join("a.json.gz"), gzip(&districts())).unwrap();
    let table = |file: &str| json!({"areas": [{"level": "district", "file": file, "name": "name"}]});
    let from_geojson = load_from(folder.path(), &table("a.geojson")).unwrap();
    let shapes = from_geojson.areas.well_known_binary();
    let names: Vec<&str> = from_geojson
        .areas
        .areas()
        .iter()
        .map(|area| area.name.as_str())
        .collect();
    for (file, column) in [
        ("absent.parquet", json!({"encoding": "WKB"})),
        (
            "wgs84.parquet",
            json!({"encoding": "WKB", "crs": {"name": "WGS 84", "id": {"authority": "EPSG", "code": 4326}}}),
        ),
        (
            "crs84.parquet",
            json!({"encoding": "WKB", "crs": {"id": {"authority": "OGC", "code": "CRS84"}}}),
        ),
    ] {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("name", Arc::new(StringArray::from(names.clone()))),
            ("geometry", Arc::new(shapes.clone())),
        ];
        write_parquet(&folder.path().join(file), columns, Some(&geo(&column)));
    }
    let csv = json!({"areas": [{"level": "district", "file": "a.csv", "name": "name", "wkt": "shape", "delimiter": ";"}]});
    for tables in [
        csv,
        table("a.json.gz"),
        table("absent.parquet"),
        table("wgs84.parquet"),
        table("crs84.parquet"),
    ] {
        let places = load_from(folder.path(), &tables).unwrap();
        assert_eq!(places.areas.well_known_binary(), shapes, "{tables}");
    }
}

#[test]
fn geoparquet_of_another_form_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |column: &Value, table: &Value| {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("name", Arc::new(StringArray::from(vec!["A"]))),
            ("geometry", Arc::new(BinaryArray::from_vec(vec![b"not a shape"]))),
        ];
        write_parquet(&folder.path().join("a.parquet"), columns, Some(&geo(column)));
        load_from(folder.path(), &json!({"areas": [table]})).unwrap_err()
    };
    let table = json!({"level": "district", "file": "a.parquet", "name": "name"});
    for (column, expected) in [
        (
            json!({"encoding": "point"}),
            "its geometries are encoded as point; write the file anew with WKB",
        ),
        (
            json!({"encoding": "WKB", "crs": {"name": "NAD83 / UTM zone 19N"}}),
            "its reference system is NAD83 / UTM zone 19N; longitude",
        ),
        (
            json!({"encoding": "WKB", "crs": null}),
            "its reference system is not stated",
        ),
        (
            json!({"encoding": "WKB", "edges": "spherical"}),
            "its edges are \"spherical\"; planar ones are needed",
        ),
        (
            json!({"encoding": "WKB"}),
            "areas: a.parquet, row 1: its geometry is not WKB",
        ),
    ] {
        let said = said(&column, &table);
        assert!(said.contains(expected), "{said}");
    }
    let other_name = json!({"level": "district", "file": "a.parquet", "name": "title"});
    let said = said(&json!({"encoding": "WKB"}), &other_name);
    assert_eq!(
        said,
        "areas: a.parquet: it has no column `title`, but `name`, `geometry`"
    );
}

#[test]
fn facilities_lie_at_columns_points_or_inside_of_polygons() {
    let points = collection(&[
        feature(
            &json!({"name": "Fire 1", "beds": null}),
            &json!({"type": "Point", "coordinates": [1.0, 2.0, 30.0]}),
        ),
        feature(&json!({"name": "Fire 2", "beds": 7}), &square(4.0, 4.0, 2.0)),
    ]);
    let folder = folder_of(&[
        ("points.geojson", &points),
        (
            "table.csv",
            "ID,NAME,X,Y,TYPE,BEDS\nh1,General, 3.5 ,-7,GENERAL ACUTE CARE,-999\n",
        ),
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(StringArray::from(vec!["Airport"]))),
        ("lon", Arc::new(Float64Array::from(vec![8.25]))),
        ("lat", Arc::new(Float64Array::from(vec![50.0]))),
    ];
    write_parquet(&folder.path().join("plain.parquet"), columns, None);
    let tables = json!({"facilities": [
        {"kind": {"const": "fire_station"}, "file": "points.geojson", "name": "name", "properties": ["beds"]},
        {"kind": {"field": "TYPE", "map": {"GENERAL ACUTE CARE": "hospital"}}, "file": "table.csv", "id": "ID", "name": "NAME",
         "lon": "X", "lat": "Y", "properties": ["BEDS"]},
        {"kind": {"const": "airport"}, "file": "plain.parquet", "name": "name", "lon": "lon", "lat": "lat"},
    ]});
    let places = load_from(folder.path(), &tables).unwrap();
    let rows: Vec<_> = places
        .facilities
        .facilities()
        .iter()
        .map(|facility| {
            (
                &*facility.id,
                &*facility.kind,
                facility.lon,
                facility.lat,
                facility.properties.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("airport", "airport", 8.25, 50.0, &[][..]),
            ("fire_1", "fire_station", 1.0, 2.0, &[]),
            (
                "fire_2",
                "fire_station",
                5.0,
                5.0,
                &[("beds".into(), "7".to_owned())]
            ),
            ("h1", "hospital", 3.5, -7.0, &[("BEDS".into(), "-999".to_owned())]),
        ]
    );
}

#[test]
fn people_are_given_by_area_or_summed_from_points() {
    let folder = folder_of(&[
        ("city.geojson", &city()),
        ("districts.json", &districts()),
        ("figures.csv", "code,people\nold_town,120.4\nelsewhere,7\n"),
        ("points.csv", "x,y,people\n1,1,10.25\n2,2,0.5\n7,1,1000\n99,0,5\n"),
    ]);
    let mut tables = two_levels();
    tables["population"] = json!([
        {"file": "figures.csv", "area": "code", "value": "people"},
        {"file": "points.csv", "lon": "x", "lat": "y", "value": "people"},
    ]);
    let places = load_from(folder.path(), &tables).unwrap();
    let people = |id: &str| places.areas.find(id).unwrap().population;
    // Of the area itself, of the table of figures, of the points inside.
    assert_eq!(
        (people("harbour_city"), people("old_town"), people("罗湖")),
        (Some(500), Some(120), Some(11))
    );
    assert_eq!(places.population.len(), 4);
}

#[test]
fn a_field_inside_of_properties_and_the_id_of_a_feature_are_found() {
    let mut one = feature(
        &json!({"tags": {"name:en": "Old Town", "a/b": ["x", "y"]}}),
        &square(0.0, 0.0, 1.0),
    );
    one["id"] = json!(17);
    let folder = folder_of(&[("a.geojson", &collection(&[one]))]);
    for (name, expected) in [("/tags/name:en", "Old Town"), ("/tags/a~1b/1", "y")] {
        let tables = json!({"areas": [{"level": "district", "file": "a.geojson", "name": name, "id": "id"}]});
        let places = load_from(folder.path(), &tables).unwrap();
        let area = places.areas.get("17").unwrap();
        assert_eq!(area.name, expected);
    }
}
