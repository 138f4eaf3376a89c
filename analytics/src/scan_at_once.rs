//! Scans of tables that wait for nothing.

/// [`TableProvider::scan`](datafusion::catalog::TableProvider::scan) by the inherent method `scan_now`, which takes the same and
/// is not `async`.
///
/// Written by `#[async_trait]`, a body of this kind is a future of its own: for each one the compiler proves anew that all
/// types of `DataFusion`'s expressions are [`Send`], which takes it seconds.
macro_rules! scan_at_once {
    () => {
        fn scan<'table, 'state, 'projection, 'filters, 'all>(
            &'table self,
            state: &'state dyn datafusion::catalog::Session,
            projection: Option<&'projection Vec<usize>>,
            filters: &'filters [datafusion::logical_expr::Expr],
            limit: Option<usize>,
        ) -> futures::future::BoxFuture<
            'all,
            datafusion::common::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
        >
        where
            'table: 'all,
            'state: 'all,
            'projection: 'all,
            'filters: 'all,
            Self: 'all,
        {
            Box::pin(std::future::ready(
                self.scan_now(state, projection, filters, limit),
            ))
        }
    };
}

pub(crate) use scan_at_once;
