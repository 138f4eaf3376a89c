//! `array_agg` and `string_agg` that are never computed backwards.
//!
//! Where two aggregates of a query want opposite orders, `DataFusion` 55 sorts once and reverses one of them. The reversed
//! `array_agg(DISTINCT x ORDER BY x DESC)` then comes in ascending order. Without a reverse it sorts for itself.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::{AggregateUDF, AggregateUDFImpl, ReversedUDAF};

use crate::sql::delegated::{accumulates_as_inner, aggregate_named_as_inner};

/// `array_agg` and `string_agg`, to register over `DataFusion`'s.
pub(super) fn ordered_lists() -> [Arc<AggregateUDF>; 2] {
    [array_agg_udaf(), string_agg_udaf()].map(|inner| Arc::new(AggregateUDF::new_from_impl(OneWay { inner })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneWay {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for OneWay {
    aggregate_named_as_inner!();
    accumulates_as_inner!();

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let ordered = self
            .inner
            .as_ref()
            .clone()
            .with_beneficial_ordering(beneficial_ordering)?;
        Ok(ordered.map(|inner| {
            Arc::new(Self {
                inner: Arc::new(inner),
            }) as Arc<dyn AggregateUDFImpl>
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }
}
