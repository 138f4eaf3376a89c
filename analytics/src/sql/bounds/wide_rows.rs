//! Keeps wide values from being multiplied.
//!
//! A join, UNNEST or a window gives a value of its input for many rows at once, and its memory is asked for after that,
//! if at all: one text of 100 MB beside 8 192 others is 800 GB. So a batch that goes into such an operator is looked at
//! first; values that a batch of answers could not hold end the query.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::unnest::UnnestExec;

use super::watched_input::{LookAt, Watch, WatchedInput};
use super::window_memory::widest_value;
use crate::sql::error::SqlError;

/// Bytes that one value may have: 2 GiB in a batch of 8 192 rows, where columns end.
const VALUE_BYTES: usize = 256 << 10;

/// The input, looked at if the operator above can give wide values of it again.
pub(super) fn narrow(input: Arc<dyn ExecutionPlan>, above: &dyn ExecutionPlan) -> Arc<dyn ExecutionPlan> {
    let taken_apart: Vec<usize> = above
        .downcast_ref::<UnnestExec>()
        .map(UnnestExec::list_column_indices)
        .unwrap_or_default()
        .iter()
        .map(|list| list.index_in_input_schema)
        .collect();
    // A geometry by which rows are joined is seldom given, and its column ends before the memory does.
    let is_spatial = above.name() == "SpatialJoinExec";
    let schema = input.schema();
    let looked_at: Vec<usize> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(index, field)| {
            let kind = field.data_type();
            !(kind.is_primitive() || taken_apart.contains(index) || is_spatial && *kind == DataType::Binary)
        })
        .map(|(index, _)| index)
        .collect();
    if looked_at.is_empty() {
        return input;
    }
    let narrow = NarrowInput {
        columns: looked_at.into(),
    };
    Arc::new(WatchedInput::new(input, Arc::new(narrow)))
}

/// Lets batches through whose values are narrow enough.
#[derive(Debug)]
struct NarrowInput {
    /// The columns that are looked at.
    columns: Arc<[usize]>,
}

impl Watch for NarrowInput {
    fn name(&self) -> &'static str {
        "NarrowInput"
    }

    fn begin(&self, _: &TaskContext) -> LookAt {
        let columns = Arc::clone(&self.columns);
        Box::new(move |batch| Ok(check(batch, &columns)?))
    }
}

/// # Errors
/// [`SqlError::ResourcesExhausted`] if a value is too wide to be given for many rows.
fn check(batch: &RecordBatch, columns: &[usize]) -> Result<(), SqlError> {
    let widest = columns
        .iter()
        .filter_map(|index| batch.columns().get(*index))
        .filter(|column| column.get_array_memory_size() > VALUE_BYTES)
        .map(widest_value)
        .max()
        .unwrap_or(0);
    if widest > VALUE_BYTES {
        return Err(SqlError::ResourcesExhausted(format!(
            "a value of {widest} bytes goes into a join, UNNEST or window, which may give it for many rows; allowed are \
             {VALUE_BYTES} bytes, so cut it or leave it out there"
        )));
    }
    Ok(())
}
