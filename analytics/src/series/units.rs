//! Metrics as whole numbers, so that sums are exact.

use riskgrid_ingest::grid::{CellAggregate, Metric, WindowSum};
use riskgrid_ingest::{Layer, ValueScale};

/// Estimates of distinct sources are rounded to this part of one source, to be summed as whole numbers.
const SOURCE_PARTS: f64 = 1e6;

/// From the whole numbers of [`whole_units`] to the metric's unit.
pub fn scale_of(metric: Metric, layer: &Layer) -> ValueScale {
    match metric {
        Metric::Count | Metric::Weight => ValueScale::ONE,
        Metric::Sources => ValueScale {
            multiplier: 1.0,
            divisor: SOURCE_PARTS,
        },
        Metric::Sum | Metric::Mean | Metric::Min | Metric::Max | Metric::Last => layer.scale(),
    }
}

/// The metric of each cell.
pub fn whole_units(metric: Metric, sums: &WindowSum) -> Vec<i128> {
    let whole = |numbers: &[u64]| numbers.iter().map(|number| i128::from(*number)).collect();
    let values = |units: &[i64]| units.iter().map(|units| i128::from(*units)).collect();
    match metric {
        Metric::Count => whole(&sums.count()),
        Metric::Weight => whole(&sums.weight()),
        Metric::Sum => sums.sum().to_vec(),
        Metric::Mean => {
            let (of_cells, counts) = (sums.sum(), sums.count());
            of_cells
                .iter()
                .zip(&*counts)
                .map(|(sum, count)| nearest_mean(*sum, *count))
                .collect()
        }
        Metric::Min => values(&sums.min()),
        Metric::Max => values(&sums.max()),
        Metric::Last => values(&sums.last().0),
        Metric::Sources => {
            let bitmaps = sums.sources();
            let estimates = bitmaps
                .iter()
                .map(|bitmap| CellAggregate::estimated_sources(*bitmap));
            estimates
                .map(|sources| (sources * SOURCE_PARTS).round() as i128)
                .collect()
        }
    }
}

/// The mean to the nearest unit, halves upwards.
fn nearest_mean(sum: i128, count: u64) -> i128 {
    let count = i128::from(count.max(1));
    (2 * sum + count).div_euclid(2 * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_rounded_to_the_nearest_unit() {
        let means = [(7, 2), (-7, 2), (10, 3), (-10, 3)].map(|(sum, count)| nearest_mean(sum, count));
        assert_eq!(means, [4, -3, 3, -3]);
    }
}
