//! `+`, `-` and `*` of integers and decimals, and the minus sign, that fail where the result does not fit.
//!
//! `DataFusion` 55 computes integers modulo 2^64 (its reports 3520, 16406 and 21318): `9223372036854775807 + 1` is negative, and so is a
//! difference of two counts as a number near 2^64. It has checked kernels and no setting that asks for them. Decimals fail where
//! they outgrow their bits, but not where they have more digits than their type says.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

use super::node_has_expression;
use crate::sql::error::SqlError;
use crate::sql::rare_rules::{Need, RareRule};

/// The rule. It must come after types have been coerced.
#[derive(Debug)]
struct CheckArithmetic;

impl AnalyzerRule for CheckArithmetic {
    fn name(&self) -> &'static str {
        "check_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if !node_has_expression(&node, computes)? {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            // The name of an aggregate with FILTER shows its condition.
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let checked = expr.transform_up(|part| checked(part, &schema))?;
                Ok(checked.update_data(|expr| name.restore(expr)))
            })
        })
        .map(|done| done.data)
    }
}

/// The rule, where a plan needs it.
pub(super) fn check_arithmetic() -> RareRule {
    RareRule {
        rule: Arc::new(CheckArithmetic),
        needed_for: Need::Expression(computes),
    }
}

fn computes(expr: &Expr) -> bool {
    operation(expr).is_some()
}

/// What may not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

fn operation(expr: &Expr) -> Option<Operation> {
    Some(match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => match op {
            Operator::Plus => Operation::Add,
            Operator::Minus => Operation::Subtract,
            Operator::Multiply => Operation::Multiply,
            _ => return None,
        },
        Expr::Negative(_) => Operation::Negate,
        _ => return None,
    })
}

fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some(operation) = operation(&expr) else {
        return Ok(Transformed::no(expr));
    };
    let counts = |side: &Expr| -> Result<bool> {
        let kind = side.get_type(schema)?;
        Ok(kind.is_integer() || kind.is_decimal())
    };
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) if counts(&left)? && counts(&right)? => {
            Transformed::yes(operation.function().call(vec![*left, *right]))
        }
        Expr::Negative(inner) if counts(&inner)? => Transformed::yes(operation.function().call(vec![*inner])),
        other => Transformed::no(other),
    })
}

static FUNCTIONS: LazyLock<[ScalarUDF; 4]> = LazyLock::new(|| {
    [
        Operation::Add,
        Operation::Subtract,
        Operation::Multiply,
        Operation::Negate,
    ]
    .map(|operation| {
        let arguments = if operation == Operation::Negate { 1 } else { 2 };
        ScalarUDF::new_from_impl(Checked {
            operation,
            signature: Signature::any(arguments, Volatility::Immutable),
        })
    })
});

impl Operation {
    fn function(self) -> &'static ScalarUDF {
        let [add, subtract, multiply, negate] = &*FUNCTIONS;
        match self {
            Self::Add => add,
            Self::Subtract => subtract,
            Self::Multiply => multiply,
            Self::Negate => negate,
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract | Self::Negate => Operator::Minus,
            Self::Multiply => Operator::Multiply,
        }
    }
}

/// An operator as a function. In names of columns it is still the operator.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let operator = self.operation.operator();
        if let [inner] = args {
            return Ok(format!("(- {})", inner.schema_name()));
        }
        let [left, right] = take_function_args(self.name(), args)?;
        Ok(format!(
            "{} {operator} {}",
            left.schema_name(),
            right.schema_name()
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if let [inner] = arguments {
            return Ok(inner.clone());
        }
        let [left, right] = take_function_args(self.name(), arguments)?;
        BinaryTypeCoercer::new(left, &self.operation.operator(), right).get_result_type()
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = args.return_field.data_type().clone();
        let done = if let [inner] = args.args.as_slice() {
            negated(inner)
        } else {
            let [left, right] = take_function_args(self.name(), args.args)?;
            let compute: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> = match self.operation {
                Operation::Add => numeric::add,
                Operation::Multiply => numeric::mul,
                Operation::Subtract | Operation::Negate => numeric::sub,
            };
            apply(&left, &right, compute)
        };
        let value = done.map_err(|error| does_not_fit(self.operation.operator(), &kind, error))?;
        check_digits(&value)?;
        Ok(value)
    }
}

fn negated(value: &ColumnarValue) -> Result<ColumnarValue> {
    Ok(match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(numeric::neg(array)?),
        ColumnarValue::Scalar(scalar) => {
            let array = numeric::neg(&scalar.to_array()?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        }
    })
}

/// The error of a kernel in words that help.
fn does_not_fit(operator: Operator, kind: &DataType, error: DataFusionError) -> DataFusionError {
    match error.find_root() {
        DataFusionError::ArrowError(cause, _) => match cause.as_ref() {
            ArrowError::ArithmeticOverflow(text) => {
                let sum = text.strip_prefix("Overflow happened on: ").unwrap_or(text);
                SqlError::BadRequest(format!(
                    "{sum} does not fit {kind}; CAST both sides to DOUBLE or DECIMAL(38, 0), or to BIGINT where {operator} \
                     goes below 0, before it"
                ))
                .into()
            }
            _ => error,
        },
        _ => error,
    }
}

/// Whether all values have as many digits as their type says at most.
fn check_digits(value: &ColumnarValue) -> Result<()> {
    let array = match value {
        ColumnarValue::Array(array) => ArrayRef::clone(array),
        ColumnarValue::Scalar(scalar) if scalar.data_type().is_decimal() => scalar.to_array()?,
        ColumnarValue::Scalar(_) => return Ok(()),
    };
    let checked = match array.data_type() {
        DataType::Decimal32(digits, _) => array
            .as_primitive::<Decimal32Type>()
            .validate_decimal_precision(*digits),
        DataType::Decimal64(digits, _) => array
            .as_primitive::<Decimal64Type>()
            .validate_decimal_precision(*digits),
        DataType::Decimal128(digits, _) => array
            .as_primitive::<Decimal128Type>()
            .validate_decimal_precision(*digits),
        DataType::Decimal256(digits, _) => array
            .as_primitive::<Decimal256Type>()
            .validate_decimal_precision(*digits),
        _ => Ok(()),
    };
    checked.map_err(|error| {
        SqlError::BadRequest(format!(
            "a result has more digits than {} holds ({error}); CAST to DOUBLE first",
            array.data_type()
        ))
        .into()
    })
}
