//! The physical operator of a spatial join.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, JoinType, Result, internal_err, project_schema};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter, build_join_schema};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{EmbeddedProjection, ProjectionExec, try_embed_projection};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;

use super::index::Index;
use super::predicate::SpatialPredicate;
use super::probe::{Probe, ProbeMetrics, Shape};

/// Joins the rows of its left input, kept in an R-tree, to those of its right input.
#[derive(Debug)]
pub(super) struct SpatialJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    join_type: JoinType,
    predicate: SpatialPredicate,
    /// The rest of the condition.
    rest: Option<JoinFilter>,
    projection: Option<Vec<usize>>,
    /// Where each column of the answer is from.
    columns: Vec<ColumnIndex>,
    /// Built by the partition that comes first, for all.
    index: Arc<OnceCell<Arc<Index>>>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl SpatialJoinExec {
    pub(super) fn try_new(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        join_type: JoinType,
        predicate: SpatialPredicate,
        rest: Option<JoinFilter>,
        projection: Option<Vec<usize>>,
    ) -> Result<Self> {
        let (schema, columns) = whole_answer(&left, &right, join_type);
        let (schema, columns) = match &projection {
            Some(kept) => {
                let columns = kept.iter().filter_map(|index| columns.get(*index).cloned());
                (project_schema(&schema, Some(kept))?, columns.collect())
            }
            None => (schema, columns),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(right.output_partitioning().partition_count()),
            EmissionType::Both,
            Boundedness::Bounded,
        );
        Ok(Self {
            left,
            right,
            join_type,
            predicate,
            rest,
            projection,
            columns,
            index: Arc::default(),
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        })
    }
}

/// The columns of the answer before its projection.
fn whole_answer(
    left: &Arc<dyn ExecutionPlan>,
    right: &Arc<dyn ExecutionPlan>,
    join_type: JoinType,
) -> (SchemaRef, Vec<ColumnIndex>) {
    let (schema, columns): (Schema, _) = build_join_schema(&left.schema(), &right.schema(), &join_type);
    (Arc::new(schema), columns)
}

impl EmbeddedProjection for SpatialJoinExec {
    fn with_projection(&self, projection: Option<Vec<usize>>) -> Result<Self> {
        let projection = match (projection, &self.projection) {
            (Some(kept), Some(before)) => Some(
                kept.iter()
                    .filter_map(|index| before.get(*index).copied())
                    .collect(),
            ),
            (kept, before) => kept.or_else(|| before.clone()),
        };
        Self::try_new(
            Arc::clone(&self.left),
            Arc::clone(&self.right),
            self.join_type,
            self.predicate.clone(),
            self.rest.clone(),
            projection,
        )
    }
}

impl DisplayAs for SpatialJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SpatialJoinExec: index=rtree, join_type={:?}, predicate={}",
            self.join_type, self.predicate
        )?;
        if let Some(rest) = &self.rest {
            write!(f, ", filter={rest}")?;
        }
        if self.projection.is_some() {
            let schema = self.schema();
            let names: Vec<&str> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            write!(f, ", projection=[{}]", names.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SpatialJoinExec {
    fn name(&self) -> &'static str {
        "SpatialJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![
            Distribution::SinglePartition,
            Distribution::UnspecifiedDistribution,
        ])
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let rest = self.rest.iter().map(JoinFilter::expression);
        for expression in [&self.predicate.indexed, &self.predicate.probe]
            .into_iter()
            .chain(rest)
        {
            if visit(expression)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([left, right]) = <[_; 2]>::try_from(children) else {
            return internal_err!("a spatial join has two inputs");
        };
        let join = Self::try_new(
            left,
            right,
            self.join_type,
            self.predicate.clone(),
            self.rest.clone(),
            self.projection.clone(),
        )?;
        Ok(Arc::new(join))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.projection.is_some() {
            return Ok(None);
        }
        try_embed_projection(projection, self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.left.output_partitioning().partition_count() != 1 {
            return internal_err!("the indexed side of a spatial join has several partitions");
        }
        let schema = self.schema();
        let shape = Shape {
            schema: Arc::clone(&schema),
            columns: self.columns.clone(),
            join_type: self.join_type,
            probe: Arc::clone(&self.predicate.probe),
            test: self.predicate.test,
            rest: self.rest.clone(),
            batch_rows: context.session_config().batch_size(),
        };
        let rows = self.right.execute(partition, Arc::clone(&context))?;
        let metrics = ProbeMetrics::new(&self.metrics, partition);

        let cell = Arc::clone(&self.index);
        let (left, geometry, test) = (
            Arc::clone(&self.left),
            Arc::clone(&self.predicate.indexed),
            self.predicate.test,
        );
        let asks_for_joined = shape.asks_for_joined();
        let lookers = self.right.output_partitioning().partition_count();
        let probe = async move {
            let build = || async {
                let memory = MemoryConsumer::new("SpatialJoinExec").register(context.memory_pool());
                let rows = left.execute(0, Arc::clone(&context))?;
                Index::build(rows, &geometry, test, asks_for_joined, lookers, memory)
                    .await
                    .map(Arc::new)
            };
            let index = Arc::clone(cell.get_or_try_init(build).await?);
            Ok::<_, DataFusionError>(Probe::new(index, rows, shape, metrics).into_stream())
        };
        let batches = stream::once(probe).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.boxed())))
    }
}
