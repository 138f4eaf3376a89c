//! Work over all cells of a study area, cut into shares for threads. No digit depends on how many there are.

use std::num::NonZeroUsize;

use riskgrid_ingest::on_threads;

/// Cells that are worth a thread of their own.
const CELLS_OF_A_THREAD: usize = 8192;

/// Into how many shares work over so many cells is cut.
pub(super) fn shares_of(cells: usize, threads: NonZeroUsize) -> usize {
    (cells / CELLS_OF_A_THREAD).clamp(1, threads.get())
}

/// What `of` makes of each position below `length`.
pub(super) fn of_each<T: Clone + Default + Send>(
    length: usize,
    threads: NonZeroUsize,
    of: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let mut made = vec![T::default(); length];
    let of_a_share = length.div_ceil(shares_of(length, threads)).max(1);
    let shares: Vec<_> = (0..)
        .step_by(of_a_share)
        .zip(made.chunks_mut(of_a_share))
        .collect();
    on_threads(shares, |(start, slots)| {
        for (position, slot) in (start..).zip(slots) {
            *slot = of(position);
        }
    });
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_position_is_made_once_in_its_place() {
        for length in [0, 1, CELLS_OF_A_THREAD * 2 - 1, CELLS_OF_A_THREAD * 3 + 1] {
            for threads in [1, 2, 7] {
                let made = of_each(length, NonZeroUsize::new(threads).unwrap(), |position| {
                    position + 1
                });
                assert_eq!(made, (1..=length).collect::<Vec<_>>());
            }
        }
    }
}
