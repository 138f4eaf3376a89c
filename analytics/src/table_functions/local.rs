//! What the statistics that score each cell by its neighbours share: their options, and the columns beside the score.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, StringArray, StringBuilder, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field};

use super::arguments::Arguments;
use super::statistic::{AnsweredCall, refused};
use crate::sql::{SqlError, cell_field, commented};
use crate::statistics::{FalseDiscovery, LocalOptions, Method, rounded};

/// Reads `method`, `permutations`, `seed` and `fdr`.
///
/// # Errors
/// [`SqlError::BadRequest`] that names the argument, its value and what is allowed.
pub(super) fn read_options(args: &Arguments<'_>) -> Result<LocalOptions, SqlError> {
    let default = LocalOptions::default();
    let refuse = |error| refused(args.function, error);
    Ok(LocalOptions {
        method: args
            .text("method")?
            .map_or(Ok(default.method), Method::from_argument)
            .map_err(refuse)?,
        permutations: args
            .whole("permutations", u64::from(u32::MAX))?
            .map_or(default.permutations, |runs| runs as u32),
        seed: args.whole("seed", u64::MAX)?.unwrap_or(default.seed),
        fdr: args
            .text("fdr")?
            .map_or(Ok(default.fdr), FalseDiscovery::from_argument)
            .map_err(refuse)?,
        ..default
    })
}

/// `options` for the study area of a call.
pub(super) fn options_for(options: &LocalOptions, call: &AnsweredCall<'_>) -> LocalOptions {
    LocalOptions {
        domain: call.question.domain.clone(),
        absent: call.question.absent,
        k: call.question.k,
        threads: call.threads,
        ..options.clone()
    }
}

/// A column with its comment.
pub(super) fn column(name: &str, data_type: DataType, nullable: bool, comment: &str) -> Field {
    commented(Field::new(name, data_type, nullable), comment)
}

/// The columns before the score.
pub(super) fn first_fields() -> Vec<Field> {
    vec![
        commented(cell_field("cell", false), "H3 cell of the study area"),
        column("value", DataType::Float64, false, "the metric, in its unit"),
    ]
}

/// The columns after the class.
pub(super) fn last_fields() -> Vec<Field> {
    vec![
        column(
            "neighbours",
            DataType::UInt32,
            false,
            "neighbours inside the study area",
        ),
        column(
            "n",
            DataType::UInt64,
            false,
            "cells of the study area; below 30 the answer is coarse",
        ),
        column(
            "method",
            DataType::Utf8,
            false,
            "where p comes from: analytic, exact or permutation",
        ),
        column(
            "runs_needed",
            DataType::UInt64,
            true,
            "permutations with which a cell at the least p could pass q of .05",
        ),
    ]
}

/// The values of [`first_fields`].
pub(super) fn first_columns(cells: Vec<u64>, values: &[i128], call: &AnsweredCall<'_>) -> Vec<ArrayRef> {
    let scale = call.question.scale;
    let in_unit = values.iter().map(|&units| scale.value(rounded(units)));
    vec![
        Arc::new(UInt64Array::from(cells)),
        Arc::new(Float64Array::from_iter_values(in_unit)),
    ]
}

/// The values of [`last_fields`].
pub(super) fn last_columns(
    neighbours: Vec<u32>,
    n: usize,
    method: Method,
    runs_needed: Vec<Option<u64>>,
) -> Vec<ArrayRef> {
    let rows = neighbours.len();
    vec![
        Arc::new(UInt32Array::from(neighbours)),
        Arc::new(UInt64Array::from(vec![n as u64; rows])),
        Arc::new(StringArray::new_repeated(method.as_str(), rows)),
        Arc::new(if runs_needed.is_empty() {
            UInt64Array::new_null(rows)
        } else {
            UInt64Array::from(runs_needed)
        }),
    ]
}

/// A column of scores, null where one is NaN.
pub(super) fn scores(scores: Vec<f64>) -> ArrayRef {
    let is_undefined = scores.iter().any(|score| score.is_nan());
    let defined = is_undefined.then(|| scores.iter().map(|score| !score.is_nan()).collect());
    Arc::new(Float64Array::new(scores.into(), defined))
}

/// A column of a word for each of these, which are often the same as the one before.
pub(super) fn words<T: Copy + PartialEq>(of_cells: &[T], word: impl Fn(T) -> &'static str) -> ArrayRef {
    let mut words = StringBuilder::with_capacity(of_cells.len(), of_cells.len() * 8);
    for same in of_cells.chunk_by(|a, b| a == b) {
        if let Some(first) = same.first() {
            words.append_value_n(word(*first), same.len());
        }
    }
    Arc::new(words.finish())
}

/// How often neighbours are permuted.
pub(super) fn permutations_of(options: &LocalOptions) -> u32 {
    match options.method {
        Method::Permutation => options.permutations,
        _ => 0,
    }
}
