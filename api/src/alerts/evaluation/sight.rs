//! What rules look at beside the grid: the engine of SQL and the risk surface, which are made after the evaluators begin.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::risk::Surface;
use riskgrid_analytics::sql::{SqlAnswer, SqlError, SqlRequest};
use riskgrid_ingest::grid::GridSnapshot;

/// Asks the engine, over one state of the grid.
type Asks = Box<
    dyn Fn(SqlRequest, Arc<GridSnapshot>) -> BoxFuture<'static, Result<SqlAnswer, SqlError>> + Send + Sync,
>;

/// Gives the newest risk surface, as far as somebody sees it.
type Surfaces = Box<dyn Fn(Option<&Permission>) -> Option<Arc<Surface>> + Send + Sync>;

/// What rules look at.
pub struct Sight {
    /// Whether all that the log held at the start is in a state of the grid.
    pub is_caught_up: Box<dyn Fn(&GridSnapshot) -> bool + Send + Sync>,
    /// How late events may come, and how long a partition may be silent.
    pub patience: std::time::Duration,
    /// Asks the engine.
    pub ask: Asks,
    /// The newest risk surface, as far as somebody sees it.
    pub surface: Surfaces,
}

impl fmt::Debug for Sight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sight").finish_non_exhaustive()
    }
}
