//! `hotspots(layer => …, …)`: Getis-Ord Gi* of each cell of a layer over a window (Ord and Getis 1995), with p and q.

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::DataFusionError;
use h3o::Resolution;
use riskgrid_ingest::grid::{CellAggregate, GridSnapshot, Metric};
use riskgrid_ingest::{DAY, Layer, LayerIndex};

use super::arguments::Arguments;
use crate::sql::{NamedTableFunction, SqlError, cell_field, commented};
use crate::statistics::{
    Absent, Domain, FalseDiscovery, HotspotOptions, HotspotTable, Method, StatisticsError, Weights, hotspots,
};
use crate::tables::columns::field;
use crate::tables::snapshot_table::SnapshotTable;

const NAMES: &[&str] = &[
    "layer",
    "metric",
    "resolution",
    "window",
    "at",
    "domain",
    "k",
    "weights",
    "distance",
    "method",
    "permutations",
    "seed",
    "fdr",
];
/// The metric `sources` is an estimate: kept to this many parts of one.
const SOURCES_PER_UNIT: f64 = 1e6;

/// The function over `snapshot`.
pub fn named_function(snapshot: Arc<GridSnapshot>) -> NamedTableFunction {
    NamedTableFunction {
        name: "hotspots",
        arguments: NAMES,
        function: Arc::new(Hotspots { snapshot }),
    }
}

#[derive(Debug)]
struct Hotspots {
    snapshot: Arc<GridSnapshot>,
}

/// What is to be summed.
struct Question {
    layer: LayerIndex,
    metric: Metric,
    resolution: Resolution,
    start: riskgrid_ingest::EventTime,
    end: riskgrid_ingest::EventTime,
    options: HotspotOptions,
}

impl TableFunctionImpl for Hotspots {
    fn call_with_args(
        &self,
        args: TableFunctionArgs<'_, '_>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let question = self.question(&Arguments::new("hotspots", NAMES, args.exprs()))?;
        let schema = Arc::new(Schema::new(vec![
            commented(cell_field("cell", false), "H3 cell of the study area"),
            field("value", DataType::Float64, false, "the metric, in its unit"),
            field("z", DataType::Float64, true, "Gi*; null where it is not defined"),
            field("p", DataType::Float64, false, "two-sided p of z"),
            field(
                "q",
                DataType::Float64,
                false,
                "p adjusted for false discoveries over the study area",
            ),
            field(
                "class",
                DataType::Utf8,
                false,
                "hot_99, hot_95, hot_90, none, cold_90, cold_95 or cold_99, by q",
            ),
            field(
                "neighbours",
                DataType::UInt32,
                false,
                "neighbours inside the study area",
            ),
            field("n", DataType::UInt64, false, "cells of the study area"),
            field(
                "method",
                DataType::Utf8,
                false,
                "where p comes from: analytic, exact or permutation",
            ),
            field(
                "runs_needed",
                DataType::UInt64,
                true,
                "runs that a permutation would need for q to reach .05",
            ),
        ]));
        let (snapshot, of_batches) = (Arc::clone(&self.snapshot), Arc::clone(&schema));
        let make = move |_: &_| Ok(vec![batch(&of_batches, &answer(&snapshot, &question)?)?]);
        Ok(Arc::new(SnapshotTable::new(schema, Box::new(make))))
    }
}

impl Hotspots {
    fn question(&self, arguments: &Arguments<'_>) -> Result<Question, SqlError> {
        let snapshot = &self.snapshot;
        let (index, layer) = self.layer(arguments)?;
        let name = arguments.text("metric")?.unwrap_or("count");
        let metric = Metric::parse(name)
            .filter(|metric| metric.applies_to(layer.kind))
            .ok_or_else(|| {
                let known: Vec<&str> = Metric::ALL
                    .iter()
                    .filter(|metric| metric.applies_to(layer.kind))
                    .map(|metric| metric.as_str())
                    .collect();
                arguments.wrong("metric", format!("'{name}'"), &known.join(", "))
            })?;
        let base = i64::from(u8::from(snapshot.resolution));
        let resolution = arguments.whole("resolution", 0, base)?.unwrap_or(base);
        let resolution = Resolution::try_from(u8::try_from(resolution).unwrap_or_default())
            .map_err(|error| SqlError::bad_request(error.to_string()))?;
        let bucket = snapshot.calendar.bucket();
        let end = match arguments.time("at")? {
            Some(at) => at,
            // A half-filled last bucket looks like a decline.
            None => snapshot
                .clock_of(index)
                .and_then(|clock| clock.complete_to)
                .map_or_else(
                    || {
                        Err(SqlError::bad_request(format!(
                            "hotspots: layer `{}` has no events yet",
                            layer.id
                        )))
                    },
                    |complete_to| Ok(complete_to.floor(bucket)),
                )?,
        };
        let window = arguments.interval("window")?.unwrap_or(DAY);
        let domain = match (arguments.text("domain")?, metric.is_additive()) {
            (None, true) | (Some("neighbours"), true) => Domain::Neighbours,
            (None, false) | (Some("observed"), _) => Domain::Observed,
            (Some("neighbours"), false) => {
                let allowed = "'observed', because this metric is missing, not 0, where nothing was measured";
                return Err(arguments.wrong("domain", "'neighbours'", allowed));
            }
            (Some(other), _) => {
                let allowed = "'neighbours' or 'observed'; no areas are loaded";
                return Err(arguments.wrong("domain", format!("'{other}'"), allowed));
            }
        };
        let options = HotspotOptions {
            domain,
            absent: if metric.is_additive() {
                Absent::Zero
            } else {
                Absent::Missing
            },
            k: u32::try_from(arguments.whole("k", 0, 50)?.unwrap_or(1)).unwrap_or(1),
            weights: Weights::from_arguments(
                arguments.text("weights")?.unwrap_or("disk"),
                arguments.number("distance")?,
            )
            .map_err(bad_argument)?,
            method: Method::from_argument(arguments.text("method")?.unwrap_or("auto"))
                .map_err(bad_argument)?,
            permutations: u32::try_from(arguments.whole("permutations", 1, 10_000_000)?.unwrap_or(999))
                .unwrap_or(999),
            seed: arguments.whole("seed", 0, i64::MAX)?.unwrap_or(0).unsigned_abs(),
            fdr: FalseDiscovery::from_argument(arguments.text("fdr")?.unwrap_or("bh"))
                .map_err(bad_argument)?,
            ..HotspotOptions::default()
        };
        Ok(Question {
            layer: index,
            metric,
            resolution,
            start: end.plus(-window),
            end,
            options,
        })
    }

    fn layer(&self, arguments: &Arguments<'_>) -> Result<(LayerIndex, &Layer), SqlError> {
        let layers = &self.snapshot.layers;
        let known = || {
            layers
                .iter()
                .take(20)
                .map(|(_, layer)| layer.id.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let Some(id) = arguments.text("layer")? else {
            return Err(SqlError::bad_request(format!(
                "hotspots: `layer` is missing; known are: {}",
                known()
            )));
        };
        layers
            .find(id)
            .and_then(|index| Some((index, &**layers.get(index)?)))
            .ok_or_else(|| arguments.wrong("layer", format!("'{id}'"), &known()))
    }
}

fn bad_argument(error: StatisticsError) -> SqlError {
    SqlError::bad_request(format!("hotspots: {error}"))
}

fn answer(snapshot: &GridSnapshot, question: &Question) -> Result<HotspotTable, SqlError> {
    let span = snapshot.snap(question.layer, question.start, question.end);
    let sums = snapshot.sum(question.layer, span, question.resolution);
    let cells: Vec<u64> = sums.iter().map(|(cell, _)| *cell).collect();
    let values: Vec<i128> = sums
        .iter()
        .map(|(_, aggregate)| whole_value(question.metric, aggregate))
        .collect();
    let scale = match question.metric {
        Metric::Count | Metric::Weight => 1.0,
        Metric::Sources => 1.0 / SOURCES_PER_UNIT,
        _ => snapshot
            .layers
            .get(question.layer)
            .map_or(1.0, |layer| layer.resolution),
    };
    hotspots(&cells, &values, scale, &question.options).map_err(bad_argument)
}

/// The metric as a whole number: of events, of the layer's resolution, or of millionths of a source.
fn whole_value(metric: Metric, aggregate: &CellAggregate) -> i128 {
    let values = &aggregate.values;
    match metric {
        Metric::Count => i128::from(aggregate.count),
        Metric::Weight => i128::from(aggregate.weight),
        Metric::Sum => values.sum,
        Metric::Mean => {
            let count = i128::from(aggregate.count).max(1);
            (2 * values.sum + count).div_euclid(2 * count)
        }
        Metric::Min => i128::from(values.min),
        Metric::Max => i128::from(values.max),
        Metric::Last => i128::from(values.last),
        Metric::Sources => {
            (CellAggregate::estimated_sources(aggregate.sources) * SOURCES_PER_UNIT).round() as i128
        }
    }
}

fn batch(schema: &Arc<Schema>, table: &HotspotTable) -> Result<RecordBatch, DataFusionError> {
    let rows = table.cell.len();
    let method = table.method.as_str();
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            Arc::new(UInt64Array::from(table.cell.clone())),
            Arc::new(Float64Array::from(table.value.clone())),
            Arc::new(Float64Array::from(table.z.clone())),
            Arc::new(Float64Array::from(table.p.clone())),
            Arc::new(Float64Array::from(table.q.clone())),
            Arc::new(StringArray::from_iter_values(
                table.class.iter().map(|class| class.as_str()),
            )),
            Arc::new(UInt32Array::from(table.neighbours.clone())),
            Arc::new(UInt64Array::from(vec![table.n as u64; rows])),
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(method, rows))),
            Arc::new(table.runs_needed.iter().copied().collect::<UInt64Array>()),
        ],
    )?)
}
