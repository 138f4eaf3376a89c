//! How much work a call is, row by row, and how its rows are cut so that no piece is long.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

use crate::sql::bounds::value_bounds::Argument;
use crate::sql::error::SqlError;

/// Steps of one row: a second or less, since nothing can stop it. A step is a letter or an item looked at.
const STEPS_OF_ROW: u64 = 1 << 26;
/// Steps between two looks at the query's flag.
const STEPS_OF_PIECE: u64 = 1 << 22;

/// Steps to compare two items, or to fill one place of a table of edits.
const STEPS_OF_PAIR: u64 = 8;
/// Two numbers.
const BYTES_OF_CORNER: u128 = 16;

/// How the work of a function grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// A step for each byte; batches have so few that it is not counted.
    Linear,
    /// The same, cut into pieces.
    LinearInPieces,
    /// The letters of the first argument times those of the second.
    Texts,
    /// The same where a pair is several steps.
    Edits,
    /// The items of the first argument times those of the second.
    Items,
    /// The corners of the first argument times those of the second, if it is a geometry too.
    Corners,
    /// The second argument is a regular expression for the first: [`super::patterns`] tells.
    Pattern,
    /// The second argument names a type: [`super::types`] tells.
    TypeText,
}

/// Where the pieces of a batch end; one piece if there is little to do.
///
/// # Errors
/// [`SqlError::ResourcesExhausted`] if one row alone is too much.
pub(crate) fn pieces(name: &str, work: Work, values: &[ColumnarValue], rows: usize) -> Result<Vec<usize>> {
    let factor = |index: usize| values.get(index).map_or(0, most_steps);
    let (first, second) = (factor(0), factor(1));
    let most = match work {
        Work::Texts | Work::Edits | Work::Items | Work::Corners => first
            .max(1)
            .saturating_mul(second.max(1))
            .saturating_mul(STEPS_OF_PAIR),
        _ => values.iter().map(most_steps).fold(0, u64::saturating_add),
    };
    if most <= STEPS_OF_PIECE {
        return Ok(vec![rows]);
    }
    let arguments = values.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
    let steps = |row: usize| -> u64 {
        let of = |index: usize, items: bool| {
            arguments.get(index).map_or(0, |argument| {
                if items {
                    argument.items(row)
                } else {
                    argument.bytes(row)
                }
            })
        };
        let steps = match work {
            Work::Texts => of(0, false).max(1).saturating_mul(of(1, false).max(1)),
            Work::Edits => {
                let pairs = of(0, false).max(1).saturating_mul(of(1, false).max(1));
                pairs.saturating_mul(u128::from(STEPS_OF_PAIR))
            }
            Work::Items => {
                let pairs = of(0, true).max(1).saturating_mul(of(1, true).max(1));
                pairs.saturating_mul(u128::from(STEPS_OF_PAIR))
            }
            Work::Corners => (of(0, false) / BYTES_OF_CORNER).max(1).saturating_mul(
                // Numbers, such as a distance, are no longer than this.
                (of(1, false) / BYTES_OF_CORNER).max(1),
            ),
            _ => (0..arguments.len()).map(|index| of(index, false)).sum(),
        };
        steps.try_into().unwrap_or(u64::MAX)
    };
    cut(rows, steps, |steps| {
        SqlError::ResourcesExhausted(format!(
            "{name} would take {steps} steps for one row, allowed are {STEPS_OF_ROW}; use shorter arguments"
        ))
    })
}

/// Cuts rows of so many steps each.
pub(super) fn cut(
    rows: usize,
    steps: impl Fn(usize) -> u64,
    refused: impl FnOnce(u64) -> SqlError,
) -> Result<Vec<usize>> {
    let mut ends = Vec::new();
    let mut sum: u64 = 0;
    for row in 0..rows {
        let steps = steps(row);
        if steps > STEPS_OF_ROW {
            return Err(refused(steps).into());
        }
        if sum > 0 && sum.saturating_add(steps) > STEPS_OF_PIECE {
            ends.push(row);
            sum = 0;
        }
        sum = sum.saturating_add(steps);
    }
    ends.push(rows);
    Ok(ends)
}

/// No fewer bytes than the whole argument has, without a look at its rows where its kind tells.
fn most_steps(value: &ColumnarValue) -> u64 {
    let bytes = match value {
        ColumnarValue::Scalar(value) => value.size(),
        ColumnarValue::Array(array) => match array.data_type() {
            DataType::Utf8 => array.as_string_opt::<i32>().map_or(0, |texts| {
                let offsets = texts.value_offsets();
                match (offsets.first(), offsets.last()) {
                    (Some(first), Some(last)) => (last - first) as usize,
                    _ => 0,
                }
            }),
            _ => array.get_array_memory_size(),
        },
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::StringArray;
    use datafusion::common::ScalarValue;

    use super::*;

    fn texts(lengths: &[usize]) -> ColumnarValue {
        let texts = lengths.iter().map(|length| "x".repeat(*length));
        ColumnarValue::Array(Arc::new(StringArray::from_iter_values(texts)))
    }

    fn constant(length: usize) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from("y".repeat(length)))
    }

    #[test]
    fn little_work_is_one_piece_and_much_is_cut_where_it_is_much() {
        let of = |lengths: &[usize], other| {
            let rows = lengths.len();
            pieces("f", Work::Texts, &[texts(lengths), constant(other)], rows).expect("few enough")
        };
        assert_eq!(of(&[10, 20, 30], 5), [3]);
        assert_eq!(of(&[4_000, 4_000, 10, 10, 4_000], 1_000), [1, 4, 5]);
    }

    #[test]
    fn a_row_that_nothing_could_stop_is_refused() {
        let values = [texts(&[8_000_000]), constant(4_000_000)];
        let error = SqlError::from(pieces("strpos", Work::Texts, &values, 1).expect_err("too much"));
        assert!(
            matches!(&error, SqlError::ResourcesExhausted(text) if text.contains("strpos")),
            "{error}"
        );
    }
}
