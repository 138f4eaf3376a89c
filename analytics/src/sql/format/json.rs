//! `{"columns":[…],"rows":[[…]],"truncated":false}`

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::type_name::type_name;
use super::value_column::{ValueColumn, write_text};
use super::{Encoder, Pieces};
use crate::sql::error::SqlError;

#[derive(Default)]
pub(super) struct Json {
    any_row: bool,
}

impl Encoder for Json {
    fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) -> Result<(), SqlError> {
        out.extend_from_slice(b"{\"columns\":[");
        for (index, field) in schema.fields().iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"name\":" } else { b",{\"name\":" });
            write_text(field.name(), out);
            out.extend_from_slice(b",\"type\":");
            write_text(&type_name(field), out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"rows\":[");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, pieces: &mut Pieces) -> Result<(), SqlError> {
        let columns = ValueColumn::of_batch(batch)?;
        for row in 0..batch.num_rows() {
            let out = &mut pieces.current;
            if self.any_row {
                out.push(b',');
            }
            self.any_row = true;
            out.push(b'[');
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                column.write_json(row, out);
            }
            out.push(b']');
            pieces.row_ends();
        }
        Ok(())
    }

    fn end(&mut self, truncated: bool, out: &mut Vec<u8>) -> Result<(), SqlError> {
        out.extend_from_slice(if truncated {
            b"],\"truncated\":true}"
        } else {
            b"],\"truncated\":false}"
        });
        Ok(())
    }
}
