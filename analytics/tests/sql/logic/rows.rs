//! The rows that both sides have: few, with NULLs and with equals.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};

use super::expressions::Type;
use super::queries::TABLES;

/// The rows of a table as literals of SQL.
const ROWS: [(&str, &[&[&str]]); 3] = [
    (
        "t",
        &[
            &["1", "1", "0.5", "'a'", "true"],
            &["1", "2", "-1.25", "'ab'", "false"],
            &["2", "NULL", "0.5", "NULL", "NULL"],
            &["NULL", "1", "NULL", "'a'", "true"],
            &["NULL", "NULL", "3.75", "''", "NULL"],
            &["3", "-1", "0", "'A'", "false"],
            &["1", "1", "0.5", "'a'", "true"],
            &["-2", "5", "2", "'b c'", "true"],
        ],
    ),
    (
        "u",
        &[
            &["1", "1", "'a'"],
            &["NULL", "2", "'ab'"],
            &["3", "NULL", "NULL"],
            &["5", "1", "'ä'"],
            &["1", "NULL", "'a'"],
        ],
    ),
    (
        "w",
        &[
            &["1", "NULL", "true"],
            &["2", "10", "false"],
            &["3", "NULL", "NULL"],
            &["4", "30", "true"],
            &["5", "NULL", "true"],
            &["6", "NULL", "false"],
            &["7", "70", "true"],
            &["8", "80", "NULL"],
            &["9", "NULL", "true"],
            &["1", "3", "false"],
        ],
    ),
];

/// The columns of which no value is NULL, so that rules for such columns are tried too.
fn may_be_null(table: &str, column: &str) -> bool {
    (table, column) != ("w", "k")
}

/// What DuckDB is told to make the tables.
pub(super) fn statements() -> Vec<String> {
    let mut statements = Vec::new();
    for (table, columns) in TABLES {
        let columns: Vec<String> = columns
            .iter()
            .map(|(name, kind)| {
                let kind = match kind {
                    Type::Integer => "BIGINT",
                    Type::Float => "DOUBLE",
                    Type::Text => "VARCHAR",
                    Type::Truth => "BOOLEAN",
                };
                format!("{name} {kind}")
            })
            .collect();
        statements.push(format!("CREATE TABLE {table} ({})", columns.join(", ")));
    }
    for (table, rows) in ROWS {
        for row in rows {
            statements.push(format!("INSERT INTO {table} VALUES ({})", row.join(", ")));
        }
    }
    statements
}

fn values<T>(rows: &[&[&str]], column: usize, value: impl Fn(&str) -> T) -> Vec<Option<T>> {
    rows.iter()
        .map(|row| Some(row[column]).filter(|text| *text != "NULL").map(&value))
        .collect()
}

/// The same as tables in memory, each in two batches.
pub(super) fn tables() -> Arc<dyn SchemaProvider> {
    let provider = MemorySchemaProvider::new();
    for ((table, columns), (_, rows)) in TABLES.iter().zip(ROWS) {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (index, (name, kind)) in columns.iter().enumerate() {
            let array: ArrayRef = match kind {
                Type::Integer => Arc::new(Int64Array::from(values(rows, index, |text| {
                    text.parse().expect("an integer")
                }))),
                Type::Float => Arc::new(Float64Array::from(values(rows, index, |text| {
                    text.parse().expect("a number")
                }))),
                Type::Text => Arc::new(StringArray::from(values(rows, index, |text| {
                    text.trim_matches('\'').to_owned()
                }))),
                Type::Truth => Arc::new(BooleanArray::from(values(rows, index, |text| text == "true"))),
            };
            fields.push(Field::new(
                *name,
                array.data_type().clone(),
                may_be_null(table, name),
            ));
            arrays.push(array);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns fit");
        let half = batch.num_rows() / 2;
        let batches = vec![batch.slice(0, half), batch.slice(half, batch.num_rows() - half)];
        let memory = MemTable::try_new(batch.schema(), vec![batches]).expect("a table");
        provider
            .register_table((*table).to_owned(), Arc::new(memory))
            .expect("a new name");
    }
    Arc::new(provider)
}
