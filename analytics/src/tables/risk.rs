//! `risk`: the newest risk surface, a row a cell and layer, and one for all layers together (`layer = '*'`).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Result;

use super::columns::{field, time_type, times};
use super::filters::Narrowing;
use super::scan::RowBatches;
use super::snapshot_table::SnapshotTable;
use crate::risk::surface::{AllRow, AllSurface, Explained, LayerSurface, Row, RowFacts, Surface};
use crate::sql::{cell_field, commented};

/// What all layers together are called.
const ALL: &str = "*";
/// Rows of a batch.
const BATCH: usize = 4096;
/// What the surface is kept in: nothing that is scored depends on it.
const MODE: &str = "normal";

/// The table over a surface.
pub fn risk_table(surface: &Arc<Surface>) -> Arc<dyn TableProvider> {
    let schema = Arc::new(Schema::new(fields()));
    let (surface, of_batches) = (Arc::clone(surface), Arc::clone(&schema));
    let rows = surface.rows();
    let make = move |narrowing: &Narrowing| -> Result<RowBatches> {
        let wanted = wanted(&surface, narrowing);
        let (surface, schema) = (Arc::clone(&surface), Arc::clone(&of_batches));
        Ok(Box::new(
            wanted
                .into_iter()
                .map(move |part| batch(&surface, &schema, &part)),
        ))
    };
    Arc::new(SnapshotTable::new("risk", schema, rows, Box::new(make)))
}

fn fields() -> Vec<Field> {
    let share = |name: &str, comment: &str| field(name, DataType::Float64, true, comment);
    let number = share;
    vec![
        commented(cell_field("cell", false), "H3 cell of the base resolution"),
        field(
            "layer",
            DataType::Utf8,
            false,
            "id of the layer; * for all layers of one clock together",
        ),
        field(
            "at",
            time_type(),
            false,
            "the moment of the surface: the end of the bucket that holds now, of the layer's clock",
        ),
        field(
            "risk",
            DataType::Float64,
            false,
            "R, 0 to 1: Hg^0.5 · exposure^0.25 · vulnerability^0.25, with Hg = hazard · trust",
        ),
        field(
            "risk_low",
            DataType::Float64,
            false,
            "R with all that is missing at 0.05",
        ),
        field(
            "risk_high",
            DataType::Float64,
            false,
            "R with all that is missing at 1",
        ),
        field(
            "risk_if_true",
            DataType::Float64,
            false,
            "R if the hazard were certain (trust 1)",
        ),
        share(
            "hazard",
            "H, 0 to 1: of reports 0.75 · level + 0.25 · surprise (by default), of observations the loudest sensor in reach",
        ),
        share(
            "level",
            "A'/(A' + half_level), 0 to 1; of observations the hazard",
        ),
        share(
            "surprise",
            "z/(z + 4) where z is above 0, 0 to 1; NULL without a baseline",
        ),
        number(
            "intensity",
            "A': marks (count + severity_factor · weight) that fade by half each half_life, after the flood cap and the spread",
        ),
        number(
            "expected",
            "E': the intensity that the cell's own past has at this hour; NULL without a baseline",
        ),
        number(
            "z",
            "(intensity - expected) in standard deviations; NULL without a baseline",
        ),
        field(
            "stale",
            DataType::Boolean,
            true,
            "the sensor that gives the hazard is past its valid_for: held or fading",
        ),
        share(
            "exposure",
            "E, 0.05 to 1: people, facilities and infrastructure there",
        ),
        number("population", "residents of the cell; NULL where none are known"),
        number("facilities", "weight of the facilities in the cell"),
        number("infrastructure", "weight of the infrastructure in the cell"),
        share(
            "vulnerability",
            "V, 0.05 to 1: √(susceptibility · lack_of_coping), each at least 0.05",
        ),
        share(
            "susceptibility",
            "S, 0 to 1: weighted mean of the indicators; 0.5 where missing",
        ),
        share(
            "lack_of_coping",
            "Q, 0 to 1: how far help is away; 0.5 where missing",
        ),
        share(
            "corroboration",
            "C, 0 to 1: how sure one is, by independent channels and devices of the hazard group in and round the cell",
        ),
        number(
            "sources",
            "estimated number of the cell's own sources in the last four half-lives",
        ),
        field(
            "channels",
            DataType::Int16,
            true,
            "classes of channel with evidence of the hazard group",
        ),
        share("trust", "g = 0.5 + 0.5 · corroboration"),
        number(
            "impact",
            "population · hazard · trust · vulnerability: people affected, for sharing resources; NULL without a population",
        ),
        number(
            "forecast",
            "marks expected over the next risk.forecast: 0.7 of the cell's past at these hours, 0.3 of what is going on; NULL without a baseline",
        ),
        field(
            "class",
            DataType::Utf8,
            true,
            "black_swan, grey_rhino, watch or normal",
        ),
        field(
            "mode",
            DataType::Utf8,
            true,
            "normal or emergency; changes no number",
        ),
        field(
            "missing",
            missing_type(),
            true,
            "what is not known: baseline, population, facilities, infrastructure, susceptibility, lack_of_coping",
        ),
        field(
            "model",
            DataType::Utf8,
            false,
            "hash of all keys of the model: compare rows of one model only",
        ),
        number(
            "loo_hazard",
            "risk less what it would be if all were as expected; NULL without a baseline",
        ),
        number("loo_exposure", "risk less what it would be with exposure 0.5"),
        number(
            "loo_vulnerability",
            "risk less what it would be with vulnerability 0.5",
        ),
        number("loo_trust", "risk less what it would be with trust 0.5"),
        number(
            "loo_layer",
            "risk of all layers less that without this one; 0 if it is the only one",
        ),
    ]
}

fn missing_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// Some rows of one layer, or of all together.
enum Part {
    Layer(usize, std::ops::Range<usize>),
    All(usize, std::ops::Range<usize>),
}

fn wanted(surface: &Surface, narrowing: &Narrowing) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut cut = |rows: std::ops::Range<usize>, part: &dyn Fn(std::ops::Range<usize>) -> Part| {
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start + BATCH);
            parts.push(part(start..end));
            start = end;
        }
    };
    if narrowing.admits_layer(ALL) {
        for (position, all) in surface.all.iter().enumerate() {
            cut(within(&all.rows, |row| row.cell, narrowing), &|rows| {
                Part::All(position, rows)
            });
        }
    }
    for (position, layer) in surface.layers.iter().enumerate() {
        if surface
            .model_of(layer)
            .is_some_and(|model| narrowing.admits_layer(&model.id))
        {
            cut(within(&layer.rows, |row| row.cell, narrowing), &|rows| {
                Part::Layer(position, rows)
            });
        }
    }
    parts
}

fn within<R>(rows: &[R], cell: impl Fn(&R) -> u64, narrowing: &Narrowing) -> std::ops::Range<usize> {
    let start = rows.partition_point(|row| cell(row) < narrowing.first_cell);
    let end = rows.partition_point(|row| cell(row) <= narrowing.last_cell);
    start..end.max(start)
}

fn batch(surface: &Surface, schema: &SchemaRef, part: &Part) -> Result<RecordBatch> {
    let columns = match part {
        Part::Layer(position, rows) => surface.layers.get(*position).and_then(|layer| {
            let rows = layer.rows.get(rows.clone())?;
            Some(columns_of_layer(surface, layer, rows))
        }),
        Part::All(position, rows) => surface.all.get(*position).and_then(|all| {
            let rows = all.rows.get(rows.clone())?;
            Some(columns_of_all(surface, all, rows))
        }),
    };
    match columns {
        Some(columns) => Ok(RecordBatch::try_new(Arc::clone(schema), columns)?),
        None => Ok(RecordBatch::new_empty(Arc::clone(schema))),
    }
}

fn columns_of_layer(surface: &Surface, layer: &LayerSurface, rows: &[Row]) -> Vec<ArrayRef> {
    let id = surface.model_of(layer).map_or("", |model| model.id.as_str());
    let explained: Vec<Option<Explained>> = rows.iter().map(|row| surface.explain(layer, row)).collect();
    let facts: Vec<RowFacts> = rows.iter().map(|row| surface.facts_of(row.cell)).collect();
    let of_row = |value: fn(&Row) -> f64| -> ArrayRef {
        let known = |number: f64| (!number.is_nan()).then_some(number);
        Arc::new(rows.iter().map(|row| known(value(row))).collect::<Float64Array>())
    };
    let of_parts = |value: fn(&Explained) -> Option<f64>| -> ArrayRef {
        let values = explained
            .iter()
            .map(|explained| explained.as_ref().and_then(value));
        Arc::new(values.collect::<Float64Array>())
    };
    let of_facts = |value: fn(&RowFacts) -> Option<f64>| -> ArrayRef {
        Arc::new(facts.iter().map(value).collect::<Float64Array>())
    };
    let mut missing = ListBuilder::new(StringBuilder::new());
    for explained in &explained {
        for name in explained.iter().flat_map(|explained| &explained.missing) {
            missing.values().append_value(name);
        }
        missing.append(true);
    }
    vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.cell))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| id))),
        times(rows.iter().map(|_| Some(layer.at))),
        of_row(|row| row.risk.risk),
        of_row(|row| row.risk.low),
        of_row(|row| row.risk.high),
        of_row(|row| row.risk.if_true),
        of_row(|row| row.hazard),
        of_parts(|parts| Some(parts.index.level)),
        of_parts(|parts| parts.index.surprise),
        of_row(|row| row.intensity),
        of_parts(|parts| parts.expected),
        of_parts(|parts| parts.index.z),
        Arc::new(
            rows.iter()
                .map(|row| Some(row.is_stale))
                .collect::<BooleanArray>(),
        ),
        of_parts(|parts| Some(parts.stakes.exposure)),
        of_facts(|facts| facts.population),
        of_facts(|facts| Some(facts.facilities.unwrap_or(0.0))),
        of_facts(|facts| Some(facts.infrastructure.unwrap_or(0.0))),
        of_parts(|parts| Some(parts.stakes.vulnerability)),
        of_parts(|parts| Some(parts.stakes.susceptibility)),
        of_parts(|parts| Some(parts.stakes.lack_of_coping)),
        of_row(|row| row.corroboration),
        of_parts(|parts| Some(parts.sources)),
        Arc::new(Int16Array::from_iter_values(
            rows.iter().map(|row| i16::from(row.channels)),
        )),
        of_parts(|parts| Some(parts.trust)),
        of_parts(|parts| parts.impact),
        of_parts(|parts| parts.forecast),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| row.class.as_str()),
        )),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| MODE))),
        Arc::new(missing.finish()),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|_| &surface.model.hash),
        )),
        of_parts(|parts| parts.leave_one_out.hazard),
        of_parts(|parts| Some(parts.leave_one_out.exposure)),
        of_parts(|parts| Some(parts.leave_one_out.vulnerability)),
        of_parts(|parts| Some(parts.leave_one_out.trust)),
        of_parts(|parts| Some(parts.loo_layer)),
    ]
}

/// Only the risks: what explains a cell is in the rows of its layers.
fn columns_of_all(surface: &Surface, all: &AllSurface, rows: &[AllRow]) -> Vec<ArrayRef> {
    let of_row = |value: fn(&AllRow) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(value)))
    };
    fields()
        .into_iter()
        .map(|field| -> ArrayRef {
            match field.name().as_str() {
                "cell" => Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.cell))),
                "layer" => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| ALL))),
                "at" => times(rows.iter().map(|_| Some(all.at))),
                "risk" => of_row(|row| row.risk.risk),
                "risk_low" => of_row(|row| row.risk.low),
                "risk_high" => of_row(|row| row.risk.high),
                "risk_if_true" => of_row(|row| row.risk.if_true),
                "model" => Arc::new(StringArray::from_iter_values(
                    rows.iter().map(|_| &surface.model.hash),
                )),
                _ => arrow::array::new_null_array(field.data_type(), rows.len()),
            }
        })
        .collect()
}
