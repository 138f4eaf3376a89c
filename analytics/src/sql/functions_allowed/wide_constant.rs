//! Constants that are wide: spread over the rows of a batch, 8 MB of text are 64 GB.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::sql::error::SqlError;

/// A constant of more bytes is counted: 8 192 rows of fewer are 64 MiB.
const WIDE: usize = 8 << 10;
/// Bytes that a constant may take once it is spread over a batch.
const BATCH_BYTES: usize = 64 << 20;

pub(super) fn is_wide(part: &Expr) -> bool {
    matches!(part, Expr::Literal(value, _) if value.size() > WIDE)
}

/// A wide constant as a call that knows its rows.
pub(super) fn counted(part: Expr) -> Transformed<Expr> {
    match part {
        Expr::Literal(value, _) if value.size() > WIDE => {
            let kind = value.data_type();
            let function = ScalarUDF::new_from_impl(WideConstant {
                value,
                kind,
                // Else it would be folded into the constant again.
                signature: Signature::exact(Vec::new(), Volatility::Volatile),
            });
            Transformed::yes(Expr::ScalarFunction(ScalarFunction {
                func: Arc::new(function),
                args: Vec::new(),
            }))
        }
        part => Transformed::no(part),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct WideConstant {
    value: ScalarValue,
    kind: DataType,
    signature: Signature,
}

impl Hash for WideConstant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl ScalarUDFImpl for WideConstant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.kind.clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(
            self.name(),
            self.kind.clone(),
            self.value.is_null(),
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = self.value.size().saturating_mul(args.number_rows);
        // One row has it once, however wide it is.
        if args.number_rows > 1 && bytes > BATCH_BYTES {
            return Err(SqlError::ResourcesExhausted(format!(
                "a constant of {} bytes would be spread over {} rows, allowed are {BATCH_BYTES} bytes a batch; \
                 use a shorter one or fewer rows",
                self.value.size(),
                args.number_rows
            ))
            .into());
        }
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
