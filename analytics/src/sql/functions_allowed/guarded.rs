//! A scalar function within its bounds.
//!
//! Before each call the answer is added up and the work is measured; long work is done in pieces that look at the
//! query's flag between; a large answer is counted against the query's memory. A function that panics over values that
//! its author did not think of is an error of the query.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
};

use super::scalars::{Answer, Entry};
use super::work::{self, Work};
use super::{patterns, types};
use crate::sql::bounds::QueryGuard;
use crate::sql::bounds::value_bounds::{self, Growth};
use crate::sql::delegated::scalar_named_as_inner;
use crate::sql::error::SqlError;

/// The most bytes that one value may have when a function makes it.
const VALUE_BYTES: u128 = 8 << 20;
/// The most bytes that one call may make for a batch.
const BATCH_BYTES: u128 = 64 << 20;

/// The function within the bounds of its entry; itself if a batch of rows is bound enough.
pub(super) fn guarded(inner: Arc<ScalarUDF>, entry: Entry) -> Arc<ScalarUDF> {
    if entry.work == Work::Linear && !matches!(entry.answer, Answer::Grows(_)) {
        return inner;
    }
    Arc::new(ScalarUDF::new_from_impl(Guarded { inner, entry }))
}

pub(crate) fn is_guarded(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Guarded>().is_some()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    inner: Arc<ScalarUDF>,
    entry: Entry,
}

impl ScalarUDFImpl for Guarded {
    scalar_named_as_inner!(own return_field);

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Self {
            inner: Arc::new(inner),
            entry: self.entry,
        }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.entry.work == Work::TypeText {
            let text = args.scalar_arguments.get(1).copied().flatten();
            types::check_text(self.name(), text.and_then(|text| text.try_as_str().flatten()))?;
        }
        for field in args.arg_fields {
            types::check(field.data_type())?;
        }
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if self.entry.work == Work::TypeText {
            // A cast to a type that was checked when the call was planned.
            return self.inner.simplify(args, context);
        }
        // Not passed on for others: it may give the inner function without its guard.
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = self.entry.name;
        if let Answer::Grows(growth) = self.entry.answer {
            check(name, growth, &args.args, args.number_rows)?;
        }
        let guard = QueryGuard::of(&args.config_options).cloned();
        if let Some(guard) = &guard {
            guard.check()?;
        }
        let all_constant = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if all_constant { 1 } else { args.number_rows };
        let ends = match self.entry.work {
            Work::Linear | Work::TypeText => vec![rows],
            Work::Pattern => patterns::pieces(name, &args.args, rows, guard.as_ref())?,
            work => work::pieces(name, work, &args.args, rows)?,
        };
        let answer = in_pieces(args, &ends, guard.as_ref(), |piece| self.call(piece))?;
        if let (Some(guard), ColumnarValue::Array(array)) = (&guard, &answer) {
            guard.made(array)?;
        }
        Ok(answer)
    }
}

impl Guarded {
    fn call(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = self.entry.name;
        catch_unwind(AssertUnwindSafe(|| self.inner.invoke_with_args(args))).unwrap_or_else(|_| {
            tracing::warn!(
                function = name,
                "a function panicked; its query ends with an error"
            );
            Err(SqlError::BadRequest(format!("{name} has no answer for these values")).into())
        })
    }
}

/// The answer of `call` for each piece of the rows, with a look at the flag before each.
pub(crate) fn in_pieces(
    args: ScalarFunctionArgs,
    ends: &[usize],
    guard: Option<&QueryGuard>,
    call: impl Fn(ScalarFunctionArgs) -> Result<ColumnarValue>,
) -> Result<ColumnarValue> {
    if let Some(guard) = guard {
        guard.check()?;
    }
    if ends.len() <= 1 {
        return call(args);
    }
    let mut answers: Vec<ArrayRef> = Vec::with_capacity(ends.len());
    let mut start = 0;
    for end in ends {
        if let Some(guard) = guard {
            guard.check()?;
        }
        let rows = end - start;
        let piece = ScalarFunctionArgs {
            args: args
                .args
                .iter()
                .map(|value| piece_of(value, start, rows))
                .collect(),
            arg_fields: args.arg_fields.clone(),
            number_rows: rows,
            return_field: Arc::clone(&args.return_field),
            config_options: Arc::clone(&args.config_options),
        };
        answers.push(call(piece)?.into_array(rows)?);
        start = *end;
    }
    let answers: Vec<_> = answers.iter().map(AsRef::as_ref).collect();
    Ok(ColumnarValue::Array(concat(&answers)?))
}

fn piece_of(value: &ColumnarValue, start: usize, rows: usize) -> ColumnarValue {
    match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::clone(value)),
    }
}

/// # Errors
/// [`SqlError::ResourcesExhausted`] if the call would make more than a value or a batch may have.
pub(crate) fn check(name: &str, growth: Growth, arguments: &[ColumnarValue], rows: usize) -> Result<()> {
    let size = value_bounds::size_of_result(growth, arguments, rows)?;
    let (made, allowed, what) = if size.largest > VALUE_BYTES {
        (size.largest, VALUE_BYTES, "one value")
    } else if size.total > BATCH_BYTES {
        (size.total, BATCH_BYTES, "one batch of rows")
    } else {
        return Ok(());
    };
    Err(SqlError::ResourcesExhausted(format!(
        "{name} would take {made} bytes for {what}, allowed are {allowed}; use smaller arguments or fewer rows"
    ))
    .into())
}
