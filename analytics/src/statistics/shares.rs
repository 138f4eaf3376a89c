//! Work over all cells of a study area, cut into shares for threads. No digit depends on how many there are.

use std::num::NonZeroUsize;

/// Cells that are worth a thread of their own.
const CELLS_OF_A_THREAD: usize = 8192;

/// Into how many shares work over so many cells is cut.
pub(super) fn shares_of(cells: usize, threads: NonZeroUsize) -> usize {
    (cells / CELLS_OF_A_THREAD).clamp(1, threads.get())
}
