//! Scalar functions that can make much out of little, refused before they do.
//!
//! Values that a scalar function builds are outside the memory pool: `repeat('x', 1000000000)` in a query without a cap
//! takes gigabytes of the process. Each of these functions is wrapped in one that first adds up what the call would
//! build, and fails with [`SqlError::ResourcesExhausted`] above a cap for a value or for a batch.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature,
};

use super::SqlError;
use super::text_concat::TextConcat;
use super::value_bounds::{self, Bound};

/// The most bytes that one value may have when a function makes it.
const VALUE_BYTES: u128 = 8 << 20;
/// The most bytes that one call may make for a batch.
const BATCH_BYTES: u128 = 64 << 20;

/// Wraps those of `functions` that [`value_bounds::bound_of`] knows; the others stay as they are.
pub(crate) fn bounded(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .map(|inner| match value_bounds::bound_of(inner.name()) {
            Some(bound) => Arc::new(ScalarUDF::new_from_impl(Bounded { inner, bound })),
            None => inner,
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bound: Bound,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    // `simplify` is not passed on: it may return the inner function without its cap.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), self.bound, &args.args, args.number_rows)?;
        self.inner.invoke_with_args(args)
    }
}

/// # Errors
/// [`SqlError::ResourcesExhausted`] if the call would make more than a value or a batch may have.
pub(crate) fn check(name: &str, bound: Bound, arguments: &[ColumnarValue], rows: usize) -> Result<()> {
    let size = value_bounds::size_of_result(bound, arguments, rows)?;
    let (made, allowed, what) = if size.largest > VALUE_BYTES {
        (size.largest, VALUE_BYTES, "one value")
    } else if size.total > BATCH_BYTES {
        (size.total, BATCH_BYTES, "one batch of rows")
    } else {
        return Ok(());
    };
    let unit = if bound == Bound::Product { "steps" } else { "bytes" };
    Err(SqlError::ResourcesExhausted(format!(
        "{name} would take {made} {unit} for {what}, allowed are {allowed}; use smaller arguments or fewer rows"
    ))
    .into())
}

/// Puts the capped function in the place of one that the SQL planner took from elsewhere (`[1] || [2]` becomes
/// `DataFusion`'s own `array_concat`), and a capped one in the place of the operator `||` on texts.
#[derive(Debug)]
pub(crate) struct UseBounded {
    functions: HashMap<String, Arc<ScalarUDF>>,
    text_concat: Arc<ScalarUDF>,
}

impl UseBounded {
    pub(crate) fn new(functions: &[Arc<ScalarUDF>]) -> Self {
        let functions = functions
            .iter()
            .filter(|function| function.inner().downcast_ref::<Bounded>().is_some())
            .map(|function| (function.name().to_owned(), Arc::clone(function)))
            .collect();
        Self {
            functions,
            text_concat: Arc::new(ScalarUDF::new_from_impl(TextConcat::default())),
        }
    }
}

impl FunctionRewrite for UseBounded {
    fn name(&self) -> &'static str {
        "use_bounded_functions"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::ScalarFunction(ScalarFunction { func, args })
                if func.inner().downcast_ref::<Bounded>().is_none() =>
            {
                match self.functions.get(func.name()) {
                    Some(capped) => Transformed::yes(Expr::ScalarFunction(ScalarFunction {
                        func: Arc::clone(capped),
                        args,
                    })),
                    None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
                }
            }
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::StringConcat,
                right,
            }) if !is_list(&left, schema) && !is_list(&right, schema) => {
                Transformed::yes(self.text_concat.call(vec![*left, *right]))
            }
            other => Transformed::no(other),
        })
    }
}

fn is_list(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema)
        .is_ok_and(|(_, field)| field.data_type().is_nested() || field.data_type().is_binary())
}
