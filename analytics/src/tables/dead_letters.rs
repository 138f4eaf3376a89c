//! `dead_letters`: every refused record; its raw bytes are not here.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use riskgrid_ingest::dead_letter::{DeadLetter, DeadLetterStore};

use super::columns::{field, time_type, times};
use super::scan::RowBatches;
use super::snapshot_table::SnapshotTable;

/// Rows of one batch.
const BATCH: usize = 8192;

pub(super) fn table(store: DeadLetterStore) -> SnapshotTable {
    let schema = Arc::new(Schema::new(vec![
        field(
            "topic",
            DataType::Utf8,
            false,
            "where it was read from; http for the HTTP intake",
        ),
        field("partition", DataType::Int32, false, "partition of the topic"),
        field("offset", DataType::Int64, false, "offset in the partition"),
        field(
            "index",
            DataType::UInt32,
            false,
            "which event of the record, from 0",
        ),
        field("time", time_type(), false, "when the record was received"),
        field("reason", DataType::Utf8, false, "why, from the closed list"),
        field(
            "detail",
            DataType::Utf8,
            false,
            "what was seen and what is allowed",
        ),
        field("size", DataType::UInt64, false, "bytes of the record"),
        field(
            "hash",
            DataType::Utf8,
            false,
            "XXH3-128 of the record, hexadecimal",
        ),
        field(
            "replayed",
            time_type(),
            true,
            "when it was replayed and found valid; NULL while it is refused",
        ),
    ]));
    let of_batches = Arc::clone(&schema);
    let make = move |_: &_| -> Result<RowBatches, DataFusionError> {
        let schema = Arc::clone(&of_batches);
        let mut letters = store.iter();
        let batches = std::iter::from_fn(move || {
            let letters: Result<Vec<DeadLetter>, _> = letters.by_ref().take(BATCH).collect();
            match letters {
                Ok(letters) if letters.is_empty() => None,
                Ok(letters) => Some(batch(&schema, &letters)),
                Err(error) => Some(Err(DataFusionError::External(Box::new(error)))),
            }
        });
        Ok(Box::new(batches))
    };
    SnapshotTable::new("dead_letters", schema, BATCH, Box::new(make))
}

fn batch(schema: &SchemaRef, letters: &[DeadLetter]) -> Result<RecordBatch, DataFusionError> {
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            Arc::new(StringArray::from_iter_values(
                letters.iter().map(|letter| &letter.topic),
            )),
            Arc::new(Int32Array::from_iter_values(
                letters.iter().map(|letter| letter.partition),
            )),
            Arc::new(Int64Array::from_iter_values(
                letters.iter().map(|letter| letter.offset),
            )),
            Arc::new(UInt32Array::from_iter_values(
                letters.iter().map(|letter| letter.index),
            )),
            times(letters.iter().map(|letter| Some(letter.time))),
            Arc::new(StringArray::from_iter_values(
                letters.iter().map(|letter| letter.reason.as_str()),
            )),
            Arc::new(StringArray::from_iter_values(
                letters.iter().map(|letter| &letter.detail),
            )),
            Arc::new(UInt64Array::from_iter_values(
                letters.iter().map(|letter| letter.size),
            )),
            Arc::new(StringArray::from_iter_values(
                letters.iter().map(|letter| format!("{:032x}", letter.hash)),
            )),
            times(letters.iter().map(|letter| letter.replayed)),
        ],
    )?)
}
