//! Keeps cells cells when a list of them is unnested: `DataFusion` takes the type of the list's item, but not what its
//! field says.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, ScalarUDF, Unnest};
use datafusion::optimizer::AnalyzerRule;

use super::column::is_cell;
use crate::sql::rare_rules::{Need, RareRule};

/// Puts a projection over each UNNEST of lists of cells that marks the unnested columns again.
#[derive(Debug)]
struct CellUnnest {
    marks: Arc<ScalarUDF>,
}

/// The rule, where a plan needs it. `marks` is a function from cells to cells, whose result is marked.
pub(crate) fn cell_unnest(marks: Arc<ScalarUDF>) -> RareRule {
    RareRule {
        rule: Arc::new(CellUnnest { marks }),
        needed_for: Need::Node(|node| matches!(node, LogicalPlan::Unnest(_))),
    }
}

impl CellUnnest {
    fn marked(&self, unnest: Unnest) -> Result<Transformed<LogicalPlan>> {
        let mut any = false;
        let columns: Vec<Expr> = unnest
            .schema
            .iter()
            .enumerate()
            .map(|(index, (qualifier, field))| {
                let column = Expr::from((qualifier, field));
                let source = unnest.dependency_indices.get(index);
                let was_list = source.is_some_and(|source| {
                    unnest.list_type_columns.iter().any(|(list, _)| list == source)
                        && unnest
                            .input
                            .schema()
                            .fields()
                            .get(*source)
                            .is_some_and(|list| holds_cells(list))
                });
                if was_list && field.data_type() == &DataType::UInt64 {
                    any = true;
                    self.marks
                        .call(vec![column])
                        .alias_qualified(qualifier.cloned(), field.name())
                } else {
                    column
                }
            })
            .collect();
        let plan = LogicalPlan::Unnest(unnest);
        if !any {
            return Ok(Transformed::no(plan));
        }
        let projection = Projection::try_new(columns, Arc::new(plan))?;
        Ok(Transformed::yes(LogicalPlan::Projection(projection)))
    }
}

impl AnalyzerRule for CellUnnest {
    fn name(&self) -> &'static str {
        "cell_unnest"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Unnest(unnest) => self.marked(unnest),
            // What is above a changed node takes over what its columns say.
            other => Ok(Transformed::yes(other.recompute_schema()?)),
        })
        .map(|done| done.data)
    }
}

fn holds_cells(field: &Field) -> bool {
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_cell(item) || holds_cells(item)
        }
        _ => false,
    }
}
