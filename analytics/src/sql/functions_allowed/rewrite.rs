//! Puts guarded functions in the place of what comes past the list: functions that the planner brings itself (`[1] ||
//! [2]` becomes `DataFusion`'s own `array_concat`), and operators that are functions in truth (`||`, `~`, `LIKE`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, ScalarUDF, lit};

use super::like::{LikePattern, SHORT};
use super::text_concat::TextConcat;
use super::{guarded, scalars, types};
use crate::sql::error::SqlError;

/// The rewrite; it must be the first.
#[derive(Debug)]
pub(crate) struct UseGuarded {
    functions: HashMap<String, Arc<ScalarUDF>>,
    /// The names of those that keep their own bounds.
    ours: HashSet<String>,
    text_concat: Arc<ScalarUDF>,
}

impl UseGuarded {
    /// `functions` are those of the list, `ours` those beside it that keep their own bounds.
    pub(crate) fn new(functions: &[Arc<ScalarUDF>], ours: &[Arc<ScalarUDF>]) -> Self {
        let ours = ours.iter().map(|function| function.name().to_owned()).collect();
        let functions = functions
            .iter()
            .filter(|function| guarded::is_guarded(function))
            .map(|function| (function.name().to_owned(), Arc::clone(function)))
            .collect();
        Self {
            functions,
            ours,
            text_concat: Arc::new(ScalarUDF::new_from_impl(TextConcat::default())),
        }
    }

    fn allows(&self, name: &str) -> bool {
        scalars::entry(name).is_some() || self.ours.contains(name)
    }

    fn function(&self, function: ScalarFunction) -> Result<Transformed<Expr>> {
        let ScalarFunction { func, args } = function;
        if guarded::is_guarded(&func) {
            return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction {
                func,
                args,
            })));
        }
        if let Some(guarded) = self.functions.get(func.name()) {
            let func = Arc::clone(guarded);
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction {
                func,
                args,
            })));
        }
        let is_operator = func.inner().is::<TextConcat>() || func.inner().is::<LikePattern>();
        if is_operator || self.allows(func.name()) {
            return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction {
                func,
                args,
            })));
        }
        Err(SqlError::BadRequest(format!("there is no function {}", func.name())).into())
    }

    /// `text ~ pattern` as the function that it is.
    fn matches(&self, text: Expr, pattern: Expr, how: &Matching) -> Result<Expr, SqlError> {
        let mut args = vec![text, pattern];
        args.extend(how.case_insensitive.then(|| lit("i")));
        let function = self
            .functions
            .get("regexp_like")
            .ok_or_else(|| SqlError::internal("regexp_like is not registered"))?;
        let matches = function.call(args);
        Ok(if how.negated {
            Expr::Not(Box::new(matches))
        } else {
            matches
        })
    }
}

/// How a pattern is compared.
struct Matching {
    negated: bool,
    case_insensitive: bool,
}

/// How the operator compares with a pattern, if it does.
fn matching(operator: Operator) -> Option<Matching> {
    let (negated, case_insensitive) = match operator {
        Operator::RegexMatch => (false, false),
        Operator::RegexIMatch => (false, true),
        Operator::RegexNotMatch => (true, false),
        Operator::RegexNotIMatch => (true, true),
        _ => return None,
    };
    Some(Matching {
        negated,
        case_insensitive,
    })
}

impl FunctionRewrite for UseGuarded {
    fn name(&self) -> &'static str {
        "use_guarded_functions"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::ScalarFunction(function) => self.function(function)?,
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::StringConcat,
                right,
            }) if !is_list(&left, schema) && !is_list(&right, schema) => {
                Transformed::yes(self.text_concat.call(vec![*left, *right]))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match matching(op) {
                Some(how) => Transformed::yes(self.matches(*left, *right, &how)?),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            },
            Expr::SimilarTo(like) if like.escape_char.is_none() => {
                let how = Matching {
                    negated: like.negated,
                    case_insensitive: like.case_insensitive,
                };
                Transformed::yes(self.matches(*like.expr, *like.pattern, &how)?)
            }
            Expr::Like(like) if needs_bounds(&like) => {
                let function = Arc::new(ScalarUDF::new_from_impl(LikePattern::new(
                    like.negated,
                    like.case_insensitive,
                )));
                Transformed::yes(function.call(vec![*like.expr, *like.pattern]))
            }
            Expr::Cast(cast) => {
                types::check(cast.field.data_type())?;
                Transformed::no(Expr::Cast(cast))
            }
            Expr::TryCast(cast) => {
                types::check(cast.field.data_type())?;
                Transformed::no(Expr::TryCast(cast))
            }
            other => Transformed::no(other),
        })
    }
}

/// Structs as they are written, `struct(a, b)`, with their guard from the beginning: structs of structs double what
/// their types hold, and types are looked at while a plan is made.
#[derive(Debug)]
pub(crate) struct GuardedStructs {
    plain: Arc<ScalarUDF>,
    named: Arc<ScalarUDF>,
}

impl GuardedStructs {
    /// `functions` are those that the session has; `None` if structs are not among them.
    pub(crate) fn new(functions: &[Arc<ScalarUDF>]) -> Option<Self> {
        let find = |name: &str| functions.iter().find(|function| function.name() == name).cloned();
        Some(Self {
            plain: find("struct")?,
            named: find("named_struct")?,
        })
    }
}

impl ExprPlanner for GuardedStructs {
    fn plan_struct_literal(
        &self,
        args: Vec<Expr>,
        is_named_struct: bool,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let function = if is_named_struct { &self.named } else { &self.plain };
        Ok(PlannerResult::Planned(function.call(args)))
    }
}

/// Whether a pattern is more than a short constant. An escape of one's own is `DataFusion`'s to refuse.
fn needs_bounds(like: &Like) -> bool {
    let is_short = match like.pattern.as_ref() {
        Expr::Literal(value, _) => {
            value.is_null()
                || value
                    .try_as_str()
                    .flatten()
                    .is_some_and(|text| text.len() <= SHORT)
        }
        _ => false,
    };
    !is_short && like.escape_char.is_none_or(|escape| escape == '\\')
}

fn is_list(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema)
        .is_ok_and(|(_, field)| field.data_type().is_nested() || field.data_type().is_binary())
}
