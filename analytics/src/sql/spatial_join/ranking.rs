//! Tells what chooses among which rows are ranked from what is asked of the answer, while the plan is still as it was
//! written: of a SELECT's WHERE the conditions on the ranked table alone choose, everything else comes after.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::NEAREST;
use super::ranked::Ranked;
use crate::sql::rare_rules::{Need, RareRule};

/// Puts a [`Ranked`] round each join by `st_knn`, and what chooses among the ranked rows below it.
#[derive(Debug)]
struct RankFirst;

impl AnalyzerRule for RankFirst {
    fn name(&self) -> &'static str {
        "rank_first"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => Ok(match side_of_ranked(&join) {
                Some(side) => Transformed::yes(ranked(join, side)),
                None => Transformed::no(LogicalPlan::Join(join)),
            }),
            LogicalPlan::Filter(filter) if begins_a_where(&filter.input) => {
                placed_all(filter).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
    }
}

/// The rule, where a plan needs it.
pub(crate) fn rank_first() -> RareRule {
    RareRule {
        rule: Arc::new(RankFirst),
        needed_for: Need::Expression(|expr| nearest_call(expr).is_some()),
    }
}

/// The two points of a call of `st_knn`.
fn nearest_call(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == NEAREST => {
            match args.as_slice() {
                [to, ranked, ..] => Some((to, ranked)),
                _ => None,
            }
        }
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The side of a join whose rows are ranked; none where it is no join by `st_knn`, or a part of a correlated query, whose
/// conditions are still to be taken out of it.
fn side_of_ranked(join: &Join) -> Option<Side> {
    let condition = join.filter.as_ref()?;
    let side = split_conjunction(condition)
        .into_iter()
        .find_map(|part| ranked_of_call(part, join))?;
    let has_outer_columns = [&join.left, &join.right]
        .into_iter()
        .any(|input| !input.all_out_ref_exprs().is_empty());
    (!has_outer_columns).then_some(side)
}

fn ranked_of_call(call: &Expr, join: &Join) -> Option<Side> {
    let (to, ranked) = nearest_call(call)?;
    let (left, right) = (join.left.schema(), join.right.schema());
    if is_of(to, left) && is_of(ranked, right) {
        Some(Side::Right)
    } else if is_of(to, right) && is_of(ranked, left) {
        Some(Side::Left)
    } else {
        None
    }
}

fn ranked(join: Join, side: Side) -> LogicalPlan {
    let input = match side {
        Side::Left => &join.left,
        Side::Right => &join.right,
    };
    let of_ranked: BTreeSet<String> = input
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    Ranked {
        join: LogicalPlan::Join(join),
        of_ranked,
    }
    .into_plan()
}

/// Whether an expression names columns, all of them of this schema.
fn is_of(expr: &Expr, schema: &DFSchema) -> bool {
    let mut columns: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
    let of_subqueries = expr.apply(|node| {
        let subquery = match node {
            Expr::InSubquery(within) => Some(&within.subquery),
            Expr::Exists(exists) => Some(&exists.subquery),
            Expr::ScalarSubquery(subquery) => Some(subquery),
            _ => None,
        };
        for outer in subquery
            .into_iter()
            .flat_map(|subquery| &subquery.outer_ref_columns)
        {
            if let Expr::OuterReferenceColumn(_, column) = outer {
                columns.push(column.clone());
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    of_subqueries.is_ok() && !columns.is_empty() && columns.iter().all(|column| schema.has_column(column))
}

/// Whether a filter over this plan is the WHERE of tables that are joined: nothing but joins and filters lies between.
fn begins_a_where(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(_) => true,
        LogicalPlan::Filter(filter) => begins_a_where(&filter.input),
        other => Ranked::of(other).is_some(),
    }
}

/// The filter with its conditions where they belong.
fn placed_all(filter: Filter) -> Result<LogicalPlan> {
    let (calls, others): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter.predicate)
        .into_iter()
        .partition(|part| nearest_call(part).is_some());
    let mut plan = filter.input.as_ref().clone();
    let mut left = Vec::new();
    for call in calls {
        match with_condition(&plan, &call)? {
            Some(joined) => plan = joined,
            None => left.push(call),
        }
    }
    for condition in others {
        let stays = condition.is_volatile() || condition.contains_outer();
        match if stays { None } else { placed(&plan, &condition)? } {
            Some(placed) => plan = placed,
            None => left.push(condition),
        }
    }
    Ok(match conjunction(left) {
        Some(left) => LogicalPlan::Filter(Filter::try_new(left, Arc::new(plan))?),
        None => plan,
    })
}

/// The plan with a call of `st_knn` in the condition of the inner join that brings its two sides together.
fn with_condition(plan: &LogicalPlan, call: &Expr) -> Result<Option<LogicalPlan>> {
    if let Some(ranked) = Ranked::of(plan) {
        let join = with_condition(&ranked.join, call)?;
        let of_ranked = ranked.of_ranked.clone();
        return Ok(join.map(|join| Ranked { join, of_ranked }.into_plan()));
    }
    match plan {
        LogicalPlan::Filter(filter) => Ok(with_condition(&filter.input, call)?
            .map(|input| Filter::try_new(filter.predicate.clone(), Arc::new(input)))
            .transpose()?
            .map(LogicalPlan::Filter)),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            for side in [Side::Left, Side::Right] {
                if is_of(call, input_of(join, side).schema()) {
                    let input = with_condition(input_of(join, side), call)?;
                    return Ok(input.map(|input| LogicalPlan::Join(with_input(join, side, input))));
                }
            }
            let mut join = join.clone();
            join.filter = conjunction(join.filter.into_iter().chain([call.clone()]));
            Ok(side_of_ranked(&join).map(|side| ranked(join, side)))
        }
        _ => Ok(None),
    }
}

/// The plan with a condition of WHERE on the input of a join by `st_knn` that it is about alone; none where there is no
/// such input, or where a row that does not meet the condition would still be answered.
fn placed(plan: &LogicalPlan, condition: &Expr) -> Result<Option<LogicalPlan>> {
    if let Some(ranked) = Ranked::of(plan) {
        let join = placed_in_ranked(&ranked.join, condition)?;
        let of_ranked = ranked.of_ranked.clone();
        return Ok(join.map(|join| Ranked { join, of_ranked }.into_plan()));
    }
    match plan {
        LogicalPlan::Filter(filter) => Ok(placed(&filter.input, condition)?
            .map(|input| Filter::try_new(filter.predicate.clone(), Arc::new(input)))
            .transpose()?
            .map(LogicalPlan::Filter)),
        LogicalPlan::Join(join) => {
            let side = [Side::Left, Side::Right]
                .into_iter()
                .find(|side| is_of(condition, input_of(join, *side).schema()) && keeps_apart(join, *side));
            let Some(side) = side else { return Ok(None) };
            let input = placed(input_of(join, side), condition)?;
            Ok(input.map(|input| LogicalPlan::Join(with_input(join, side, input))))
        }
        _ => Ok(None),
    }
}

fn placed_in_ranked(plan: &LogicalPlan, condition: &Expr) -> Result<Option<LogicalPlan>> {
    let join = match plan {
        LogicalPlan::Filter(filter) => {
            return Ok(placed_in_ranked(&filter.input, condition)?
                .map(|input| Filter::try_new(filter.predicate.clone(), Arc::new(input)))
                .transpose()?
                .map(LogicalPlan::Filter));
        }
        LogicalPlan::Join(join) => join,
        _ => return Ok(None),
    };
    let sides = [Side::Left, Side::Right];
    let side = sides
        .into_iter()
        .find(|side| is_of(condition, input_of(join, *side).schema()));
    let Some(side) = side else { return Ok(None) };
    let filtered = |input: &LogicalPlan| -> Result<LogicalPlan> {
        let filter = Filter::try_new(condition.clone(), Arc::new(input.clone()))?;
        Ok(LogicalPlan::Filter(filter))
    };
    if keeps_apart(join, side) {
        let input = input_of(join, side);
        let input = match placed(input, condition)? {
            Some(placed) => placed,
            None => filtered(input)?,
        };
        return Ok(Some(LogicalPlan::Join(with_input(join, side, input))));
    }
    // Of an outer join DataFusion knows whether rows without a partner are kept; it may take this as far as it may.
    Ok(if Some(side) == side_of_ranked(join) {
        Some(filtered(plan)?)
    } else {
        None
    })
}

/// Whether a condition on a side alone may be asked before the join: a row that does not meet it is not answered.
fn keeps_apart(join: &Join, side: Side) -> bool {
    match side {
        Side::Left => matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
        ),
        Side::Right => matches!(
            join.join_type,
            JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
        ),
    }
}

fn input_of(join: &Join, side: Side) -> &LogicalPlan {
    match side {
        Side::Left => &join.left,
        Side::Right => &join.right,
    }
}

fn with_input(join: &Join, side: Side, input: LogicalPlan) -> Join {
    let mut join = join.clone();
    match side {
        Side::Left => join.left = Arc::new(input),
        Side::Right => join.right = Arc::new(input),
    }
    join
}
