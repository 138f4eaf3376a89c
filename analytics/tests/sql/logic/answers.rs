//! Answers as rows that can be compared: in any order, numbers to nine digits.

use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use futures::StreamExt as _;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{SqlEngine, SqlError, SqlRequest};
use serde_json::Value;

use crate::tables::no_functions;

/// The rows of an answer as texts, sorted.
#[derive(Debug)]
pub(super) struct Answer {
    rows: Vec<String>,
}

impl Answer {
    pub(super) fn of(rows: &Value) -> Self {
        let rows = rows.as_array().expect("rows");
        let mut rows: Vec<String> = rows
            .iter()
            .map(|row| {
                let fields: Vec<String> = row.as_array().expect("a row").iter().map(plain).collect();
                fields.join(", ")
            })
            .collect();
        rows.sort();
        Self { rows }
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.rows == other.rows
    }

    /// The first rows.
    pub(super) fn told(&self) -> String {
        let first: Vec<&str> = self.rows.iter().take(12).map(String::as_str).collect();
        format!("{} rows: [{}]", self.rows.len(), first.join("] ["))
    }
}

/// A value without what the two sides write differently.
fn plain(value: &Value) -> String {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        // Integers past 2^53 are texts; other texts are quoted here.
        Value::String(text) if text.len() > 15 => text.parse().ok(),
        _ => None,
    };
    match (number, value) {
        (Some(0.0), _) => "0".to_owned(),
        (Some(number), _) => format!("{number:.8e}"),
        (None, Value::String(text)) => format!("'{}'", text.replace(' ', "")),
        (None, other) => other.to_string(),
    }
}

pub(super) async fn ours(
    engine: &SqlEngine,
    request: SqlRequest,
    tables: Arc<dyn SchemaProvider>,
) -> Result<Answer, SqlError> {
    let answer = engine.query(request, tables, no_functions()).await?;
    let mut body = encode(answer, AnswerFormat::Json).await?.body;
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
    }
    let answer: Value = serde_json::from_slice(&whole).expect("JSON");
    Ok(Answer::of(&answer["rows"]))
}
