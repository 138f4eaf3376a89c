//! `to_timestamp` and its kin over columns of texts.
//!
//! With a time zone of the session, `DataFusion` 55 promises times with that zone and makes, of a column of texts, times
//! without any, which it then refuses itself. The test is `texts_of_a_column_become_times`; this may go when it passes
//! without.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use crate::sql::delegated::scalar_named_as_inner;

const NAMES: [&str; 5] = [
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_timestamp_nanos",
];

/// Puts the zone that they promise on the times that these of `functions` make; the others stay as they are.
pub(crate) fn zoned(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .map(|inner| {
            if NAMES.contains(&inner.name()) {
                Arc::new(ScalarUDF::new_from_impl(Zoned { inner }))
            } else {
                inner
            }
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Zoned {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Zoned {
    scalar_named_as_inner!();

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Self {
            inner: Arc::new(inner),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let promised = args.return_field.data_type().clone();
        // Past the wrapper, which in debug builds compares what is made with what was promised.
        let made = self.inner.inner().invoke_with_args(args)?;
        // The session's zone is UTC, in which a time without a zone was read.
        if made.data_type() == promised {
            Ok(made)
        } else {
            made.cast_to(&promised, None)
        }
    }
}
