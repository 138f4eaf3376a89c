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

mod aggregates;
mod guarded;
mod like;
mod patterns;
mod plan;
mod rewrite;
mod scalars;
mod text_concat;
mod types;
mod wide_constant;
mod work;

use std::sync::Arc;

use datafusion::catalog::TableFunction;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(crate) use guarded::in_pieces;
#[cfg(test)]
pub(crate) use guarded::is_guarded;
pub(crate) use plan::check_plan;
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

/// The names of the lists.
#[cfg(test)]
pub(crate) mod listed {
    use super::{aggregates, scalars};

    pub(crate) fn scalars() -> impl Iterator<Item = &'static str> {
        scalars::names()
    }

    pub(crate) fn aggregates() -> impl Iterator<Item = &'static str> {
        aggregates::AGGREGATES.iter().map(|(name, _)| *name)
    }

    pub(crate) fn windows() -> impl Iterator<Item = &'static str> {
        aggregates::WINDOWS.iter().map(|(name, _)| *name)
    }

    pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
        aggregates::TABLES.iter().copied()
    }
}
