//! Forms that `DataFusion` 55.2 answers wrongly: right here, or refused in words that help, and still wrong there.
//!
//! Each module is named after the reports. A test that fails with "the guard may go" tells that a newer `DataFusion` is
//! right by itself: then its guard in `analytics/src/sql/guards/` is dead weight.

mod distinct_from;
mod distinct_limit_25350;
mod in_lists_24258;
mod joined_names;
mod not_in_25347;
mod one_aggregate_24960;
mod ordered_lists;
mod overflow_3520;
mod set_operations_12955;
mod shifts_25471;
mod unordered_values;

use datafusion::arrow::util::display::array_value_to_string;
use datafusion::prelude::{SessionConfig, SessionContext};
use riskgrid_analytics::sql::{SqlEngine, SqlError};

use crate::tables::{csv, engine};

/// Rows as texts, sorted, without spaces.
fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.map(|row| row.replace([' ', '"'], "")).collect();
    rows.sort();
    rows
}

/// What `DataFusion` answers as it comes; none if it fails or panics.
async fn as_it_comes(sql: &str) -> Option<Vec<String>> {
    let sql = sql.to_owned();
    let run = tokio::spawn(async move {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        let batches = context.sql(&sql).await.ok()?.collect().await.ok()?;
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let fields: Vec<String> = batch
                    .columns()
                    .iter()
                    .map(|column| array_value_to_string(column, row).unwrap_or_default())
                    .collect();
                rows.push(fields.join(","));
            }
        }
        Some(sorted(rows.into_iter()))
    });
    run.await.unwrap_or_default()
}

async fn rows(engine: &SqlEngine, sql: &str) -> Result<Vec<String>, SqlError> {
    let text = csv(engine, sql).await?;
    Ok(sorted(text.lines().skip(1).map(str::to_owned)))
}

fn expected(rows: &[&str]) -> Vec<String> {
    sorted(rows.iter().map(|row| (*row).to_owned()))
}

/// Each query answers as expected.
async fn right(queries: &[(&str, &[&str])]) {
    let engine = engine();
    let mut wrong = Vec::new();
    for (sql, answer) in queries {
        let got = rows(&engine, sql).await;
        if got.as_ref() != Ok(&expected(answer)) {
            wrong.push(format!("{sql}\n  expected {answer:?}\n  got      {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The query answers as expected, and `DataFusion` as it comes does not.
async fn guarded(sql: &str, answer: &[&str]) {
    right(&[(sql, answer)]).await;
    assert_ne!(
        as_it_comes(sql).await,
        Some(expected(answer)),
        "DataFusion is right by itself, the guard may go: {sql}"
    );
}

/// Each query is refused with these words.
async fn refused(queries: &[(&str, &str)]) {
    let engine = engine();
    let mut wrong = Vec::new();
    for (sql, words) in queries {
        match rows(&engine, sql).await {
            Err(SqlError::BadRequest(text)) if text.contains(words) => {}
            other => wrong.push(format!("{sql}\n  expected {words}\n  got      {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
