//! The exact law of a neighbour sum given the cell: its own value stays, its neighbours' are drawn from the n − 1 others.
//!
//! What [`conditional_p`](super::conditional_p) simulates, without floor and seed. One table for each distinct own value.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::error::StatisticsError;
use super::exact::{AUTO_COST, ExactLaw, check_exact_cost, exact_cost};
use super::neighbours::Neighbours;
use super::value_counts::ValueCounts;

/// Whether `'auto'` takes the exact conditional law for cells with up to `most` neighbours: D²·M²·top, D distinct values,
/// M neighbours, `top` the sum of the M largest values.
#[must_use]
pub fn auto_takes_conditional(values: &ValueCounts, most: usize) -> bool {
    values.distinct() as f64 * exact_cost(values, most) <= AUTO_COST
}

/// Two-sided p of each cell's neighbour sum in `sums`; 1 for a cell without neighbours. Weights are taken as 1.
///
/// # Errors
/// [`StatisticsError::Argument`] when the tables are too large, [`StatisticsError::Stopped`] when `stop` was set.
pub fn exact_conditional_p(
    values: &[i128],
    neighbours: &Neighbours,
    sums: &[i128],
    stop: &AtomicBool,
) -> Result<Vec<f64>, StatisticsError> {
    let counts = ValueCounts::of(values);
    check_exact_cost(&counts, neighbours.most(), counts.distinct())?;
    let mut cells_of: BTreeMap<i128, Vec<usize>> = BTreeMap::new();
    for (position, &value) in values.iter().enumerate() {
        cells_of.entry(value).or_default().push(position);
    }
    let mut p = vec![1.0; values.len()];
    for (own, cells) in cells_of {
        let draws = |position: usize| neighbours.of(position).len();
        let sizes: Vec<usize> = cells.iter().map(|&position| draws(position)).collect();
        let law = ExactLaw::new(&counts.without(own), &sizes, stop)?;
        for (position, size) in cells.into_iter().zip(sizes) {
            let sum = sums.get(position).copied().unwrap_or(0);
            if let (Some(slot), Some(exact)) = (p.get_mut(position), law.two_sided_p(size, sum)) {
                *slot = exact;
            }
        }
    }
    Ok(p)
}
