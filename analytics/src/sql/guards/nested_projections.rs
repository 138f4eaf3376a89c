//! Keeps nested queries that compute the same text twice from being taken for one.
//!
//! `DataFusion` 55 drops a projection over an equal one, although `SELECT x + x AS x FROM (SELECT x + x AS x FROM …)`
//! means to double twice. This rule makes the two unequal with a note on an alias. The test is
//! `nested_queries_of_the_same_text_each_count`; the rule may go when it passes without.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;

use crate::sql::rare_rules::{Need, RareRule};

/// The key of the note; its value has no meaning.
const NOTE: &str = "riskgrid:nested";

#[derive(Debug)]
struct NestedProjections;

/// The rule, where a plan needs it.
pub(crate) fn nested_projections() -> RareRule {
    RareRule {
        rule: Arc::new(NestedProjections),
        needed_for: Need::Node(
            |node| matches!(node, LogicalPlan::Projection(projection) if repeats_what_is_below(projection)),
        ),
    }
}

impl AnalyzerRule for NestedProjections {
    fn name(&self) -> &'static str {
        "nested_projections"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let noted = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Projection(projection) if repeats_what_is_below(&projection) => noted(projection),
            other => Ok(Transformed::no(other)),
        })?;
        if !noted.transformed {
            return Ok(noted.data);
        }
        let plan = noted
            .data
            .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?;
        Ok(plan.data)
    }
}

fn repeats_what_is_below(projection: &Projection) -> bool {
    projection_below(&projection.input).is_some_and(|below| below.expr == projection.expr)
}

/// The next projection below that computes something, past nodes that the optimizer may move or remove.
fn projection_below(plan: &Arc<LogicalPlan>) -> Option<&Projection> {
    match plan.as_ref() {
        LogicalPlan::Projection(projection) if projection.expr.iter().any(computes) => Some(projection),
        LogicalPlan::Projection(Projection { input, .. }) => projection_below(input),
        LogicalPlan::Filter(filter) => projection_below(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => projection_below(&alias.input),
        LogicalPlan::Sort(sort) => projection_below(&sort.input),
        LogicalPlan::Limit(limit) => projection_below(&limit.input),
        _ => None,
    }
}

/// Whether doing it twice may differ from doing it once.
fn computes(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => false,
        Expr::Alias(Alias { expr, name, .. }) => {
            !matches!(expr.as_ref(), Expr::Column(column) if column.name == *name)
        }
        _ => true,
    }
}

fn noted(projection: Projection) -> Result<Transformed<LogicalPlan>> {
    let Projection { mut expr, input, .. } = projection;
    let alias = expr
        .iter_mut()
        .filter(|expr| computes(expr))
        .find_map(|expr| match expr {
            Expr::Alias(alias) => Some(alias),
            _ => None,
        });
    let changed = alias.is_some();
    if let Some(alias) = alias {
        let note = FieldMetadata::new(BTreeMap::from([(NOTE.to_owned(), String::new())]));
        alias.metadata = FieldMetadata::merge_options(alias.metadata.as_ref(), Some(&note));
    }
    let plan = LogicalPlan::Projection(Projection::try_new(expr, input)?);
    Ok(if changed {
        Transformed::yes(plan)
    } else {
        Transformed::no(plan)
    })
}
