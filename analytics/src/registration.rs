//! The one place that knows tables, functions and the engine: it puts ours into its sessions.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use riskgrid_ingest::places::Places;

use crate::functions;
use crate::sql::engine::Registration;
use crate::sql::{SqlEngine, SqlError, SqlLimits};
use crate::table_functions::pairs_of_statistic;
use crate::tables::cells::whole_window::WholeWindow;
use crate::tables::events::cell_counts::CellCounts;

impl SqlEngine {
    /// Starts the threads for queries; no areas are loaded.
    ///
    /// # Errors
    /// [`SqlError::Internal`] if they cannot be started.
    pub fn new(limits: SqlLimits) -> Result<Self, SqlError> {
        Self::over(&Arc::default(), limits)
    }

    /// Starts the threads for queries whose functions see these reference layers.
    ///
    /// # Errors
    /// [`SqlError::Internal`] if they cannot be started.
    pub fn over(places: &Arc<Places>, limits: SqlLimits) -> Result<Self, SqlError> {
        Self::with(registration(places), limits)
    }
}

/// What a statistic of cells compares: neighbours, as often as they are permuted.
fn pairs_of_leaf(leaf: &dyn ExecutionPlan) -> u64 {
    pairs_of_statistic(leaf).unwrap_or(0)
}

fn registration(places: &Arc<Places>) -> Registration {
    Registration {
        scalars: functions::all(places),
        aggregates: functions::aggregates(),
        cell_of_text: functions::h3_from_string(),
        optimizer_rules: vec![Arc::new(WholeWindow), Arc::new(CellCounts)],
        pairs_of_leaf,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::session_state::SessionState;
    use datafusion::logical_expr::ScalarUDF;

    use super::*;
    use crate::sql::engine::Session;
    use crate::sql::functions_allowed::{is_guarded, listed};

    fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        names.into_iter().map(str::to_owned).collect()
    }

    fn listed_and(ours: &[Arc<ScalarUDF>]) -> Vec<&str> {
        let mut names: Vec<&str> = listed::scalars().collect();
        names.extend(ours.iter().map(|function| function.name()));
        names
    }

    fn state() -> SessionState {
        Session::new(1, None, registration(&Arc::default()))
            .expect("a session")
            .base()
            .clone()
    }

    #[test]
    fn the_session_has_the_functions_of_the_list_and_no_others() {
        let state = state();
        let ours = functions::all(&Arc::default());
        assert_eq!(
            sorted(state.scalar_functions().values().map(|function| function.name())),
            sorted(listed_and(&ours)),
        );
        assert_eq!(
            sorted(
                state
                    .aggregate_functions()
                    .values()
                    .map(|function| function.name())
            ),
            sorted(listed::aggregates()),
        );
        assert_eq!(
            sorted(state.window_functions().values().map(|function| function.name())),
            sorted(listed::windows()),
        );
        assert_eq!(
            sorted(state.table_functions().keys().map(String::as_str)),
            sorted(listed::tables()),
        );
        assert!(state.higher_order_functions().is_empty());
    }

    #[test]
    fn no_name_is_in_the_list_twice_or_both_in_it_and_ours() {
        let ours = functions::all(&Arc::default());
        let names = listed_and(&ours);
        assert_eq!(names.len(), sorted(names.iter().copied()).len());
    }

    #[test]
    fn a_function_with_a_bound_is_registered_with_its_guard() {
        let state = state();
        for name in [
            "repeat",
            "strpos",
            "regexp_like",
            "arrow_cast",
            "array_has_all",
            "btrim",
        ] {
            assert!(
                state
                    .scalar_functions()
                    .get(name)
                    .is_some_and(|function| is_guarded(function)),
                "{name}"
            );
        }
    }
}
