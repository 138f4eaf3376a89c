//! The closed list of functions that SQL has, each with the bound of its arguments, its answers and its work.
//!
//! What is not in these tables does not exist: it is not registered, not in `information_schema.routines`, and an
//! expression that the planner makes of one is refused. A function of a new version of `DataFusion` stays out until
//! somebody has read it and entered it here.
//!
//! | what | where |
//! |---|---|
//! | the tables | [`scalars`], [`aggregates`] (windows and table functions too) |
//! | a scalar function within its bounds | [`guarded`], its work [`work`], its patterns [`patterns`] |
//! | operators that are functions in truth, and functions that the planner brings | [`rewrite`], [`like`] |
//! | types | [`types`] |
//! | constants of aggregates and windows, wide constants in a plan | [`plan`], [`wide_constant`] |
//! | what a function learns of its query | [`query_guard`] |

mod aggregates;
mod guarded;
mod like;
mod patterns;
mod plan;
mod query_guard;
mod rewrite;
mod scalars;
mod types;
mod wide_constant;
mod work;

use std::sync::Arc;

use datafusion::catalog::TableFunction;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(crate) use guarded::{check, in_pieces};
pub(crate) use plan::check_plan;
pub(crate) use query_guard::QueryGuard;
pub(crate) use rewrite::{GuardedStructs, UseGuarded};
pub(crate) use types::check_written;
pub(crate) use work::{Work, pieces};

/// Those of `functions`, which are `DataFusion`'s, that are allowed; those that need it within their bounds.
pub(crate) fn scalar_functions(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .filter_map(|function| {
            let entry = scalars::entry(function.name())?;
            Some(guarded::guarded(function, entry))
        })
        .collect()
}

/// Whether a scalar function of this name is allowed, ours included.
pub(crate) fn allows_scalar(name: &str) -> bool {
    scalars::entry(name).is_some() || scalars::is_ours(name)
}

/// The aggregates of `DataFusion` that are allowed.
pub(crate) fn aggregate_functions() -> impl Iterator<Item = Arc<AggregateUDF>> {
    SessionStateDefaults::default_aggregate_functions()
        .into_iter()
        .filter(|function| aggregates::aggregate(function.name()).is_some())
}

/// The window functions that are allowed; aggregates are such too.
pub(crate) fn window_functions() -> impl Iterator<Item = Arc<WindowUDF>> {
    SessionStateDefaults::default_window_functions()
        .into_iter()
        .filter(|function| aggregates::window(function.name()).is_some())
}

/// The table functions of `DataFusion` that are allowed.
pub(crate) fn table_functions() -> Vec<Arc<TableFunction>> {
    SessionStateDefaults::default_table_functions()
        .into_iter()
        .filter(|function| aggregates::TABLES.contains(&function.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::session_state::SessionState;

    use super::*;
    use crate::functions;
    use crate::sql::session::Session;

    fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        names.into_iter().map(str::to_owned).collect()
    }

    fn state() -> SessionState {
        Session::new(1, &Arc::default())
            .expect("a session")
            .base()
            .clone()
    }

    #[test]
    fn the_session_has_the_functions_of_the_list_and_no_others() {
        let state = state();
        assert_eq!(
            sorted(state.scalar_functions().values().map(|function| function.name())),
            sorted(scalars::names()),
        );
        assert_eq!(
            sorted(
                state
                    .aggregate_functions()
                    .values()
                    .map(|function| function.name())
            ),
            sorted(aggregates::AGGREGATES.iter().map(|(name, _)| *name)),
        );
        assert_eq!(
            sorted(state.window_functions().values().map(|function| function.name())),
            sorted(aggregates::WINDOWS.iter().map(|(name, _)| *name)),
        );
        assert_eq!(
            sorted(state.table_functions().keys().map(String::as_str)),
            sorted(aggregates::TABLES.iter().copied()),
        );
        assert!(state.higher_order_functions().is_empty());
    }

    #[test]
    fn no_name_is_in_the_list_twice() {
        assert_eq!(scalars::names().count(), sorted(scalars::names()).len());
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
                    .is_some_and(|function| guarded::is_guarded(function)),
                "{name}"
            );
        }
    }

    #[test]
    fn our_own_functions_are_in_the_list() {
        for function in functions::all(&Arc::default()) {
            assert!(scalars::is_ours(function.name()), "{}", function.name());
        }
    }
}
