//! One JSON object a row.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::value_column::{ValueColumn, write_text};
use super::{Encoder, Pieces};
use crate::sql::error::SqlError;

#[derive(Default)]
pub(super) struct NdJson {
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
}

impl Encoder for NdJson {
    fn begin(&mut self, schema: &SchemaRef, _: &mut Vec<u8>) -> Result<(), SqlError> {
        self.keys = schema
            .fields()
            .iter()
            .map(|field| {
                let mut key = Vec::new();
                write_text(field.name(), &mut key);
                key.push(b':');
                key
            })
            .collect();
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, pieces: &mut Pieces) -> Result<(), SqlError> {
        let columns = ValueColumn::of_batch(batch)?;
        for row in 0..batch.num_rows() {
            let out = &mut pieces.current;
            out.push(b'{');
            for (index, (key, column)) in self.keys.iter().zip(&columns).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(key);
                column.write_json(row, out);
            }
            out.extend_from_slice(b"}\n");
            pieces.row_ends();
        }
        Ok(())
    }

    fn end(&mut self, _: bool, _: &mut Vec<u8>) -> Result<(), SqlError> {
        Ok(())
    }
}
