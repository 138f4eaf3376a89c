//! Writes an answer as bytes, piece by piece, while the query runs.
//!
//! | format | shape |
//! |---|---|
//! | JSON | `{"columns":[{"name","type"}],"rows":[[…]],"truncated":false}` |
//! | NDJSON | one object a row; columns of one name are refused |
//! | CSV | a header line; NULL is empty, an empty text is `""`; lists and structs as JSON |
//! | Arrow | an IPC stream |
//!
//! In CSV of one column NULL is `""` too: readers skip empty lines. In JSON, NDJSON and CSV alike: integers past 2^53 and decimals of more than 15 digits are texts in JSON, so that
//! no reader rounds them; cells are H3 texts and geometries well-known texts, inside lists too; times are RFC 3339
//! with `Z`, local times the same without it; NaN and infinity are null.

mod arrow_stream;
mod csv;
mod distinct_names;
mod json;
mod ndjson;
mod type_name;
mod value_column;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};

use crate::sql::engine::SqlAnswer;
use crate::sql::error::SqlError;

/// About how many bytes a piece has; a row is never cut, so one of large values makes a larger piece.
const PIECE_BYTES: usize = 64 << 10;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerFormat {
    /// One JSON object.
    Json,
    /// One JSON object a line.
    NdJson,
    /// Comma-separated values, RFC 4180.
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

impl AnswerFormat {
    /// All formats, the default first.
    pub const ALL: [Self; 4] = [Self::Json, Self::NdJson, Self::Csv, Self::Arrow];

    /// The media type, for `Accept` and `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    fn encoder(self) -> Box<dyn Encoder> {
        match self {
            Self::Json => Box::new(json::Json::default()),
            Self::NdJson => Box::new(ndjson::NdJson::default()),
            Self::Csv => Box::new(csv::Csv),
            Self::Arrow => Box::new(arrow_stream::ArrowStream::default()),
        }
    }
}

/// An answer as bytes.
pub struct EncodedAnswer {
    /// The id to cancel the query by.
    pub query_id: String,
    /// How it is written.
    pub format: AnswerFormat,
    /// The most rows that it can have.
    pub limit: Option<usize>,
    /// The pieces. After an error nothing follows, and what came before is not whole.
    pub body: BoxStream<'static, Result<Bytes, SqlError>>,
}

impl fmt::Debug for EncodedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedAnswer")
            .field("query_id", &self.query_id)
            .finish_non_exhaustive()
    }
}

/// Writes the answer. Waits for its first rows, so that a query that fails before them (out of time, out of memory) is
/// an error here, while a status can still be sent.
///
/// # Errors
/// That of the query before its first rows, or [`SqlError::BadRequest`] where the format would lose columns of one name.
pub async fn encode(answer: SqlAnswer, format: AnswerFormat) -> Result<EncodedAnswer, SqlError> {
    distinct_names::check(&answer.schema, format)?;
    let (query_id, limit) = (answer.query_id.clone(), answer.limit);
    let bytes = answer.bytes.clone();
    let counted = pieces(answer, format).map(move |piece| {
        let piece = piece?;
        bytes.add(piece.len())?;
        Ok(piece)
    });
    let mut pieces = Box::pin(until_failed(counted).fuse());
    let first = pieces.next().await.transpose()?;
    let body = stream::iter(first.map(Ok)).chain(pieces).boxed();
    Ok(EncodedAnswer {
        query_id,
        format,
        limit,
        body,
    })
}

/// The pieces up to the first error, and this.
fn until_failed(
    pieces: impl Stream<Item = Result<Bytes, SqlError>> + Send,
) -> impl Stream<Item = Result<Bytes, SqlError>> + Send {
    pieces.scan(false, |has_failed, piece| {
        let goes_on = !std::mem::replace(has_failed, piece.is_err());
        std::future::ready(goes_on.then_some(piece))
    })
}

/// One way to write rows.
trait Encoder: Send {
    fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) -> Result<(), SqlError>;

    /// Adds the pieces of one batch; `begin` has been called.
    fn batch(&mut self, batch: &RecordBatch, pieces: &mut Pieces) -> Result<(), SqlError>;

    fn end(&mut self, truncated: bool, out: &mut Vec<u8>) -> Result<(), SqlError>;
}

/// Bytes on their way out, cut into pieces between rows.
#[derive(Default)]
struct Pieces {
    current: Vec<u8>,
    ready: VecDeque<Bytes>,
}

impl Pieces {
    /// To be called after each row.
    fn row_ends(&mut self) {
        if self.current.len() >= PIECE_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if !self.current.is_empty() {
            self.ready
                .push_back(Bytes::from(std::mem::take(&mut self.current)));
        }
    }
}

fn pieces(answer: SqlAnswer, format: AnswerFormat) -> impl Stream<Item = Result<Bytes, SqlError>> + Send {
    let writing = Writing {
        answer,
        encoder: format.encoder(),
        pieces: Pieces::default(),
        begun: false,
        ended: false,
    };
    stream::unfold(writing, |mut writing| async move {
        match writing.next_piece().await {
            Ok(Some(piece)) => Some((Ok(piece), writing)),
            Ok(None) => None,
            Err(error) => {
                writing.ended = true;
                writing.pieces = Pieces::default();
                let error = error.of_query(&writing.answer.query_id);
                Some((Err(error), writing))
            }
        }
    })
}

struct Writing {
    answer: SqlAnswer,
    encoder: Box<dyn Encoder>,
    pieces: Pieces,
    begun: bool,
    ended: bool,
}

impl Writing {
    async fn next_piece(&mut self) -> Result<Option<Bytes>, SqlError> {
        loop {
            if let Some(piece) = self.pieces.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(None);
            }
            let batch = self.answer.stream.next().await.transpose()?;
            if !self.begun {
                self.begun = true;
                self.encoder
                    .begin(&self.answer.schema, &mut self.pieces.current)?;
            }
            if let Some(batch) = batch {
                self.encoder.batch(&batch, &mut self.pieces)?;
            } else {
                self.ended = true;
                let truncated = self.answer.truncated.load(Ordering::Relaxed);
                self.encoder.end(truncated, &mut self.pieces.current)?;
            }
            // Rows go out as they come: a slow query's first batch does not wait for its second.
            self.pieces.cut();
        }
    }
}
