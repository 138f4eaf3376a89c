//! Why a statistic was refused: each message names the argument, its value and what is allowed.

use std::sync::atomic::{AtomicBool, Ordering};

/// A question that has no answer, or one that would cost too much.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// An argument outside what the function takes.
    #[error("{name} is {value}, allowed is {allowed}")]
    Argument {
        /// The argument as SQL names it.
        name: &'static str,
        /// What was given.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// A number that is not the index of an H3 cell.
    #[error("{cell:#x} is not an H3 cell")]
    NotACell {
        /// The number.
        cell: u64,
    },
    /// Cells of two resolutions cannot be neighbours.
    #[error("cell {cell:#x} has resolution {found}, the others have {expected}")]
    MixedResolutions {
        /// The first that differs.
        cell: u64,
        /// Its resolution.
        found: u8,
        /// The resolution of the first cell.
        expected: u8,
    },
    /// Observed cells must come in ascending order, each once.
    #[error("cell {cell:#x} comes after a cell that is not smaller")]
    NotAscending {
        /// The first out of order.
        cell: u64,
    },
    /// One value belongs to each cell.
    #[error("{cells} cells came with {values} values")]
    LengthsDiffer {
        /// Number of cells.
        cells: usize,
        /// Number of values.
        values: usize,
    },
    /// Sums of squares beyond 127 bits: exact arithmetic ends here.
    #[error("values are too large for exact sums: n · Σx² must stay below 2^127 units squared")]
    Overflow,
    /// There is no room for what would have to be kept.
    #[error("{reason}")]
    Memory {
        /// As the one who has the room says it.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped before the answer was complete")]
    Stopped,
}

impl StatisticsError {
    /// [`Self::Argument`].
    pub(crate) fn argument(name: &'static str, value: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::Argument {
            name,
            value: value.into(),
            allowed: allowed.into(),
        }
    }
}

/// Long loops ask this between their steps, so that a query's time limit frees the processor.
pub(crate) fn check_stop(stop: &AtomicBool) -> Result<(), StatisticsError> {
    // Relaxed: nothing else is read on the strength of this flag.
    if stop.load(Ordering::Relaxed) {
        Err(StatisticsError::Stopped)
    } else {
        Ok(())
    }
}
