//! `x IN (SELECT …)` and `x NOT IN (SELECT …)` with NULL on either side, and IN and EXISTS over an aggregate.
//!
//! `DataFusion` 55 takes NOT IN for an anti join that either forgets NULLs or drops every row because of one that a condition on the
//! outer row has excluded (its reports 25336, 25340, 25347, 25473, 25474, 25480); inside OR or CASE it takes unknown for
//! false. Here each becomes EXISTS, whose answer is never NULL:
//!
//! - `x NOT IN (s)` in a WHERE: no row of `s` equals `x`, none is NULL, and `x` is not NULL unless `s` has no rows;
//! - anywhere else: CASE of the same conditions, which gives NULL where the answer is unknown.
//!
//! An aggregate without GROUP BY has one row whatever the outer row is. As a join it has none where nothing matches (report 24960),
//! so `x IN (SELECT count(*) …)` becomes `x = (SELECT count(*) …)`, and EXISTS of it true.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, JoinType, Result, ScalarValue, Spans};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, Join, LogicalPlan, LogicalPlanBuilder, Subquery, exists, lit, not_exists,
    when,
};
use datafusion::optimizer::AnalyzerRule;

use super::node_has_expression;
use crate::sql::error::SqlError;
use crate::sql::rare_rules::{Need, RareRule};

#[derive(Debug)]
struct SubqueriesWithNulls;

impl AnalyzerRule for SubqueriesWithNulls {
    fn name(&self) -> &'static str {
        "subqueries_with_nulls"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut names = Names::default();
        plan.transform_up_with_subqueries(|node| rewritten(node, &mut names))
            .map(|done| done.data)
    }
}

/// The rule, where a plan needs it.
pub(super) fn subqueries_with_nulls() -> RareRule {
    RareRule {
        rule: Arc::new(SubqueriesWithNulls),
        needed_for: Need::Expression(is_subquery_of_a_condition),
    }
}

/// Names for what subqueries give, so that they are not taken for columns of the outer query.
#[derive(Default)]
struct Names {
    given: usize,
}

impl Names {
    fn next(&mut self) -> String {
        self.given += 1;
        format!("__item_{}", self.given)
    }
}

fn is_subquery_of_a_condition(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)
    )
}

fn rewritten(node: LogicalPlan, names: &mut Names) -> Result<Transformed<LogicalPlan>> {
    if !node_has_expression(&node, is_subquery_of_a_condition)? {
        return Ok(Transformed::no(node));
    }
    let filter = match node {
        LogicalPlan::Filter(filter) => filter,
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => above(join)?,
        _ => return Err(outside_of_where().into()),
    };
    let schema = filter.input.schema();
    let conditions = split_conjunction_owned(filter.predicate)
        .into_iter()
        .map(|condition| match condition {
            Expr::Not(inner) => match *inner {
                Expr::InSubquery(within) => of_where(
                    InSubquery {
                        negated: !within.negated,
                        ..within
                    },
                    schema,
                    names,
                ),
                inner => inside(!inner, schema, names),
            },
            Expr::InSubquery(within) => of_where(within, schema, names),
            other => inside(other, schema, names),
        })
        .collect::<Result<Vec<_>>>()?;
    let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(
        predicate,
        filter.input,
    )?)))
}

/// What an inner join filters by as a filter above it.
fn above(mut join: Join) -> Result<Filter> {
    let condition = join.filter.take().unwrap_or_else(|| lit(true));
    Filter::try_new(condition, Arc::new(LogicalPlan::Join(join)))
}

fn outside_of_where() -> SqlError {
    SqlError::bad_request(
        "IN (SELECT …), EXISTS (SELECT …), ANY and ALL stand in WHERE and HAVING only; elsewhere write \
         (SELECT count(*) FROM … WHERE …) > 0, or a LEFT JOIN",
    )
}

/// A condition of a WHERE of its own: unknown is as good as false.
fn of_where(within: InSubquery, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    if one_row(&within.subquery)?.is_some() {
        return three_valued(within, schema, names);
    }
    if !within.negated {
        return Ok(Expr::InSubquery(within));
    }
    let parts = Parts::of(&within, schema, names)?;
    let mut conditions = vec![not_exists(parts.equal)];
    conditions.extend(parts.is_null.map(not_exists));
    if let Some(any) = parts.any {
        conditions.push(within.expr.is_not_null().or(not_exists(any)));
    }
    Ok(conjunction(conditions).unwrap_or_else(|| lit(true)))
}

/// The same within any expression.
fn inside(condition: Expr, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    condition
        .transform_up(|part| match part {
            Expr::InSubquery(within) => three_valued(within, schema, names).map(Transformed::yes),
            Expr::Exists(Exists { subquery, negated }) => Ok(if one_row(&subquery)?.is_some() {
                Transformed::yes(lit(!negated))
            } else {
                Transformed::no(Expr::Exists(Exists { subquery, negated }))
            }),
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
}

fn three_valued(within: InSubquery, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    if let Some(row) = one_row(&within.subquery)? {
        let equal = (*within.expr).eq(Expr::ScalarSubquery(row));
        return Ok(if within.negated { !equal } else { equal });
    }
    let parts = Parts::of(&within, schema, names)?;
    let unknown = match (parts.is_null.map(exists), parts.any.map(exists)) {
        (None, None) => {
            return Ok(if within.negated {
                not_exists(parts.equal)
            } else {
                exists(parts.equal)
            });
        }
        (Some(is_null), None) => is_null,
        (None, Some(any)) => within.expr.is_null().and(any),
        (Some(is_null), Some(any)) => is_null.or(within.expr.is_null().and(any)),
    };
    when(exists(parts.equal), lit(!within.negated))
        .when(unknown, Expr::Literal(ScalarValue::Boolean(None), None))
        .otherwise(lit(within.negated))
}

/// The subqueries of which an answer is made.
struct Parts {
    /// The rows that equal the expression.
    equal: Arc<LogicalPlan>,
    /// The rows that are NULL; none if no row can be.
    is_null: Option<Arc<LogicalPlan>>,
    /// All rows; none if the expression cannot be NULL.
    any: Option<Arc<LogicalPlan>>,
}

impl Parts {
    fn of(within: &InSubquery, schema: &DFSchema, names: &mut Names) -> Result<Self> {
        let outer = as_outer(&within.expr, schema)?;
        let plan = &within.subquery.subquery;
        // Without a condition on the outer row, one row is as good as all.
        let depends = !plan.all_out_ref_exprs().is_empty();
        let first = |builder: LogicalPlanBuilder, depends: bool| {
            if depends {
                builder.build()
            } else {
                builder.limit(0, Some(1))?.build()
            }
            .map(Arc::new)
        };
        // A name of its own by a projection: an alias keeps columns of conditions on the outer row from getting through.
        let mut named = || -> Result<(LogicalPlanBuilder, Expr)> {
            let item = plan.schema().columns().into_iter().next();
            let item = item.map_or_else(|| lit(ScalarValue::Null), Expr::Column);
            let name = names.next();
            let builder = LogicalPlanBuilder::from(plan.as_ref().clone()).project([item.alias(&name)])?;
            Ok((builder, Expr::Column(Column::new_unqualified(name))))
        };
        let (builder, item) = named()?;
        let may_be_null = item.nullable(builder.schema())?;
        let follows = !within.expr.column_refs().is_empty();
        let equal = first(builder.filter(outer.eq(item))?, depends || follows)?;
        let is_null = if may_be_null {
            let (builder, item) = named()?;
            Some(first(builder.filter(item.is_null())?, depends)?)
        } else {
            None
        };
        let any = if within.expr.nullable(schema)? {
            Some(first(named()?.0, depends)?)
        } else {
            None
        };
        Ok(Self { equal, is_null, any })
    }
}

/// The expression as the subquery sees it.
fn as_outer(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    let nests = |part: &Expr| {
        matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)
        )
    };
    if expr.exists(|part| Ok(nests(part)))? {
        return Err(SqlError::bad_request(
            "what stands before NOT IN (SELECT …) has a subquery of its own, or a column of a query further out; \
             name it as a column in a subquery of FROM first",
        )
        .into());
    }
    expr.clone()
        .transform_up(|part| match part {
            Expr::Column(column) => {
                let field = Arc::clone(schema.field_from_column(&column)?);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
}

/// The subquery as one value if it is an aggregate without GROUP BY that depends on the outer row.
fn one_row(subquery: &Subquery) -> Result<Option<Subquery>> {
    let mut plan = subquery.subquery.as_ref();
    let mut is_filtered = false;
    let aggregate = loop {
        plan = match plan {
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Sort(sort) => &sort.input,
            LogicalPlan::Distinct(distinct) => distinct.input(),
            LogicalPlan::Filter(filter) => {
                is_filtered = true;
                &filter.input
            }
            LogicalPlan::Limit(limit) => {
                is_filtered = true;
                &limit.input
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => break aggregate,
            _ => return Ok(None),
        };
    };
    if aggregate.input.all_out_ref_exprs().is_empty() {
        return Ok(None);
    }
    if is_filtered {
        return Err(SqlError::bad_request(
            "IN or EXISTS over an aggregate without GROUP BY that depends on the outer row takes neither HAVING nor LIMIT; \
             compare with the aggregate itself, as in x = (SELECT max(y) FROM …)",
        )
        .into());
    }
    Ok(Some(Subquery {
        subquery: Arc::clone(&subquery.subquery),
        outer_ref_columns: subquery.outer_ref_columns.clone(),
        spans: Spans::new(),
    }))
}
