//! What a function learns of the query that calls it: whether the query still has a reader, and its memory.
//!
//! It travels in the options that `DataFusion` hands to every call, those at planning included, when constants are
//! folded on a thread that nobody else can stop.

use std::any::Any;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::stoppable::Stop;
use crate::sql::error::SqlError;

/// Answers from this size on are counted while somebody holds them.
const COUNTED_BYTES: usize = 1 << 20;

/// The flag and the memory of one query.
#[derive(Clone)]
pub(crate) struct QueryGuard {
    stop: Stop,
    answers: Arc<Mutex<Answers>>,
}

/// Large answers that are still held, as far as one can tell by the arrays themselves.
struct Answers {
    held: Vec<(Weak<dyn Array>, usize)>,
    memory: MemoryReservation,
}

impl QueryGuard {
    pub(crate) fn new(stop: Stop, memory: &Arc<dyn MemoryPool>) -> Self {
        let memory = MemoryConsumer::new("answers of functions").register(memory);
        Self {
            stop,
            answers: Arc::new(Mutex::new(Answers {
                held: Vec::new(),
                memory,
            })),
        }
    }

    /// The guard of the query whose options these are.
    pub(crate) fn of(options: &ConfigOptions) -> Option<&Self> {
        options.extensions.get::<Self>()
    }

    /// Set once the query is stopped or has no reader.
    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// # Errors
    /// [`SqlError::Cancelled`] once the query is stopped or has no reader.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(SqlError::Cancelled.into());
        }
        Ok(())
    }

    /// Counts a large answer against the query's memory until it is dropped.
    ///
    /// # Errors
    /// That of the memory pool.
    pub(crate) fn made(&self, answer: &ArrayRef) -> Result<()> {
        let bytes = answer.get_array_memory_size();
        if bytes < COUNTED_BYTES {
            return Ok(());
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.held.retain(|(answer, _)| answer.strong_count() > 0);
        answers.held.push((Arc::downgrade(answer), bytes));
        let sum = answers.held.iter().map(|(_, bytes)| bytes).sum();
        answers.memory.try_resize(sum)
    }
}

impl fmt::Debug for QueryGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("QueryGuard")
    }
}

impl ConfigExtension for QueryGuard {
    const PREFIX: &'static str = "riskgrid_query";
}

impl ExtensionOptions for QueryGuard {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!("{key} cannot be set")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
