//! `LIKE` and `ILIKE` with a pattern that is no short constant, within bounds: `DataFusion` would compile one pattern a
//! row, of any length, in one go.

use datafusion::arrow::array::{Array, BooleanArray, StringArray};
use datafusion::arrow::compute::kernels::comparison::{ilike, like};
use datafusion::arrow::compute::{concat, not};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::as_string_array;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::work::cut;
use crate::sql::bounds::QueryGuard;
use crate::sql::error::SqlError;

/// Letters of a constant pattern that is left to `DataFusion`.
pub(super) const SHORT: usize = 64;
/// Letters of any pattern.
const LETTERS: usize = 64 << 10;
/// What compiling a letter of a pattern is worth in letters looked at.
const COMPILING: u64 = 64;

/// `text LIKE pattern`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LikePattern {
    negated: bool,
    case_insensitive: bool,
    signature: Signature,
}

impl LikePattern {
    pub(super) fn new(negated: bool, case_insensitive: bool) -> Self {
        Self {
            negated,
            case_insensitive,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for LikePattern {
    fn name(&self) -> &'static str {
        match (self.negated, self.case_insensitive) {
            (false, false) => "LIKE",
            (false, true) => "ILIKE",
            (true, false) => "NOT LIKE",
            (true, true) => "NOT ILIKE",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        for kind in arguments {
            let values = match kind {
                DataType::Dictionary(_, values) => values,
                kind => kind,
            };
            if !values.is_string() && !values.is_null() {
                return Err(SqlError::BadRequest(format!(
                    "there is no pattern for {kind}; {} compares texts",
                    self.name()
                ))
                .into());
            }
        }
        Ok(vec![DataType::Utf8; arguments.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let guard = QueryGuard::of(&args.config_options).cloned();
        let [texts, patterns] = take_function_args(self.name(), args.args)?;
        let is_constant = matches!(patterns, ColumnarValue::Scalar(_));
        let patterns = patterns.into_array(if is_constant { 1 } else { rows })?;
        let texts = texts.into_array(rows)?;
        let (texts, patterns) = (as_string_array(&texts)?, as_string_array(&patterns)?);
        let pattern_of = |row: usize| if is_constant { 0 } else { row };
        let longest = patterns.iter().flatten().map(str::len).max().unwrap_or(0);
        if longest > LETTERS {
            return Err(SqlError::BadRequest(format!(
                "{}: a pattern has {longest} letters, allowed are {LETTERS}",
                self.name()
            ))
            .into());
        }
        let steps = |row: usize| {
            let pattern = length(patterns, pattern_of(row));
            let compiling = if is_constant { 0 } else { pattern * COMPILING };
            pattern.max(1).saturating_mul(length(texts, row).max(1)) + compiling
        };
        let ends = cut(rows, steps, |steps| {
            SqlError::ResourcesExhausted(format!(
                "{} could take {steps} steps for one row; use a shorter pattern or text",
                self.name()
            ))
        })?;
        let mut answers: Vec<BooleanArray> = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            if let Some(guard) = &guard {
                guard.check()?;
            }
            let piece = texts.slice(start, end - start);
            answers.push(self.compared(&piece, patterns, is_constant, start)?);
            start = end;
        }
        let answers: Vec<&dyn Array> = answers.iter().map(|answer| answer as &dyn Array).collect();
        Ok(ColumnarValue::Array(concat(&answers)?))
    }
}

impl LikePattern {
    fn compared(
        &self,
        texts: &StringArray,
        patterns: &StringArray,
        is_constant: bool,
        start: usize,
    ) -> Result<BooleanArray> {
        let compare = if self.case_insensitive { ilike } else { like };
        let answer = if is_constant {
            compare(texts, &datafusion::arrow::array::Scalar::new(patterns.clone()))?
        } else {
            compare(texts, &patterns.slice(start, texts.len()))?
        };
        Ok(if self.negated { not(&answer)? } else { answer })
    }
}

fn length(texts: &StringArray, row: usize) -> u64 {
    if texts.is_null(row) {
        return 0;
    }
    u64::try_from(texts.value_length(row)).unwrap_or(0)
}
