//! SQL asked of a snapshot in this process, without HTTP.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use futures::StreamExt as _;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::sql::{Asker, SqlEngine, SqlError, SqlRequest};
use riskgrid_analytics::table_functions::table_functions;
use riskgrid_analytics::tables::grid_tables;
use riskgrid_ingest::grid::GridSnapshot;

/// Plans and runs a query, and counts the rows of its answer.
pub async fn rows(engine: &SqlEngine, snapshot: &Arc<GridSnapshot>, sql: &str) -> Result<usize, SqlError> {
    let batches = batches(engine, snapshot, sql).await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

/// The same, of what a permission shows.
pub async fn rows_for(
    engine: &SqlEngine,
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
    sql: &str,
) -> Result<usize, SqlError> {
    let batches = batches_for(engine, snapshot, permission, sql).await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

/// Plans and runs a query.
pub async fn batches(
    engine: &SqlEngine,
    snapshot: &Arc<GridSnapshot>,
    sql: &str,
) -> Result<Vec<RecordBatch>, SqlError> {
    batches_for(engine, snapshot, &Arc::new(Permission::admin()), sql).await
}

async fn batches_for(
    engine: &SqlEngine,
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
    sql: &str,
) -> Result<Vec<RecordBatch>, SqlError> {
    let schema = MemorySchemaProvider::new();
    for (name, table) in grid_tables(snapshot, permission, None) {
        schema.register_table(name, table).ok();
    }
    let request = SqlRequest {
        sql: sql.to_owned(),
        params: Vec::new(),
        timeout: None,
        limit: None,
        query_id: None,
        now: chrono::Utc::now(),
        asker: Asker {
            permission: Arc::clone(permission),
            ..Asker::system()
        },
    };
    let mut stream = engine
        .query(request, Arc::new(schema), table_functions(snapshot, permission))
        .await?
        .stream;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}
