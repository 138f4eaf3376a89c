//! What the filters of a scan rule out: layers, spans of time, cells, boxes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable as _, Operator, Volatility, cast};
use datafusion::physical_expr::PhysicalExpr;
use riskgrid_ingest::edge::Bounds;

use super::time_filters::{EventsWithin, instant};

/// A conjunction of what is understood; everything else is left to DataFusion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Narrowing {
    /// Only these layers; all when `None`.
    layers: Option<BTreeSet<String>>,
    /// The times of events.
    pub(super) times: EventsWithin,
    /// The least cell.
    pub(super) first_cell: u64,
    /// The greatest cell.
    pub(super) last_cell: u64,
    /// West, south, east, north.
    bounds: [f64; 4],
}

impl fmt::Display for Narrowing {
    /// What EXPLAIN shows of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(layers) = &self.layers {
            let names: Vec<&str> = layers.iter().map(String::as_str).collect();
            parts.push(format!("layer in [{}]", names.join(", ")));
        }
        if self.times.first > EventsWithin::ALL.first {
            parts.push(format!("from {}", self.times.first));
        }
        if self.times.last < EventsWithin::ALL.last {
            parts.push(format!("to {}", self.times.last));
        }
        if (self.first_cell, self.last_cell) != (0, u64::MAX) {
            parts.push(format!("cells {:x} to {:x}", self.first_cell, self.last_cell));
        }
        if let Some(Bounds([west, south, east, north])) = self.bounds() {
            parts.push(format!("box {west} {south} {east} {north}"));
        }
        formatter.write_str(&parts.join(", "))
    }
}

impl Default for Narrowing {
    fn default() -> Self {
        Self {
            layers: None,
            times: EventsWithin::ALL,
            first_cell: 0,
            last_cell: u64::MAX,
            bounds: [f64::NEG_INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY],
        }
    }
}

impl Narrowing {
    /// Whether a filter is of a form that [`of`](Self::of) can use.
    fn understands(filter: &Expr) -> bool {
        Self::of(std::slice::from_ref(filter)) != Self::default()
    }

    /// What a scan that is narrowed makes of each filter: rows that cannot pass may be left out, others are tested above.
    pub(super) fn support(filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let support = |filter: &&Expr| {
            if Self::understands(filter) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        filters.iter().map(support).collect()
    }

    /// What all of `filters` together leave.
    pub(super) fn of(filters: &[Expr]) -> Self {
        let mut narrowing = Self::default();
        for filter in filters {
            narrowing.add(filter);
        }
        narrowing
    }

    /// Whether rows of this layer may match.
    pub(super) fn admits_layer(&self, layer: &str) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(layer))
    }

    /// The box that rows must be in, when there is one.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        let [west, south, east, north] = self.bounds;
        let is_box = self.bounds.iter().any(|bound| bound.is_finite()) && west <= east;
        is_box.then(|| {
            Bounds([
                west.max(-180.0),
                south.max(-90.0),
                east.min(180.0),
                north.min(90.0),
            ])
        })
    }

    /// Whether rows with cells between these, and places inside this box, may match.
    pub(super) fn may_hold(&self, cells: Option<(u64, u64)>, bounds: Option<[f64; 4]>) -> bool {
        let asks_for_place = (self.first_cell, self.last_cell) != (0, u64::MAX)
            || self.bounds.iter().any(|bound| bound.is_finite());
        match (cells, bounds) {
            (Some((least, greatest)), Some(bounds)) => {
                least <= self.last_cell && self.first_cell <= greatest && self.meets(bounds)
            }
            // No row has a place, and a comparison with NULL keeps none.
            _ => !asks_for_place,
        }
    }

    /// Whether a row at this place may match.
    pub(super) fn admits_place(&self, [lon, lat]: [f64; 2]) -> bool {
        self.meets([lon, lat, lon, lat])
    }

    fn meets(&self, of_rows: [f64; 4]) -> bool {
        let [west, south, east, north] = self.bounds;
        of_rows[0] <= east && west <= of_rows[2] && of_rows[1] <= north && south <= of_rows[3]
    }

    fn add(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And,
                right,
            }) => {
                self.add(left);
                self.add(right);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left), column(right)) {
                (Some(name), None) => self.compare(name, *op, literal(right)),
                (None, Some(name)) => {
                    if let Some(op) = op.swap() {
                        self.compare(name, op, literal(left));
                    }
                }
                _ => {}
            },
            Expr::Between(Between {
                expr,
                negated: false,
                low,
                high,
            }) => {
                if let Some(name) = column(expr) {
                    self.compare(name, Operator::GtEq, literal(low));
                    self.compare(name, Operator::LtEq, literal(high));
                }
            }
            Expr::InList(list) if !list.negated => {
                if let (Some("layer"), Some(values)) = (
                    column(&list.expr),
                    list.list
                        .iter()
                        .map(|value| literal(value).and_then(text).map(str::to_owned))
                        .collect::<Option<BTreeSet<_>>>(),
                ) {
                    self.keep_layers(values);
                }
            }
            _ => {}
        }
    }

    fn keep_layers(&mut self, values: BTreeSet<String>) {
        self.layers = Some(match self.layers.take() {
            Some(known) => known.intersection(&values).cloned().collect(),
            None => values,
        });
    }

    fn compare(&mut self, name: &str, op: Operator, value: Option<&ScalarValue>) {
        let Some(value) = value else { return };
        let (is_lower, is_upper) = match op {
            Operator::Eq => (true, true),
            Operator::Gt | Operator::GtEq => (true, false),
            Operator::Lt | Operator::LtEq => (false, true),
            _ => return,
        };
        match name {
            "layer" => {
                if let (Operator::Eq, Some(text)) = (op, text(value)) {
                    self.keep_layers(BTreeSet::from([text.to_owned()]));
                }
            }
            "time" => {
                let Some(time) = instant(value) else { return };
                if is_lower {
                    self.times.first = self.times.first.max(time);
                }
                if is_upper {
                    self.times.last = self.times.last.min(time);
                }
            }
            "cell" => {
                let ScalarValue::UInt64(Some(cell)) = value else {
                    return;
                };
                if is_lower {
                    self.first_cell = self.first_cell.max(*cell);
                }
                if is_upper {
                    self.last_cell = self.last_cell.min(*cell);
                }
            }
            "lon" | "lat" => {
                let ScalarValue::Float64(Some(degrees)) = value else {
                    return;
                };
                let [west, south, east, north] = &mut self.bounds;
                let (low, high) = if name == "lon" {
                    (west, east)
                } else {
                    (south, north)
                };
                if is_lower {
                    *low = low.max(*degrees);
                }
                if is_upper {
                    *high = high.min(*degrees);
                }
            }
            _ => {}
        }
    }
}

/// Whether an expression is one of a row alone, the same whenever it is asked.
pub(super) fn is_plain(expr: &Expr) -> bool {
    let is_plain_node = |node: &Expr| match node {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::BinaryExpr(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::Negative(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_) => true,
        Expr::ScalarFunction(function) => function.func.signature().volatility == Volatility::Immutable,
        _ => false,
    };
    !expr.exists(|node| Ok(!is_plain_node(node))).unwrap_or(true)
}

/// What the expressions use a column for, as `of` sees it in each place; none where one uses the column itself.
pub(super) fn uses<'a, T>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    name: &str,
    of: impl Fn(&Expr) -> Option<T>,
) -> Option<Vec<T>> {
    let mut found = Vec::new();
    for expr in exprs {
        let walked = expr.apply(|node| {
            if let Some(used_for) = of(node) {
                found.push(used_for);
                return Ok(TreeNodeRecursion::Jump);
            }
            let is_itself = column(node) == Some(name);
            Ok(if is_itself {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        });
        if matches!(walked, Ok(TreeNodeRecursion::Stop) | Err(_)) {
            return None;
        }
    }
    Some(found)
}

/// All of `filters` as one condition that gives true, false or NULL; none where there is no filter.
pub(super) fn condition(
    state: &dyn Session,
    filters: impl IntoIterator<Item = Expr>,
    schema: &DFSchema,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let of_truth = |filter: Expr| -> Result<Expr> {
        // An optimizer may have left nothing but a NULL without a type.
        let is_of_truth = filter.get_type(schema)? == DataType::Boolean;
        Ok(if is_of_truth {
            filter
        } else {
            cast(filter, DataType::Boolean)
        })
    };
    let filters: Vec<Expr> = filters.into_iter().map(of_truth).collect::<Result<_>>()?;
    conjunction(filters)
        .map(|filter| state.create_physical_expr(filter, schema))
        .transpose()
}

pub(super) fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

pub(super) fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

pub(super) fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text),
        ScalarValue::Dictionary(_, inner) => text(inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    #[test]
    fn conjunctions_narrow_and_other_filters_do_nothing() {
        let at = |micros| {
            lit(ScalarValue::TimestampMicrosecond(
                Some(micros),
                Some("UTC".into()),
            ))
        };
        let filters = [
            col("layer").in_list(vec![lit("a"), lit("b")], false),
            col("layer").eq(lit("b")),
            col("time").gt_eq(at(5)).and(at(9).gt(col("time"))),
            col("lon").between(lit(1.0), lit(2.0)),
        ];
        let narrowing = Narrowing::of(&filters);
        assert!(narrowing.admits_layer("b") && !narrowing.admits_layer("a"));
        assert_eq!(
            (narrowing.times.first.micros(), narrowing.times.last.micros()),
            (5, 9)
        );
        assert_eq!(narrowing.bounds(), Some(Bounds([1.0, -90.0, 2.0, 90.0])));
        for filter in [
            col("layer").not_eq(lit("a")),
            col("time").gt(at(5)).or(col("layer").eq(lit("a"))),
            // The start of a bucket bounds no event.
            col("bucket").gt(at(5)),
            col("count").gt(lit(5)),
            col("layer").in_list(vec![lit("a")], true),
        ] {
            assert!(!Narrowing::understands(&filter), "{filter}");
        }
    }
}
