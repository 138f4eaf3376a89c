//! What the filters of a scan of `cells` keep: exactly, so that nobody needs to look at the rows again.
//!
//! A slice has one layer, one bucket and one length, so a filter on these is judged once a slice. Cells are sorted, so
//! a filter on them is a set of ranges. Everything else is left to DataFusion.

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use h3o::{CellIndex, Resolution};
use riskgrid_ingest::cells::{CellSet, children_range};
use riskgrid_ingest::grid::{GridSnapshot, StartsWithin};
use riskgrid_ingest::places::cell_set_of;

use crate::named_area::named_area;
use crate::tables::filters::{column, condition, is_plain, literal, text};
use crate::tables::time_filters::starts_of;

/// A conjunction of filters, taken apart.
#[derive(Clone, Debug)]
pub(super) struct CellsFilter {
    /// Where buckets start.
    pub(super) starts: StartsWithin,
    /// Cells.
    pub(super) cells: CellSet,
    /// Filters on the layer alone.
    pub(super) layers: Vec<Expr>,
    /// Filters on what slices are: layer, start and length.
    pub(super) slices: Vec<Expr>,
    /// What is not understood and was not taken as it is now: an optimizer rewrites filters that a scan has taken, `layer NOT
    /// IN ('x', NULL)` to a NULL of no column. To be asked of the rows.
    pub(super) rest: Vec<Expr>,
}

/// What one filter is about.
enum Part {
    Layers,
    Starts(StartsWithin),
    Slices,
    Cells(CellSet),
}

impl CellsFilter {
    /// Whether a scan applies this filter exactly.
    pub(super) fn takes(filter: &Expr, snapshot: &GridSnapshot) -> bool {
        part_of(filter, snapshot).is_some()
    }

    /// What all of `filters` together keep of the cells that are seen.
    pub(super) fn of(filters: &[Expr], snapshot: &GridSnapshot, seen: &CellSet) -> Self {
        let mut all = Self {
            starts: StartsWithin::ALL,
            cells: seen.clone(),
            layers: Vec::new(),
            slices: Vec::new(),
            rest: Vec::new(),
        };
        for filter in filters {
            match part_of(filter, snapshot) {
                Some(Part::Starts(starts)) => all.starts = all.starts.and(starts),
                Some(Part::Cells(cells)) => all.cells = all.cells.and(&cells),
                Some(Part::Layers) => all.layers.push(filter.clone()),
                Some(Part::Slices) => all.slices.push(filter.clone()),
                None => all.rest.push(filter.clone()),
            }
        }
        all
    }
}

/// Which rows of `batch` all of `filters` keep; each is asked of those only that the ones before it keep.
pub(super) fn kept(state: &dyn Session, filters: &[Expr], batch: &RecordBatch) -> Result<BooleanArray> {
    let schema = DFSchema::try_from(batch.schema())?;
    let mut kept = vec![true; batch.num_rows()];
    let mut left = batch.clone();
    for filter in filters {
        let Some(condition) = condition(state, [filter.clone()], &schema)? else {
            continue;
        };
        let keeps = condition.evaluate(&left)?.into_array(left.num_rows())?;
        let keeps = keeps.as_boolean();
        let mut of_left = keeps.iter();
        for row in kept.iter_mut().filter(|row| **row) {
            *row = of_left.next().flatten().unwrap_or(false);
        }
        left = filter_record_batch(&left, keeps)?;
    }
    Ok(kept.into())
}

fn part_of(filter: &Expr, snapshot: &GridSnapshot) -> Option<Part> {
    if !is_plain(filter) {
        return None;
    }
    let mut names: Vec<&str> = filter
        .column_refs()
        .into_iter()
        .map(|column| column.name.as_str())
        .collect();
    names.sort_unstable();
    match names.as_slice() {
        ["layer"] => Some(Part::Layers),
        ["cell"] => cell_ranges(filter, snapshot).map(Part::Cells),
        ["bucket"] => Some(starts_of(filter).map_or(Part::Slices, Part::Starts)),
        [_, ..]
            if names
                .iter()
                .all(|name| ["layer", "bucket", "bucket_seconds"].contains(name)) =>
        {
            Some(Part::Slices)
        }
        _ => None,
    }
}

/// The cells of the grid that a filter on the cell keeps; none where it is no set of ranges.
fn cell_ranges(filter: &Expr, snapshot: &GridSnapshot) -> Option<CellSet> {
    let resolution = snapshot.resolution;
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => Some(cell_ranges(left, snapshot)?.and(&cell_ranges(right, snapshot)?)),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => Some(cell_ranges(left, snapshot)?.or(&cell_ranges(right, snapshot)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (literal(left), literal(right)) {
            (None, Some(value)) => compared(left, *op, value, resolution),
            (Some(value), None) => compared(right, op.swap()?, value, resolution),
            _ => None,
        },
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) => {
            let from = compared(expr, Operator::GtEq, literal(low)?, resolution)?;
            Some(from.and(&compared(expr, Operator::LtEq, literal(high)?, resolution)?))
        }
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => {
            let mut all = Vec::new();
            for item in list {
                let equal = compared(expr, Operator::Eq, literal(item)?, resolution)?;
                all.extend_from_slice(equal.ranges());
            }
            Some(CellSet::of(all))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "h3_in_area" => {
            match args.as_slice() {
                [cell, area] if column(cell).is_some() => cells_of_area(text(literal(area)?)?, snapshot),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The cells of an area; none where there is no such area, which the function says when it is asked.
fn cells_of_area(area: &str, snapshot: &GridSnapshot) -> Option<CellSet> {
    let area = named_area(&snapshot.places.areas, area).ok()?;
    Some(cell_set_of(&area.shape, snapshot.resolution))
}

fn compared(expr: &Expr, operator: Operator, value: &ScalarValue, resolution: Resolution) -> Option<CellSet> {
    let is_order = matches!(
        operator,
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    );
    let value = match value {
        ScalarValue::UInt64(Some(value)) => *value,
        // IS DISTINCT FROM, for one, keeps rows beside NULL.
        ScalarValue::UInt64(None) if is_order => return Some(CellSet::none()),
        _ => return None,
    };
    if column(expr).is_some() {
        let above = value.saturating_add(1);
        let (first, second) = match operator {
            Operator::Eq => (value..above, None),
            Operator::Lt => (0..value, None),
            Operator::LtEq => (0..above, None),
            Operator::Gt => (above..u64::MAX, None),
            Operator::GtEq => (value..u64::MAX, None),
            Operator::NotEq => (0..value, Some(above..u64::MAX)),
            _ => return None,
        };
        return Some(CellSet::of(std::iter::once(first).chain(second).collect()));
    }
    // The children of one parent are one range.
    let parents = parent_resolution(expr).filter(|parents| *parents <= resolution)?;
    let parent = CellIndex::try_from(value).ok()?;
    match operator {
        Operator::Eq if parent.resolution() == parents => Some(children_range(parent, resolution).into()),
        Operator::Eq => Some(CellSet::none()),
        _ => None,
    }
}

/// The resolution of `h3_parent(cell, resolution)`.
pub(super) fn parent_resolution(expr: &Expr) -> Option<Resolution> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
        return None;
    };
    match args.as_slice() {
        [cell, resolution] if func.name() == "h3_parent" => {
            column(cell).filter(|name| *name == "cell")?;
            let ScalarValue::Int64(Some(level)) = literal(resolution)? else {
                return None;
            };
            Resolution::try_from(u8::try_from(*level).ok()?).ok()
        }
        _ => None,
    }
}
