//! Table functions with named arguments: `hotspots(layer => 'noise', k => 1)`.
//!
//! `DataFusion` hands a table function its arguments by position. This planner takes them by name, in any order, after
//! those given by position, puts NULL for the ones left out, and calls the scan by the function's name, so that
//! `hotspots.cell` works without an alias.

use std::sync::Arc;

use datafusion::catalog::TableFunctionImpl;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, TableReference};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableFactor, Value as AstValue,
};

use crate::sql::error::SqlError;

/// A table function and the names of its arguments, in the order in which it takes them.
#[derive(Debug, Clone)]
pub struct NamedTableFunction {
    /// Lower case, as in `hotspots`.
    pub name: &'static str,
    /// Lower case, all of them optional here: an argument left out reaches the function as a NULL literal. The function
    /// says which it needs.
    pub arguments: &'static [&'static str],
    /// Called with literals only, as many as there are `arguments`. It must implement `call_with_args`.
    pub function: Arc<dyn TableFunctionImpl>,
}

/// Plans calls of the functions it knows; leaves everything else to `DataFusion`.
#[derive(Debug)]
pub(crate) struct NamedArguments {
    functions: Arc<[NamedTableFunction]>,
}

/// Table functions that take their arguments by position only.
const POSITIONAL: [&str; 2] = ["generate_series", "range"];

impl NamedArguments {
    pub(crate) fn new(functions: Arc<[NamedTableFunction]>) -> Self {
        Self { functions }
    }

    fn known(&self) -> String {
        let names: Vec<&str> = self
            .functions
            .iter()
            .map(|function| function.name)
            .chain(POSITIONAL)
            .collect();
        names.join(", ")
    }
}

impl RelationPlanner for NamedArguments {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (name, args) = match &relation {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => (name, &args.args),
            TableFactor::Function { name, args, .. } => (name, args),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let name = function_name(name, context);
        let Some(function) = self.functions.iter().find(|function| function.name == name) else {
            if POSITIONAL.contains(&name.as_str()) {
                return Ok(RelationPlanning::Original(Box::new(relation)));
            }
            return Err(SqlError::BadRequest(format!(
                "there is no table function {name}; there are {}",
                self.known()
            ))
            .into());
        };
        let args = in_order(function, args, context)?
            .into_iter()
            .zip(function.arguments)
            .map(|(arg, name)| literal_argument(function.name, name, arg, context))
            .collect::<Result<Vec<_>>>()?;
        let source = context
            .context_provider()
            .get_table_function_source(function.name, args)?;
        let plan = LogicalPlanBuilder::scan(TableReference::bare(function.name), source, None)?.build()?;
        let alias = match relation {
            TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } => alias,
            _ => None,
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan, alias,
        ))))
    }
}

fn function_name(name: &ObjectName, context: &dyn RelationPlannerContext) -> String {
    let parts: Vec<String> = name
        .0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => context.normalize_ident(ident.clone()),
            None => part.to_string(),
        })
        .collect();
    parts.join(".")
}

/// One expression for each argument of the function, NULL where none is given.
fn in_order(
    function: &NamedTableFunction,
    args: &[FunctionArg],
    context: &dyn RelationPlannerContext,
) -> Result<Vec<AstExpr>, SqlError> {
    let allowed = function.arguments.join(", ");
    let wrong = |text: String| SqlError::BadRequest(format!("{}: {text}", function.name));
    let mut taken: Vec<Option<AstExpr>> = vec![None; function.arguments.len()];
    let mut named = false;
    for (position, arg) in args.iter().enumerate() {
        let (index, value) = match arg {
            FunctionArg::Unnamed(value) => {
                if named {
                    return Err(wrong(format!(
                        "argument {} comes after a named one and has no name",
                        position + 1
                    )));
                }
                (position, value)
            }
            FunctionArg::Named { name, arg, .. }
            | FunctionArg::ExprNamed {
                name: AstExpr::Identifier(name),
                arg,
                ..
            } => {
                named = true;
                (index_of(function, name, context).map_err(wrong)?, arg)
            }
            FunctionArg::ExprNamed { name, .. } => {
                return Err(wrong(format!(
                    "{name} is not the name of an argument; it has {allowed}"
                )));
            }
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(wrong("* is not an argument".to_owned()));
        };
        match taken.get_mut(index) {
            Some(place @ None) => *place = Some(value.clone()),
            Some(Some(_)) => {
                let name = function.arguments.get(index).copied().unwrap_or_default();
                return Err(wrong(format!("the argument {name} is given twice")));
            }
            None => {
                return Err(wrong(format!(
                    "{} arguments are given, it has {}: {allowed}",
                    args.len(),
                    function.arguments.len()
                )));
            }
        }
    }
    Ok(taken
        .into_iter()
        .map(|value| value.unwrap_or_else(|| AstExpr::value(AstValue::Null)))
        .collect())
}

fn index_of(
    function: &NamedTableFunction,
    name: &Ident,
    context: &dyn RelationPlannerContext,
) -> Result<usize, String> {
    let name = context.normalize_ident(name.clone());
    function
        .arguments
        .iter()
        .position(|argument| *argument == name)
        .ok_or_else(|| {
            format!(
                "there is no argument {name}; it has {}",
                function.arguments.join(", ")
            )
        })
}

/// The argument as an expression without columns and queries: a table function is called when the query is planned.
fn literal_argument(
    function: &str,
    name: &str,
    arg: AstExpr,
    context: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    if let AstExpr::Identifier(_) | AstExpr::CompoundIdentifier(_) = arg {
        return Err(SqlError::BadRequest(format!(
            "{function}: {name} => {arg} names a column; an argument is a constant, a text is written '{arg}'"
        ))
        .into());
    }
    let text = arg.to_string();
    let expr = context.sql_to_expr(arg, &DFSchema::empty())?;
    let depends = expr.exists(|part| {
        Ok(matches!(
            part,
            Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
        ))
    })?;
    if depends {
        return Err(SqlError::BadRequest(format!(
            "{function}: {name} => {text} depends on a row; an argument is a constant"
        ))
        .into());
    }
    Ok(expr)
}
