//! What every query shares (functions, rules, settings), and what one query adds (tables, its own memory).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::SchemaProvider;
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry as _, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::optimizer::{Analyzer, AnalyzerRule, OptimizerRule};
use datafusion::prelude::SessionConfig;

use super::estimate::PairsOfLeaf;
use super::limits::Spill;
use super::named_arguments::{NamedArguments, NamedTableFunction};
use super::shared_disk::SharedDisk;
use crate::sql::bounds::{BoundOperators, QueryGuard};
use crate::sql::catalogue::{CATALOG, SCHEMA, catalog_of};
use crate::sql::cell_type::{CellComparison, cell_min_max, cell_unnest};
use crate::sql::functions_allowed::{self, GuardedStructs, UseGuarded};
use crate::sql::guards;
use crate::sql::rare_rules::RareRules;
use crate::sql::spatial_join::{RankedPlanner, rank_first, rules_with_spatial_joins};

/// What a session has beside the functions and rules of `DataFusion` and of this room.
pub(crate) struct Registration {
    /// Scalar functions; they keep their own bounds.
    pub(crate) scalars: Vec<Arc<ScalarUDF>>,
    pub(crate) aggregates: Vec<Arc<AggregateUDF>>,
    /// The one of them that makes a cell of a text.
    pub(crate) cell_of_text: Arc<ScalarUDF>,
    /// Rules that know tables, after all others.
    pub(crate) optimizer_rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    /// What leaves of plans compare by themselves.
    pub(crate) pairs_of_leaf: PairsOfLeaf,
}

/// The state that all queries start from.
#[derive(Debug)]
pub(crate) struct Session {
    base: SessionState,
    runtime: RuntimeEnv,
    /// Where what does not fit into memory is put.
    disk: Option<SharedDisk>,
    pairs_of_leaf: PairsOfLeaf,
}

impl Session {
    /// `threads` is the number of partitions of a plan.
    pub(crate) fn new(threads: usize, spill: Option<&Spill>, ours: Registration) -> Result<Self> {
        let pairs_of_leaf = ours.pairs_of_leaf;
        let disk = spill.and_then(|spill| {
            let disk = SharedDisk::open(spill);
            let warn = |error: &_| {
                let folder = spill.folder.display();
                tracing::warn!(%error, %folder, "queries that do not fit into memory end: nothing can be put on disk");
            };
            disk.inspect_err(warn).ok()
        });
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build()?;
        // DataFusion registers the local file system by itself.
        runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;

        let functions = guards::with_checked_arguments(SessionStateDefaults::default_scalar_functions());
        let scalars = functions_allowed::scalar_functions(guards::zoned(functions));
        let mut optimizer_rules = guards::optimizer_rules();
        optimizer_rules.extend(ours.optimizer_rules);
        let mut base = SessionStateBuilder::new()
            .with_config(settings(threads))
            .with_runtime_env(Arc::new(runtime.clone()))
            .with_expr_planners(expr_planners(&scalars))
            .with_scalar_functions(scalars.iter().chain(&ours.scalars).cloned().collect())
            .with_aggregate_functions(
                functions_allowed::aggregate_functions()
                    .chain(cell_min_max())
                    .chain(guards::aggregates())
                    .chain(ours.aggregates)
                    .collect(),
            )
            .with_window_functions(
                functions_allowed::window_functions()
                    .chain(guards::window_functions())
                    .collect(),
            )
            .with_table_function_list(functions_allowed::table_functions())
            .with_analyzer_rules(analyzer_rules(&ours.cell_of_text))
            .with_query_planner(Arc::new(RankedPlanner::default()))
            .with_optimizer_rules(optimizer_rules)
            .with_physical_optimizer_rules(guards::without_filter_pushdown(rules_with_spatial_joins()))
            .with_physical_optimizer_rule(Arc::new(BoundOperators))
            .build();
        base.register_function_rewrite(Arc::new(UseGuarded::new(&scalars, &ours.scalars)))?;
        base.register_function_rewrite(Arc::new(guards::FramesByGroups))?;
        base.register_function_rewrite(Arc::new(CellComparison::new(ours.cell_of_text)))?;
        Ok(Self {
            base,
            runtime,
            disk,
            pairs_of_leaf,
        })
    }

    #[cfg(test)]
    pub(crate) fn base(&self) -> &SessionState {
        &self.base
    }

    /// The state of one query; `now` is what `now()` gives, and every function sees `guard`.
    pub(crate) fn of_query(
        &self,
        tables: Arc<dyn SchemaProvider>,
        table_functions: &Arc<[NamedTableFunction]>,
        now: DateTime<Utc>,
        guard: QueryGuard,
    ) -> Result<SessionState> {
        let mut state = self.base.clone();
        state.config_mut().options_mut().extensions.insert(guard);
        state.register_catalog_list(catalog_of(tables)?);
        for function in table_functions.iter() {
            state.register_udtf(function.name, Arc::clone(&function.function));
        }
        state.register_relation_planner(Arc::new(NamedArguments::new(Arc::clone(table_functions))))?;
        // Times of events are microseconds: `bucket >= now() - INTERVAL '1 hour'` is pushed into a scan only if it is exact.
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        *state.execution_props_mut() = state
            .execution_props()
            .clone()
            .with_query_execution_start_time(now);
        set_options(&mut state, |_| Ok(()))?;
        Ok(state)
    }

    pub(crate) const fn pairs_of_leaf(&self) -> PairsOfLeaf {
        self.pairs_of_leaf
    }

    /// Shares the disk anew between the queries that may use it, until it is dropped.
    pub(crate) async fn keep_sharing_disk(&self) {
        match &self.disk {
            Some(disk) => disk.keep_sharing().await,
            None => std::future::pending().await,
        }
    }

    /// The context in which the plan of `state` runs, with the memory of one query, and so many bytes on disk.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn task_context(
        &self,
        state: &SessionState,
        memory: Arc<dyn MemoryPool>,
        spill_bytes: u64,
    ) -> Result<Arc<TaskContext>> {
        let disk_manager = match self.disk.as_ref().filter(|_| spill_bytes > 0) {
            Some(disk) => disk.of_query(spill_bytes)?,
            None => Arc::clone(&self.runtime.disk_manager),
        };
        let runtime = RuntimeEnv {
            memory_pool: memory,
            disk_manager,
            ..self.runtime.clone()
        };
        // With all functions: `information_schema.routines` finds them here.
        let context = TaskContext::from(state).with_runtime(Arc::new(runtime));
        Ok(Arc::new(context))
    }
}

/// Changes the options of one query. Functions see them when they run, and the query's guard in them.
pub(super) fn set_options(
    state: &mut SessionState,
    change: impl FnOnce(&mut ConfigOptions) -> Result<()>,
) -> Result<()> {
    // With no second holder they are changed in their place, not copied.
    state.execution_props_mut().config_options = None;
    change(state.config_mut().options_mut())?;
    let options = Arc::clone(state.config_options());
    state.execution_props_mut().config_options = Some(options);
    Ok(())
}

/// Those of `DataFusion`, behind ours.
fn expr_planners(scalars: &[Arc<ScalarUDF>]) -> Vec<Arc<dyn ExprPlanner>> {
    GuardedStructs::new(scalars)
        .map(|structs| Arc::new(structs) as Arc<dyn ExprPlanner>)
        .into_iter()
        .chain(SessionStateDefaults::default_expr_planners())
        .collect()
}

/// `DataFusion`'s rules with those of ours around them.
fn analyzer_rules(cell_of_text: &Arc<ScalarUDF>) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut after = guards::rules_after_types();
    after.extend([
        cell_unnest(Arc::clone(cell_of_text)),
        guards::nested_projections(),
        rank_first(),
    ]);
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(RareRules(guards::rules_before_types()))];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(RareRules(after)));
    rules
}

fn settings(threads: usize) -> SessionConfig {
    let mut options = ConfigOptions::new();
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    // It fails on conditions such as `(a > b) IS NOT FALSE`, which are never NULL although their parts may be.
    options.execution.skip_physical_aggregate_schema_check = true;
    SessionConfig::from(options)
        .with_target_partitions(threads)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(false)
}
