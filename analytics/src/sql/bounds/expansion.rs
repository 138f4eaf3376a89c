//! Refuses statements that are short to write and endless to plan.
//!
//! A planner cannot be stopped half-way. Two shapes make it work for hours: common table expressions that use the one
//! before twice (thirty of them are a thousand million scans), and nested queries whose columns use the column below
//! twice, because a filter above is rewritten in terms of what is below. Both are measured before they are planned.

use std::collections::HashMap;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{ObjectName, Query};

use crate::sql::error::SqlError;

/// Tables of a statement, each common table expression counted wherever it is used.
const MOST_RELATIONS: u64 = 1_000;
/// Parts of an expression once every column is written out.
const MOST_PARTS: u64 = 100_000;

/// Counts the tables of a statement while its queries are visited.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Tables of each query that is being visited, the innermost last.
    counts: Vec<u64>,
    /// Tables of each common table expression by name. Of two with one name the larger counts.
    named: HashMap<String, u64>,
    /// Names of the queries that are bodies of common table expressions, by their place in memory.
    bodies: HashMap<usize, String>,
}

impl Relations {
    pub(crate) fn query_begins(&mut self, query: &Query) {
        for expression in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = expression.alias.name.value.to_lowercase();
            self.bodies.insert(place_of(&expression.query), name);
        }
        self.counts.push(0);
    }

    pub(crate) fn relation(&mut self, name: &ObjectName) {
        let weight = self
            .named
            .get(&name.to_string().to_lowercase().replace('"', ""))
            .copied()
            .unwrap_or(1);
        if let Some(count) = self.counts.last_mut() {
            *count = count.saturating_add(weight);
        }
    }

    /// # Errors
    /// [`SqlError::BadRequest`] if the query stands for too many tables.
    pub(crate) fn query_ends(&mut self, query: &Query) -> Result<(), SqlError> {
        let count = self.counts.pop().unwrap_or(0);
        if count > MOST_RELATIONS {
            return Err(SqlError::BadRequest(format!(
                "the statement stands for more than {MOST_RELATIONS} tables, since each use of a WITH query counts; use it less often"
            )));
        }
        match self.bodies.remove(&place_of(query)) {
            Some(name) => {
                let known = self.named.entry(name).or_insert(1);
                *known = count.max(*known);
            }
            None => {
                if let Some(outer) = self.counts.last_mut() {
                    *outer = outer.saturating_add(count);
                }
            }
        }
        Ok(())
    }
}

fn place_of(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}

/// # Errors
/// [`SqlError::BadRequest`] if a filter, written out in terms of the tables below it, has too many parts.
pub(crate) fn check_expressions(plan: &LogicalPlan) -> Result<(), SqlError> {
    column_parts(plan).map(|_| ())
}

/// The parts of each output column of the plan, written out.
fn column_parts(plan: &LogicalPlan) -> Result<Vec<u64>, SqlError> {
    let inputs = plan
        .inputs()
        .into_iter()
        .map(column_parts)
        .collect::<Result<Vec<_>, _>>()?;
    let parts_of_column = |column: &Column| {
        plan.inputs().iter().zip(&inputs).find_map(|(input, parts)| {
            let index = input.schema().maybe_index_of_column(column)?;
            parts.get(index).copied()
        })
    };
    let parts = |expr: &Expr| -> Result<u64, SqlError> {
        let mut sum: u64 = 1;
        for (column, uses) in expr.column_refs_counts() {
            let each = parts_of_column(column).unwrap_or(1);
            sum = sum.saturating_add(each.saturating_mul(uses as u64));
        }
        if sum > MOST_PARTS {
            return Err(SqlError::BadRequest(format!(
                "an expression over nested queries has more than {MOST_PARTS} parts once it is written out; \
                 use each column of an inner query less often"
            )));
        }
        Ok(sum)
    };
    let columns = plan.schema().fields().len();
    let outputs = match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().map(parts).collect::<Result<Vec<_>, _>>()?
        }
        LogicalPlan::Filter(filter) => {
            parts(&filter.predicate)?;
            inputs.concat()
        }
        LogicalPlan::Aggregate(aggregate) => aggregate
            .group_expr
            .iter()
            .map(parts)
            .collect::<Result<Vec<_>, _>>()?,
        LogicalPlan::Union(_) => {
            let widest = |index: usize| inputs.iter().filter_map(|input| input.get(index)).max();
            (0..columns)
                .map(|index| widest(index).copied().unwrap_or(1))
                .collect()
        }
        _ => inputs.concat(),
    };
    // Columns that a node adds (aggregates, windows, marks of joins) are written out no further.
    Ok(outputs
        .into_iter()
        .chain(std::iter::repeat(1))
        .take(columns)
        .collect())
}
