//! `local_moran(layer => 'noise', resolution => 8, window => INTERVAL '24 hours', k => 1)`: local Moran's I of each cell.
//!
//! One row a cell of the study area, cells ascending: `cell, value, i, quadrant, p, q, class, neighbours, n, method,
//! runs_needed`. The window is that of `hotspots`.

use std::fmt;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};

use super::arguments::{Arguments, Length};
use super::local::{
    column, first_columns, first_fields, last_columns, last_fields, options_for, permutations_of,
    read_options, scores, words,
};
use super::statistic::{AnsweredCall, CellStatistic, Definition};
use crate::sql::SqlError;
use crate::statistics::{LocalMoranTable, LocalOptions, Quadrant, StatisticsError, local_moran};

pub(super) static LOCAL_MORAN: Definition = Definition {
    name: "local_moran",
    arguments: &[
        "layer",
        "metric",
        "resolution",
        "window",
        "at",
        "domain",
        "k",
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
            "i",
            DataType::Float64,
            true,
            "local Moran's I, 0 without neighbours; null in a constant field or a single cell",
        ),
        column(
            "quadrant",
            DataType::Utf8,
            false,
            "HH, LH, LL or HL: the cell, then its neighbours, above (H) or below (L) the mean; none at the mean",
        ),
        column(
            "p",
            DataType::Float64,
            false,
            "two-sided p of the neighbours' sum given the cell, 1 where there is no test",
        ),
        column(
            "q",
            DataType::Float64,
            false,
            "false discovery rate over the cells with a neighbour",
        ),
        column(
            "class",
            DataType::Utf8,
            false,
            "the quadrant where q is at most .05, else none",
        ),
    ];
    let fields = first_fields().into_iter().chain(score).chain(last_fields());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

fn read(args: &Arguments<'_>) -> Result<Arc<dyn CellStatistic>, SqlError> {
    Ok(Arc::new(LocalMoran {
        options: read_options(args)?,
    }))
}

#[derive(Debug)]
struct LocalMoran {
    options: LocalOptions,
}

impl CellStatistic for LocalMoran {
    fn permutations(&self) -> u32 {
        permutations_of(&self.options)
    }

    fn columns(&self, call: &AnsweredCall<'_>) -> Result<Option<Vec<ArrayRef>>, StatisticsError> {
        let Some((cells, values)) = call.observed()? else {
            return Ok(None);
        };
        let options = options_for(&self.options, call);
        let LocalMoranTable {
            cell,
            value,
            i,
            quadrant,
            p,
            q,
            class,
            neighbours,
            n,
            method,
            runs_needed,
        } = local_moran(&cells, &values, &options, call.stop)?;
        let mut columns = first_columns(cell, &value, call);
        columns.push(scores(i));
        columns.push(words(&quadrant, Quadrant::as_str));
        columns.push(Arc::new(Float64Array::from(p)));
        columns.push(Arc::new(Float64Array::from(q)));
        columns.push(words(&class, Quadrant::as_str));
        columns.extend(last_columns(neighbours, n, method, runs_needed));
        Ok(Some(columns))
    }
}

impl fmt::Display for LocalMoran {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "method={}", self.options.method.as_str())
    }
}
