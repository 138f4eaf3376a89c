//! An independent reader sees the same: the Python package `mapbox-vector-tile`, where `RISKGRID_PYTHON` names a Python that has it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::super::{GeometryCache, TileSet};
use super::*;

fn read_by_python(python: &str, tile: &[u8]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/reference/decode_tile.py");
    let mut reader = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("RISKGRID_PYTHON names a Python");
    reader
        .stdin
        .take()
        .expect("piped")
        .write_all(tile)
        .expect("the reader reads");
    let output = reader.wait_with_output().expect("the reader ends");
    assert!(output.status.success(), "the reader refuses the tile");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn another_reader_sees_the_same() {
    let Ok(python) = std::env::var("RISKGRID_PYTHON") else {
        eprintln!("SKIPPED: RISKGRID_PYTHON does not name a Python with mapbox-vector-tile");
        return;
    };
    let mut values = numbered(cell_at(22.5, 114.0, 7).grid_disk::<Vec<_>>(12), 7);
    // Numbers that any reader of JSON reads back exactly, which the default of `serde_json` does not promise.
    for value in &mut values.values {
        *value = (*value * 16.0).round() / 16.0;
    }
    values.values[3] = f64::NAN;
    let set = TileSet::new("noise", "sum", values.clone()).expect("valid");
    for z in [0, 6, 8] {
        let place = tile_at(22.5, 114.0, z);
        let tile = set
            .tile(z, place.x(), place.y(), &GeometryCache::new(1 << 20))
            .expect("a tile");
        let layers = read_by_python(&python, &tile.bytes);
        assert_eq!(layers.as_object().map(serde_json::Map::len), Some(1));
        let layer = &layers["noise"];
        assert_eq!((&layer["extent"], &layer["version"]), (&4096.into(), &2.into()));
        let features = layer["features"].as_array().expect("features");
        assert!(!features.is_empty());
        for feature in features {
            assert_eq!(feature["valid"], true, "{feature}");
            assert_eq!(feature["clockwise"], true, "{feature}");
            let properties = &feature["properties"];
            let cell =
                u64::from_str_radix(properties["cell"].as_str().expect("a cell"), 16).expect("hexadecimal");
            let row = values.cells.binary_search(&cell).expect("one of ours");
            assert_eq!(feature["id"], cell & 0xF_FFFF_FFFF_FFFF);
            assert_eq!(properties["count"], values.counts[row]);
            let sum = properties.get("sum").and_then(Value::as_f64);
            assert_eq!(sum, Some(values.values[row]).filter(|value| !value.is_nan()));
        }
        if z == 0 {
            assert_eq!(features.len(), values.cells.len());
        }
    }
}
