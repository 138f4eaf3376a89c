//! Counts the memory of window functions that hold all their input, which `DataFusion` does not, and the answers that
//! they make anew for each row.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;

use super::value_bounds::bytes_at;
use super::watched_input::{LookAt, Watch, WatchedInput};

/// The input of `window`, counted.
pub(super) fn counted(input: Arc<dyn ExecutionPlan>, window: &dyn ExecutionPlan) -> Arc<dyn ExecutionPlan> {
    let answers = window.schema();
    let wide_answers = answers
        .fields()
        .iter()
        .skip(input.schema().fields().len())
        .filter(|field| !field.data_type().is_primitive())
        .count();
    let counted = CountedInput {
        wide_answers,
        held: Mutex::default(),
    };
    Arc::new(WatchedInput::new(input, Arc::new(counted)))
}

/// Counts batches against the query's memory until the plan is dropped.
///
/// Twice their size: the operator above joins them into one batch while it still has the parts. It also drops its
/// input before that, so the reservation cannot belong to the stream.
#[derive(Debug)]
struct CountedInput {
    /// Functions above whose answer for a row can be as wide as the widest row.
    wide_answers: usize,
    held: Mutex<Vec<Arc<MemoryReservation>>>,
}

impl Watch for CountedInput {
    fn name(&self) -> &'static str {
        "CountedInput"
    }

    fn begin(&self, context: &TaskContext) -> LookAt {
        let reservation = Arc::new(MemoryConsumer::new("window").register(context.memory_pool()));
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&reservation));
        let wide_answers = self.wide_answers;
        let (mut rows, mut widest, mut for_answers) = (0_usize, 0_usize, 0_usize);
        Box::new(move |batch| {
            reservation.try_grow(2 * bytes_of(batch))?;
            if wide_answers > 0 {
                rows = rows.saturating_add(batch.num_rows());
                let of_batch = batch.columns().iter().map(widest_value).max();
                widest = widest.max(of_batch.unwrap_or(0));
                let answers = rows.saturating_mul(widest).saturating_mul(wide_answers);
                reservation.try_grow(answers.saturating_sub(for_answers))?;
                for_answers = answers;
            }
            Ok(())
        })
    }
}

/// Bytes of the widest value of a column.
pub(super) fn widest_value(column: &ArrayRef) -> usize {
    if column.data_type().is_primitive() || *column.data_type() == DataType::Boolean {
        return 0;
    }
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        return widest_value(dictionary.values());
    }
    let widest = (0..column.len()).map(|row| bytes_at(column.as_ref(), row)).max();
    usize::try_from(widest.unwrap_or(0)).unwrap_or(usize::MAX)
}

/// Bytes of the rows of the batch, not of the buffers that it may be a slice of.
pub(crate) fn bytes_of(batch: &RecordBatch) -> usize {
    batch
        .columns()
        .iter()
        .map(|column| {
            column
                .to_data()
                .get_slice_memory_size()
                .unwrap_or_else(|_| column.get_array_memory_size())
        })
        .sum()
}
