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
use datafusion::execution::{FunctionRegistry, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use riskgrid_ingest::places::Places;

use super::bounded_functions::{UseBounded, bounded};
use super::cell_comparison::CellComparison;
use super::cell_min_max::cell_min_max;
use super::cell_unnest::CellUnnest;
use super::cooperative::CooperativeJoins;
use super::guards;
use super::information_schema::{CATALOG, SCHEMA, catalog_of};
use super::named_arguments::{NamedArguments, NamedTableFunction};
use super::nested_projections::NestedProjections;
use super::spatial_join::{RankFirst, RankedPlanner, rules_with_spatial_joins};
use super::window_memory::CountWindowInput;
use super::zoned_timestamps::zoned;
use crate::functions;
use crate::tables::cells::whole_window::WholeWindow;
use crate::tables::events::cell_counts::CellCounts;

/// The state that all queries start from.
#[derive(Debug)]
pub(crate) struct Session {
    base: SessionState,
    runtime: RuntimeEnv,
}

impl Session {
    /// `threads` is the number of partitions of a plan; functions see the areas of `places`.
    pub(crate) fn new(threads: usize, places: &Arc<Places>) -> Result<Self> {
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build()?;
        // DataFusion registers the local file system by itself.
        runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;

        let functions = guards::with_checked_arguments(SessionStateDefaults::default_scalar_functions());
        let capped = bounded(zoned(functions));
        let from_string: Arc<ScalarUDF> = functions::h3_from_string();
        let mut base = SessionStateBuilder::new()
            .with_config(settings(threads))
            .with_runtime_env(Arc::new(runtime.clone()))
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(capped.iter().cloned().chain(functions::all(places)).collect())
            .with_aggregate_functions(
                SessionStateDefaults::default_aggregate_functions()
                    .into_iter()
                    .chain(cell_min_max())
                    .chain(guards::aggregates())
                    .chain(functions::aggregates())
                    .collect(),
            )
            .with_window_functions(
                SessionStateDefaults::default_window_functions()
                    .into_iter()
                    .chain(guards::window_functions())
                    .collect(),
            )
            .with_table_function_list(SessionStateDefaults::default_table_functions())
            .with_analyzer_rules(guards::analyzer_rules())
            .with_analyzer_rule(Arc::new(CellUnnest::new(Arc::clone(&from_string))))
            .with_analyzer_rule(Arc::new(NestedProjections))
            .with_analyzer_rule(Arc::new(RankFirst))
            .with_query_planner(Arc::new(RankedPlanner))
            .with_optimizer_rules(guards::optimizer_rules())
            .with_optimizer_rule(Arc::new(WholeWindow))
            .with_optimizer_rule(Arc::new(CellCounts))
            .with_physical_optimizer_rules(guards::without_filter_pushdown(rules_with_spatial_joins()))
            .with_physical_optimizer_rule(Arc::new(CountWindowInput))
            .with_physical_optimizer_rule(Arc::new(CooperativeJoins))
            .build();
        base.register_function_rewrite(Arc::new(UseBounded::new(&capped)))?;
        base.register_function_rewrite(Arc::new(guards::FramesByGroups))?;
        base.register_function_rewrite(Arc::new(CellComparison::new(from_string)))?;
        Ok(Self { base, runtime })
    }

    /// The state of one query; `now` is what `now()` gives.
    pub(crate) fn of_query(
        &self,
        tables: Arc<dyn SchemaProvider>,
        table_functions: &Arc<[NamedTableFunction]>,
        now: DateTime<Utc>,
    ) -> Result<SessionState> {
        let mut state = self.base.clone();
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
        Ok(state)
    }

    /// The context in which the plan of `state` runs, with the memory of one query.
    pub(crate) fn task_context(&self, state: &SessionState, memory: Arc<dyn MemoryPool>) -> Arc<TaskContext> {
        let runtime = RuntimeEnv {
            memory_pool: memory,
            ..self.runtime.clone()
        };
        // With all functions: `information_schema.routines` finds them here.
        let context = TaskContext::from(state).with_runtime(Arc::new(runtime));
        Arc::new(context)
    }
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
