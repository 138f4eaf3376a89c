//! One query on its way from a statement to batches, on the threads of the engine.

use std::sync::{Arc, Weak};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::SchemaProvider;
use datafusion::common::DataFusionError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};

use super::estimate::Estimate;
use super::limits::RoleLimits;
use super::named_arguments::NamedTableFunction;
use super::request::SqlRequest;
use super::running::Ticket;
use super::session::{Session, set_options};
use super::statement;
use crate::permission::Role;
use crate::sql::bounds::{QueryGuard, Stop, expansion};
use crate::sql::error::SqlError;
use crate::sql::functions_allowed::check_plan;
use crate::sql::guards;
use crate::sql::query_phase::QueryPhase;

pub(super) struct Query {
    pub(super) request: SqlRequest,
    pub(super) limits: RoleLimits,
    pub(super) ticket: Weak<Ticket>,
    pub(super) statement_bytes: usize,
    pub(super) session: Arc<Session>,
    pub(super) memory: Arc<dyn MemoryPool>,
    pub(super) stop: Stop,
    pub(super) tables: Arc<dyn SchemaProvider>,
    pub(super) table_functions: Arc<[NamedTableFunction]>,
}

impl Query {
    /// Sends the schema once the plan runs, then its batches, until the receiver is gone.
    pub(super) async fn run(
        self,
        started: oneshot::Sender<SchemaRef>,
        batches: mpsc::Sender<Result<RecordBatch, SqlError>>,
    ) -> Result<(), SqlError> {
        let (stream, last) = self.start().await?;
        if started.send(stream.schema()).is_err() {
            return Ok(());
        }
        let mut stream = stream.chain(futures::stream::iter(last.map(Ok)));
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(SqlError::from);
            let failed = batch.is_err();
            if batches.send(batch).await.is_err() || failed {
                break;
            }
        }
        Ok(())
    }

    /// The rows, and one batch after them: what EXPLAIN ends with.
    async fn start(self) -> Result<(SendableRecordBatchStream, Option<RecordBatch>), SqlError> {
        let statement = statement::parse(&self.request.sql, &self.request.params, self.statement_bytes)?;
        let limit = self.request.limit.filter(|_| statement::is_query(&statement));
        let mut state = self.session.of_query(
            self.tables,
            &self.table_functions,
            self.request.now,
            QueryGuard::new(Arc::clone(&self.stop), &self.memory),
        )?;
        let mut plan = state.statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        expansion::check_expressions(&plan)?;
        set_options(&mut state, |options| look_through(&plan, options))?;
        if let Some(limit) = limit {
            plan = limited(plan, limit)?;
        }
        let plan = check_plan(state.optimize(&plan)?)?;
        let planner = Arc::clone(state.query_planner());
        let explained = match &plan {
            LogicalPlan::Explain(explain) => Some(&explain.plan),
            LogicalPlan::Analyze(analyze) => Some(&analyze.input),
            _ => None,
        };
        if explained.is_some() && self.request.asker.permission.role() == Role::Public {
            return Err(SqlError::Forbidden(
                "plans are not for the role public".to_owned(),
            ));
        }
        let estimated = match explained {
            // Where there is no plan, EXPLAIN itself says why.
            Some(explained) => planner.create_physical_plan(explained, &state).await.ok(),
            None => None,
        };
        let physical = planner.create_physical_plan(&plan, &state).await?;
        let estimate = Estimate::of(
            estimated.as_ref().unwrap_or(&physical),
            self.session.pairs_of_leaf(),
        )?;
        // A plan that is only shown costs nothing.
        if !matches!(plan, LogicalPlan::Explain(_)) {
            estimate.check(&self.limits)?;
        }
        let last = estimated
            .map(|_| estimate_line(&physical.schema(), estimate))
            .transpose()?;
        if let Some(ticket) = self.ticket.upgrade() {
            ticket.reads(estimate.rows);
            ticket.is_in(QueryPhase::Running);
        }
        let context = self
            .session
            .task_context(&state, self.memory, self.limits.spill_bytes)?;
        Ok((execute_stream(physical, context)?, last))
    }
}

/// The last line of EXPLAIN.
fn estimate_line(schema: &SchemaRef, estimate: Estimate) -> Result<RecordBatch, DataFusionError> {
    let columns: Vec<ArrayRef> = ["estimate".to_owned(), estimate.to_string()]
        .map(|text| -> ArrayRef { Arc::new(StringArray::from(vec![text])) })
        .into();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The plan with a limit; of EXPLAIN that of the explained query, so that it shows and runs what the query would.
fn limited(plan: LogicalPlan, limit: usize) -> Result<LogicalPlan, DataFusionError> {
    let below = |input: Arc<LogicalPlan>| limited(Arc::unwrap_or_clone(input), limit).map(Arc::new);
    match plan {
        LogicalPlan::Explain(mut explain) => {
            explain.plan = below(explain.plan)?;
            Ok(LogicalPlan::Explain(explain))
        }
        LogicalPlan::Analyze(mut analyze) => {
            analyze.input = below(analyze.input)?;
            Ok(LogicalPlan::Analyze(analyze))
        }
        // One more than asked for tells whether there are more.
        query => LogicalPlanBuilder::from(query)
            .limit(0, Some(limit.saturating_add(1)))?
            .build(),
    }
}

/// Refuses what cannot be answered, and sets `options` for the rest.
fn look_through(plan: &LogicalPlan, options: &mut ConfigOptions) -> Result<(), DataFusionError> {
    let mut is_one_table = true;
    plan.apply_with_subqueries(|node| {
        is_one_table &= reads_one_table(node);
        guards::check_node(node, options)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if is_one_table {
        // One pass of the rules leaves nothing for the second, which costs as much as the first.
        options.optimizer.max_passes = 1;
    }
    Ok(())
}

/// Whether a plan of such nodes only reads one table, or none, and nests no query.
fn reads_one_table(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
    )
}
