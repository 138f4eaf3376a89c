//! The part of a join's condition that an index answers.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, Result, ScalarValue, internal_err};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::utils::{collect_columns, conjunction_opt};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};

use super::NEAREST;
use crate::geometry::Relation;
use crate::sql::error::SqlError;

/// The most neighbours that one row can ask for.
const MOST_NEAREST: i64 = 10_000;

/// What must hold between an indexed row (left) and a row that is looked up (right).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Test {
    /// From the left geometry to the right one.
    Relation(Relation),
    /// So many degrees apart in the plane at most.
    WithinDegrees(f64),
    /// Points so many metres of great circle apart at most.
    WithinMetres(f64),
    /// The left point is one of the so many nearest to the right one.
    Nearest(usize),
}

/// One call of a geometric function whose two geometries come from different sides.
#[derive(Clone, Debug)]
pub(super) struct SpatialPredicate {
    /// The call as it was written, for EXPLAIN.
    call: Arc<dyn PhysicalExpr>,
    /// The geometry of an indexed row, over the left schema.
    pub(super) indexed: Arc<dyn PhysicalExpr>,
    /// The geometry of a row that is looked up, over the right schema.
    pub(super) probe: Arc<dyn PhysicalExpr>,
    pub(super) test: Test,
}

impl fmt::Display for SpatialPredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt_sql(f)
    }
}

/// The first call in the filter that an index answers.
struct Found<'a> {
    call: &'a ScalarFunctionExpr,
    place: usize,
    first: JoinSide,
    test: Test,
}

/// Which side is to be indexed: that of the areas where the other has points, the second of a search for the nearest, else
/// the left one, which the planner takes for the smaller. `None` if no part of the filter can use an index.
pub(super) fn side_to_index(filter: &JoinFilter) -> Result<Option<JoinSide>> {
    let Some(found) = find(filter)? else {
        return Ok(None);
    };
    if matches!(found.test, Test::Nearest(_)) {
        return Ok(Some(found.first.negate()));
    }
    Ok(match found.call.args() {
        [first, second, ..] if makes_a_point(first) != makes_a_point(second) => {
            Some(if makes_a_point(first) {
                found.first.negate()
            } else {
                found.first
            })
        }
        _ => Some(JoinSide::Left),
    })
}

fn makes_a_point(expression: &Arc<dyn PhysicalExpr>) -> bool {
    expression
        .downcast_ref::<ScalarFunctionExpr>()
        .is_some_and(|call| matches!(call.fun().name(), "st_point" | "st_centroid" | "h3_centroid"))
}

impl SpatialPredicate {
    /// The predicate, with the left side indexed, and what is left of the filter.
    pub(super) fn of_filter(filter: &JoinFilter) -> Result<Option<(Self, Option<JoinFilter>)>> {
        let Some(found) = find(filter)? else {
            return Ok(None);
        };
        let parts = split_conjunction(filter.expression());
        let [first, second, ..] = found.call.args() else {
            return Ok(None);
        };
        let left_is_first = found.first == JoinSide::Left;
        let (indexed, probe) = if left_is_first {
            (first, second)
        } else {
            (second, first)
        };
        let test = match found.test {
            Test::Relation(relation) if !left_is_first => Test::Relation(relation.flipped()),
            test => test,
        };
        let Some(call) = parts.get(found.place) else {
            return internal_err!("a condition of a join has lost a part");
        };
        let predicate = Self {
            call: Arc::clone(call),
            indexed: over_side(indexed, filter)?,
            probe: over_side(probe, filter)?,
            test,
        };
        let rest = parts
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != found.place)
            .map(|(_, part)| Arc::clone(part));
        let rest = conjunction_opt(rest).map(|rest| {
            JoinFilter::new(
                rest,
                filter.column_indices().to_vec(),
                Arc::clone(filter.schema()),
            )
        });
        Ok(Some((predicate, rest)))
    }
}

fn find(filter: &JoinFilter) -> Result<Option<Found<'_>>> {
    for (place, part) in split_conjunction(filter.expression()).into_iter().enumerate() {
        let Some(call) = part.downcast_ref::<ScalarFunctionExpr>() else {
            continue;
        };
        let [first, second, ..] = call.args() else {
            continue;
        };
        let (Some(first), Some(second)) = (side_of(first, filter), side_of(second, filter)) else {
            continue;
        };
        if first != second
            && let Some(test) = test_of(call)?
        {
            return Ok(Some(Found {
                call,
                place,
                first,
                test,
            }));
        }
    }
    Ok(None)
}

/// The side from which all columns of the expression are; `None` if there is not exactly one.
fn side_of(expression: &Arc<dyn PhysicalExpr>, filter: &JoinFilter) -> Option<JoinSide> {
    let mut sides = collect_columns(expression).into_iter().map(|column| {
        filter
            .column_indices()
            .get(column.index())
            .map(|place| place.side)
    });
    let first = sides.next()??;
    sides.all(|side| side == Some(first)).then_some(first)
}

/// What a call tests; `None` if an index cannot answer it.
///
/// # Errors
/// [`SqlError::BadRequest`] for a number of neighbours that cannot be.
fn test_of(call: &ScalarFunctionExpr) -> Result<Option<Test>> {
    let name = call.fun().name();
    let relation = Relation::ALL
        .into_iter()
        .find(|relation| relation.function() == name && relation.needs_meeting());
    if let Some(relation) = relation {
        return Ok(Some(Test::Relation(relation)));
    }
    let Some(ScalarValue::Float64(Some(number))) = constant(call, 2) else {
        return match constant(call, 2) {
            Some(ScalarValue::Int64(Some(k))) if name == NEAREST => neighbours(*k).map(Some),
            _ => Ok(None),
        };
    };
    Ok(match name {
        "st_dwithin" => Some(Test::WithinDegrees(*number)),
        "st_dwithinsphere" => Some(Test::WithinMetres(*number)),
        _ => None,
    })
}

fn neighbours(k: i64) -> Result<Test> {
    match usize::try_from(k) {
        Ok(number) if (1..=MOST_NEAREST).contains(&k) => Ok(Test::Nearest(number)),
        _ => Err(SqlError::BadRequest(format!("{NEAREST}: k is {k}, allowed is 1 to {MOST_NEAREST}")).into()),
    }
}

fn constant(call: &ScalarFunctionExpr, index: usize) -> Option<&ScalarValue> {
    let literal = call.args().get(index)?.downcast_ref::<Literal>()?;
    Some(literal.value())
}

/// The expression over the schema of its side instead of the filter's.
fn over_side(expression: &Arc<dyn PhysicalExpr>, filter: &JoinFilter) -> Result<Arc<dyn PhysicalExpr>> {
    Arc::clone(expression)
        .transform_up(|node| {
            let Some(column) = node.downcast_ref::<Column>() else {
                return Ok(Transformed::no(node));
            };
            let Some(ColumnIndex { index, .. }) = filter.column_indices().get(column.index()) else {
                return internal_err!("the condition of a join names a column that it has not: {column}");
            };
            let column = Column::new(column.name(), *index);
            Ok(Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>))
        })
        .map(|done| done.data)
}
