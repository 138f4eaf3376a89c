//! Rows of a Parquet file, and their geometries where it is GeoParquet (version 1).

use std::borrow::Cow;
use std::fs::File;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use serde_json::Value;

use super::error::{FileProblem, PlaceProblem};
use super::row::{Fields, Geometry, Row, RowNumber};
use crate::globe::wkb;

/// Rows that are in memory at once.
const BATCH_ROWS: usize = 1024;

struct Record<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Fields for Record<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let column = self.batch.column_by_name(name)?;
        if column.is_null(self.row) {
            return None;
        }
        let text = array_value_to_string(column, self.row).ok()?;
        (!text.is_empty()).then_some(Cow::Owned(text))
    }
}

/// Calls `each` with every row. `names` are the columns that there must be.
pub(super) fn read(
    file: File,
    names: &[&str],
    each: &mut dyn FnMut(&Row<'_>) -> Result<(), PlaceProblem>,
) -> Result<(), FileProblem> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let known = || {
        let fields = builder.schema().fields().iter();
        fields
            .map(|field| field.name().as_str())
            .collect::<Vec<_>>()
            .join("`, `")
    };
    if let Some(name) = names
        .iter()
        .find(|name| builder.schema().column_with_name(name).is_none())
    {
        return Err(format!("it has no column `{name}`, but `{}`", known()).into());
    }
    let geometry_column = primary_column(builder.metadata())?;
    if let Some(name) = geometry_column
        .as_deref()
        .filter(|name| builder.schema().column_with_name(name).is_none())
    {
        return Err(format!(
            "its `geo` metadata names the column `{name}`, but it has `{}`",
            known()
        )
        .into());
    }
    let mut number = RowNumber {
        word: "row",
        number: 0,
    };
    for batch in builder.with_batch_size(BATCH_ROWS).build()? {
        let batch = batch?;
        let geometries = geometry_column
            .as_deref()
            .and_then(|name| batch.column_by_name(name));
        for row in 0..batch.num_rows() {
            number.number += 1;
            let geometry = geometries
                .map(|geometries| well_known_binary(geometries, row))
                .transpose();
            geometry
                .and_then(|geometry| {
                    each(&Row {
                        number,
                        fields: &Record { batch: &batch, row },
                        geometry: geometry.flatten(),
                    })
                })
                .map_err(|problem| FileProblem::at(number, problem))?;
        }
    }
    Ok(())
}

/// The geometry column that the `geo` metadata names; none in plain Parquet.
fn primary_column(metadata: &ParquetMetaData) -> Result<Option<String>, PlaceProblem> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let Some(text) = pairs
        .into_iter()
        .flatten()
        .find(|pair| pair.key == "geo")
        .and_then(|pair| pair.value.as_ref())
    else {
        return Ok(None);
    };
    let geo: Value = serde_json::from_str(text).map_err(PlaceProblem::GeoMetadata)?;
    let name = geo["primary_column"]
        .as_str()
        .ok_or("its `geo` metadata names no `primary_column`")?;
    let column = &geo["columns"][name];
    let encoding = column["encoding"].as_str().unwrap_or("nothing");
    if encoding != "WKB" {
        return Err(format!("its geometries are encoded as {encoding}; write the file anew with WKB").into());
    }
    if column["edges"].as_str().is_some_and(|edges| edges != "planar") {
        return Err(format!("its edges are {}; planar ones are needed", column["edges"]).into());
    }
    match column.get("crs") {
        None => Ok(Some(name.to_owned())),
        Some(crs) if is_lon_lat(crs) => Ok(Some(name.to_owned())),
        Some(crs) => {
            let name = crs["name"].as_str().unwrap_or("not stated");
            Err(format!(
                "its reference system is {name}; longitude and latitude in WGS 84 (OGC:CRS84 or EPSG:4326) are needed: \
                 transform it, for example with to_crs(4326) of geopandas"
            ).into())
        }
    }
}

/// Whether PROJJSON names WGS 84. GeoParquet writes longitude first, whatever the order of the axes.
fn is_lon_lat(crs: &Value) -> bool {
    let id = &crs["id"];
    let code = match &id["code"] {
        Value::String(code) => code.clone(),
        other => other.to_string(),
    };
    matches!(
        (id["authority"].as_str(), code.as_str()),
        (Some("OGC"), "CRS84") | (Some("EPSG"), "4326")
    )
}

fn well_known_binary(geometries: &ArrayRef, row: usize) -> Result<Option<Geometry>, PlaceProblem> {
    if geometries.is_null(row) {
        return Ok(None);
    }
    let bytes = match geometries.data_type() {
        DataType::Binary => geometries.as_binary::<i32>().value(row),
        DataType::LargeBinary => geometries.as_binary::<i64>().value(row),
        DataType::BinaryView => geometries.as_binary_view().value(row),
        other => return Err(format!("its geometry column is of type {other}; WKB is binary").into()),
    };
    let geometry = wkb::read(bytes).map_err(PlaceProblem::WellKnownBinary)?;
    Geometry::read(&geometry).map(Some)
}
