//! `hotspots(layer => 'noise', resolution => 8, window => INTERVAL '24 hours', k => 1)`: Getis-Ord Gi* of each cell.
//!
//! One row a cell of the study area, cells ascending: `cell, value, z, p, q, class, neighbours, n, method, runs_needed`.
//! The window is `[at - window, at)`, snapped outward to what the grid still keeps; EXPLAIN shows the actual one.

use std::fmt;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};

use super::arguments::{Arguments, Length};
use super::local::{
    column, first_columns, first_fields, last_columns, last_fields, options_for, permutations_of,
    read_options, scores, words,
};
use super::statistic::{AnsweredCall, CellStatistic, Definition, refused};
use crate::sql::SqlError;
use crate::statistics::{HotspotClass, HotspotTable, LocalOptions, StatisticsError, Weights, hotspots};

pub(super) static HOTSPOTS: Definition = Definition {
    name: "hotspots",
    arguments: &[
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
    ],
    usual_window: Length::DAY,
    schema: || Arc::clone(&SCHEMA),
    read,
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let score = [
        column(
            "z",
            DataType::Float64,
            true,
            "Gi*; null where it is undefined: a constant field, fewer than 3 cells, a neighbourhood that is everything",
        ),
        column(
            "p",
            DataType::Float64,
            false,
            "two-sided p, 1 where z is undefined",
        ),
        column(
            "q",
            DataType::Float64,
            false,
            "false discovery rate over the study area",
        ),
        column(
            "class",
            DataType::Utf8,
            false,
            "hot_99, hot_95, hot_90, none, cold_90, cold_95 or cold_99, by q",
        ),
    ];
    let fields = first_fields().into_iter().chain(score).chain(last_fields());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

fn read(args: &Arguments<'_>) -> Result<Arc<dyn CellStatistic>, SqlError> {
    let weights = args.text("weights")?.unwrap_or("disk");
    Ok(Arc::new(Hotspots {
        weights: Weights::from_arguments(weights, args.float("distance")?)
            .map_err(|error| refused(args.function, error))?,
        options: read_options(args)?,
    }))
}

#[derive(Debug)]
struct Hotspots {
    weights: Weights,
    options: LocalOptions,
}

impl CellStatistic for Hotspots {
    fn permutations(&self) -> u32 {
        permutations_of(&self.options)
    }

    fn columns(&self, call: &AnsweredCall<'_>) -> Result<Option<Vec<ArrayRef>>, StatisticsError> {
        let Some((cells, values)) = call.observed()? else {
            return Ok(None);
        };
        let options = options_for(&self.options, call);
        let HotspotTable {
            cell,
            value,
            z,
            p,
            q,
            class,
            neighbours,
            n,
            method,
            runs_needed,
        } = hotspots(&cells, &values, self.weights, &options, call.stop)?;
        let mut columns = first_columns(cell, &value, call);
        columns.push(scores(z));
        columns.push(Arc::new(Float64Array::from(p)));
        columns.push(Arc::new(Float64Array::from(q)));
        columns.push(words(&class, HotspotClass::as_str));
        columns.extend(last_columns(neighbours, n, method, runs_needed));
        Ok(Some(columns))
    }
}

impl fmt::Display for Hotspots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weights {
            Weights::Disk => write!(formatter, "weights=disk")?,
            Weights::Distance(metres) => write!(formatter, "weights=distance up to {metres} m")?,
            Weights::Bisquare(metres) => write!(formatter, "weights=bisquare below {metres} m")?,
        }
        write!(formatter, ", method={}", self.options.method.as_str())
    }
}
