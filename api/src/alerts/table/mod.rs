//! The SQL table `alerts`, read from the decisions database when a query runs that scans it. The scans of one query that
//! ask for the same rows share one reading; what is read counts as memory of the query.

mod filters;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;
use riskgrid_analytics::sql::{cell_field, commented};
use tokio::sync::OnceCell;

use crate::alerts::store::{AlertLine, Conditions, Decisions, DecisionsError};

/// The provider, for one query.
pub(crate) struct AlertsTable {
    decisions: Decisions,
    schema: SchemaRef,
    readings: Readings,
}

/// What is asked for: conditions, and how many rows at most.
type Asked = (Conditions, Option<usize>);
/// What was read for the query so far, or is being read.
type Readings = Arc<Mutex<HashMap<Asked, Arc<OnceCell<Reading>>>>>;

/// The rows, and the memory that they take of the query.
struct Reading {
    batches: Vec<RecordBatch>,
    _memory: MemoryReservation,
}

/// One scan.
struct AlertsScan {
    decisions: Decisions,
    schema: SchemaRef,
    asked: Asked,
    readings: Readings,
}

impl AlertsTable {
    /// Over these decisions.
    pub(crate) fn new(decisions: Decisions) -> Self {
        let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        let schema = Arc::new(Schema::new(vec![
            commented(text("id", false), "the episode's id"),
            commented(text("rule", false), "name of the rule"),
            commented(text("state", false), "firing, acknowledged or resolved"),
            commented(text("severity", false), "minor, moderate, major or critical"),
            commented(text("layer", false), "layer of the rule"),
            commented(text("sensor", true), "the sensor, for rules per sensor"),
            commented(
                cell_field("cell", true),
                "the cell, or the one that the sensor stands in",
            ),
            commented(
                Field::new("value", DataType::Float64, false),
                "the value that decided last",
            ),
            commented(Field::new("at", time(), false), "event time of the last change"),
            commented(Field::new("fired_at", time(), false), "event time of the firing"),
            commented(
                Field::new("resolved_at", time(), true),
                "event time of the resolution",
            ),
            commented(
                Field::new("acknowledged_at", time(), true),
                "when it was acknowledged",
            ),
        ]));
        Self {
            decisions,
            schema,
            readings: Readings::default(),
        }
    }
}

impl AlertsScan {
    /// The rows; read once for all scans that ask for the same.
    async fn read(self, context: Arc<TaskContext>) -> Result<Vec<RecordBatch>, DataFusionError> {
        let reading = {
            let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(readings.entry(self.asked.clone()).or_default())
        };
        let reading = reading.get_or_try_init(|| self.read_all(&context)).await?;
        Ok(reading.batches.clone())
    }

    async fn read_all(&self, context: &TaskContext) -> Result<Reading, DataFusionError> {
        let memory = MemoryConsumer::new("alerts").register(context.memory_pool());
        let (conditions, limit) = &self.asked;
        let mut left = limit.unwrap_or(usize::MAX);
        let (mut batches, mut after) = (Vec::new(), None);
        loop {
            let failed = |error: DecisionsError| DataFusionError::External(Box::new(error));
            let page = self.decisions.alert_lines(conditions, after.as_ref(), left).await;
            let (lines, next) = page.map_err(failed)?;
            left -= lines.len().min(left);
            let batch = batch_of(&self.schema, &lines)?;
            memory.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
            after = next;
            if after.is_none() || left == 0 {
                return Ok(Reading {
                    batches,
                    _memory: memory,
                });
            }
        }
    }
}

fn batch_of(schema: &SchemaRef, lines: &[AlertLine]) -> Result<RecordBatch, DataFusionError> {
    let text = |of: fn(&AlertLine) -> &str| StringArray::from_iter_values(lines.iter().map(of));
    let times = |of: fn(&AlertLine) -> Option<i64>| {
        lines
            .iter()
            .map(of)
            .collect::<TimestampMicrosecondArray>()
            .with_timezone("UTC")
    };
    let cells = lines.iter().map(|line| line.cell.map(i64::cast_unsigned));
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            Arc::new(text(|line| &line.id)),
            Arc::new(text(|line| &line.rule)),
            Arc::new(text(|line| &line.state)),
            Arc::new(text(|line| &line.severity)),
            Arc::new(text(|line| &line.layer)),
            Arc::new(
                lines
                    .iter()
                    .map(|line| line.sensor.as_deref())
                    .collect::<StringArray>(),
            ),
            Arc::new(cells.collect::<UInt64Array>()),
            Arc::new(lines.iter().map(|line| line.value).collect::<Float64Array>()),
            Arc::new(times(|line| Some(line.at))),
            Arc::new(times(|line| Some(line.fired_at))),
            Arc::new(times(|line| line.resolved_at)),
            Arc::new(times(|line| line.acknowledged_at)),
        ],
    )?)
}

impl std::fmt::Debug for AlertsTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AlertsTable")
    }
}

impl std::fmt::Debug for AlertsScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AlertsScan {:?}", self.asked)
    }
}

#[async_trait]
impl TableProvider for AlertsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let kinds = filters.iter().map(|filter| {
            if filters::is_known(filter) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        });
        Ok(kinds.collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let scan = Arc::new(AlertsScan {
            decisions: self.decisions.clone(),
            schema: self.schema(),
            asked: (filters::conditions(filters), limit),
            readings: Arc::clone(&self.readings),
        });
        let plan = StreamingTableExec::try_new(self.schema(), vec![scan], projection, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

impl PartitionStream for AlertsScan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let scan = Self {
            decisions: self.decisions.clone(),
            schema: Arc::clone(&self.schema),
            asked: self.asked.clone(),
            readings: Arc::clone(&self.readings),
        };
        let batches = futures::stream::once(scan.read(context))
            .map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

#[cfg(test)]
mod tests;
