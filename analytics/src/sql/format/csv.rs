//! Comma-separated values.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::value_column::{ValueColumn, write_csv_text};
use super::{Encoder, Pieces};
use crate::sql::error::SqlError;

pub(super) struct Csv;

impl Encoder for Csv {
    fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) -> Result<(), SqlError> {
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_csv_text(field.name(), out);
        }
        out.push(b'\n');
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, pieces: &mut Pieces) -> Result<(), SqlError> {
        let columns = ValueColumn::of_batch(batch)?;
        let is_alone = columns.len() == 1;
        for row in 0..batch.num_rows() {
            let out = &mut pieces.current;
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if is_alone && column.is_null(row) {
                    // Readers skip empty lines.
                    out.extend_from_slice(b"\"\"");
                } else {
                    column.write_csv(row, out);
                }
            }
            out.push(b'\n');
            pieces.row_ends();
        }
        Ok(())
    }

    fn end(&mut self, _: bool, _: &mut Vec<u8>) -> Result<(), SqlError> {
        Ok(())
    }
}
