//! Tables and short ways to ask for the tests.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};
use futures::StreamExt as _;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{
    Asker, NamedTableFunction, SqlAnswer, SqlEngine, SqlError, SqlLimits, SqlRequest, cell_field, commented,
};
use serde_json::Value;

/// The cell of 113.93 E, 22.53 N at resolution 9.
pub(crate) const CELL: &str = "89411ca1b67ffff";

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_500_000, 0).expect("a time")
}

pub(crate) fn limits() -> SqlLimits {
    SqlLimits {
        memory_bytes: 256 << 20,
        query_memory_bytes: 64 << 20,
        timeout: Duration::from_mins(1),
        ..SqlLimits::default()
    }
}

pub(crate) fn engine() -> SqlEngine {
    SqlEngine::new(limits()).expect("an engine")
}

pub(crate) fn request(sql: &str) -> SqlRequest {
    SqlRequest {
        sql: sql.to_owned(),
        params: vec![],
        timeout: None,
        limit: None,
        query_id: None,
        now: now(),
        asker: Asker::system(),
    }
}

fn id(text: &str) -> u64 {
    u64::from_str_radix(text, 16).expect("hex digits")
}

/// `cells`: three rows of two layers; `points`: a good, an invalid and a NULL row.
pub(crate) fn tables() -> Arc<dyn SchemaProvider> {
    let schema = MemorySchemaProvider::new();
    let utc = || Some("UTC".into());
    let layer = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let cells = RecordBatch::try_new(
        Arc::new(Schema::new(vec![
            commented(Field::new("layer", layer, false), "the layer's id"),
            commented(cell_field("cell", false), "the H3 cell"),
            Field::new("bucket", DataType::Timestamp(TimeUnit::Microsecond, utc()), false),
            Field::new("count", DataType::UInt64, false),
            Field::new("sum", DataType::Float64, true),
        ])),
        vec![
            Arc::new(DictionaryArray::<Int32Type>::from_iter([
                "noise", "noise", "water",
            ])) as ArrayRef,
            Arc::new(UInt64Array::from(vec![id(CELL), id("89411ca1b6fffff"), id(CELL)])),
            Arc::new(TimestampMicrosecondArray::from(vec![0, 60_000_000, 60_500_000]).with_timezone("UTC")),
            Arc::new(UInt64Array::from(vec![3, 4, 1 << 60])),
            Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN)])),
        ],
    );
    let points = RecordBatch::try_new(
        Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, false),
            Field::new("lon", DataType::Float64, true),
            Field::new("lat", DataType::Float64, true),
            cell_field("cell", true),
            Field::new("text", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ])),
        vec![
            Arc::new(StringArray::from(vec!["good", "bad", "null"])) as ArrayRef,
            Arc::new(Float64Array::from(vec![Some(113.93), Some(f64::NAN), None])),
            Arc::new(Float64Array::from(vec![Some(22.53), Some(91.0), None])),
            Arc::new(UInt64Array::from(vec![Some(id(CELL)), Some(7), None])),
            Arc::new(StringArray::from(vec![Some(CELL), Some("nothing"), None])),
            Arc::new(datafusion::arrow::array::Int64Array::from(vec![
                Some(8),
                Some(40),
                None,
            ])),
        ],
    );
    for (name, batch) in [("cells", cells), ("points", points)] {
        let batch = batch.expect("columns fit");
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
        schema
            .register_table(name.to_owned(), Arc::new(table))
            .expect("a new name");
    }
    Arc::new(schema)
}

pub(crate) fn no_functions() -> Arc<[NamedTableFunction]> {
    Arc::from([])
}

pub(crate) async fn start(engine: &SqlEngine, request: SqlRequest) -> Result<SqlAnswer, SqlError> {
    engine.query(request, tables(), no_functions()).await
}

/// The whole answer in a format, or the first error.
pub(crate) async fn ask(
    engine: &SqlEngine,
    request: SqlRequest,
    format: AnswerFormat,
) -> Result<Vec<u8>, SqlError> {
    let mut body = encode(start(engine, request).await?, format).await?.body;
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

pub(crate) async fn csv(engine: &SqlEngine, sql: &str) -> Result<String, SqlError> {
    let bytes = ask(engine, request(sql), AnswerFormat::Csv).await?;
    Ok(String::from_utf8(bytes).expect("UTF-8"))
}

pub(crate) async fn json(engine: &SqlEngine, request: SqlRequest) -> Value {
    let bytes = ask(engine, request, AnswerFormat::Json).await.expect("an answer");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Waits until the condition holds.
pub(crate) async fn within(deadline: Duration, what: &str, condition: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + deadline;
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "{what} within {deadline:?}");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
