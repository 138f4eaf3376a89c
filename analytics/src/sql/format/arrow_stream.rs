//! Arrow IPC stream.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;

use super::{Encoder, Pieces};
use crate::sql::error::SqlError;

#[derive(Default)]
pub(super) struct ArrowStream {
    writer: Option<StreamWriter<Vec<u8>>>,
}

impl Encoder for ArrowStream {
    fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        out.append(writer.get_mut());
        self.writer = Some(writer);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, pieces: &mut Pieces) -> Result<(), SqlError> {
        if let Some(writer) = &mut self.writer {
            writer.write(batch)?;
            pieces.current.append(writer.get_mut());
        }
        Ok(())
    }

    fn end(&mut self, _: bool, out: &mut Vec<u8>) -> Result<(), SqlError> {
        if let Some(writer) = &mut self.writer {
            writer.finish()?;
            out.append(writer.get_mut());
        }
        Ok(())
    }
}
