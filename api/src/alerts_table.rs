//! The SQL table `alerts`, read from the decisions database when a query scans it.

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use riskgrid_analytics::sql::{cell_field, commented};
use tokio::sync::OnceCell;

use crate::decisions::{Alert, AlertQuery, Decisions};

/// Alerts of one page of the database.
const PAGE: u32 = 500;
/// Most alerts that a query sees, newest first.
const ALERTS: usize = 100_000;

/// The provider.
pub(crate) struct AlertsTable {
    decisions: Decisions,
    schema: SchemaRef,
    /// Read once a query, however often it names the table.
    alerts: OnceCell<Arc<MemTable>>,
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
            alerts: OnceCell::new(),
        }
    }

    async fn batch(&self) -> Result<RecordBatch, DataFusionError> {
        let mut alerts: Vec<Alert> = Vec::new();
        let mut query = AlertQuery {
            limit: PAGE,
            ..AlertQuery::default()
        };
        loop {
            let page = self
                .decisions
                .alerts(&query)
                .await
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            alerts.extend(page.alerts);
            match page.next {
                Some(next) if alerts.len() < ALERTS => query.after = Some(next),
                _ => break,
            }
        }
        let text = |of: fn(&Alert) -> &str| StringArray::from_iter_values(alerts.iter().map(of));
        let times = |of: fn(&Alert) -> Option<i64>| {
            alerts
                .iter()
                .map(of)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC")
        };
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![
                Arc::new(text(|alert| &alert.id)),
                Arc::new(text(|alert| &alert.rule)),
                Arc::new(text(|alert| alert.state.name())),
                Arc::new(text(|alert| &alert.severity)),
                Arc::new(text(|alert| &alert.layer)),
                Arc::new(
                    alerts
                        .iter()
                        .map(|alert| alert.sensor.as_deref())
                        .collect::<StringArray>(),
                ),
                Arc::new(alerts.iter().map(|alert| alert.cell).collect::<UInt64Array>()),
                Arc::new(alerts.iter().map(|alert| alert.value).collect::<Float64Array>()),
                Arc::new(times(|alert| Some(alert.at))),
                Arc::new(times(|alert| Some(alert.fired_at))),
                Arc::new(times(|alert| alert.resolved_at)),
                Arc::new(times(|alert| alert.acknowledged_at)),
            ],
        )?)
    }
}

impl std::fmt::Debug for AlertsTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AlertsTable")
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

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let alerts = self
            .alerts
            .get_or_try_init(|| async {
                let batch = self.batch().await?;
                MemTable::try_new(self.schema(), vec![vec![batch]]).map(Arc::new)
            })
            .await?;
        alerts.scan(state, projection, filters, limit).await
    }
}
