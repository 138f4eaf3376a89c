//! False alarms under pure noise. Bounds are binomial: a right program fails them at under 1 seed in 10 000.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use h3o::CellIndex;

use super::obvious::{cell, disk};
use super::{hotspots, local_moran};
use crate::statistics::permutation::Sampler;
use crate::statistics::{Domain, LocalOptions, Method, Neighbours, Quadrant, Runs, SplitMix64, Weights};

const GRIDS: u64 = 200;
const CENTRE: u64 = 0x0894_11ca_1b67_ffff;

/// Knuth's product of uniforms; the means here are small.
fn poisson(mean: f64, random: &mut SplitMix64) -> i128 {
    let limit = (-mean).exp();
    let mut product = random.unit();
    let mut count = 0;
    while product > limit {
        product *= random.unit();
        count += 1;
    }
    count
}

fn noise(mean: f64, grid: u64, cells: usize) -> Vec<i128> {
    let mut random = SplitMix64::stream(20_261_124, grid ^ mean.to_bits());
    (0..cells).map(|_| poisson(mean, &mut random)).collect()
}

/// Of the noise grids, how many have any cell called at q ≤ .05.
fn grids_with_a_call(mean: f64, method: Method) -> usize {
    let cells = disk(cell(CENTRE), 17);
    assert_eq!(cells.len(), 919);
    let options = LocalOptions {
        domain: Domain::Observed,
        method,
        ..Default::default()
    };
    let called = |grid: &u64| {
        let table = hotspots(&cells, &noise(mean, *grid, cells.len()), &options).unwrap();
        assert_eq!(table.method, method);
        table.q.iter().any(|&q| q <= 0.05)
    };
    (1..=GRIDS).filter(called).count()
}

#[test]
fn the_exact_law_calls_noise_no_oftener_than_it_says() {
    for mean in [0.2, 5.0] {
        let calls = grids_with_a_call(mean, Method::Exact);
        assert!(calls <= 23, "mean {mean}: {calls} of {GRIDS}");
    }
}

#[test]
fn local_moran_calls_noise_no_oftener_than_it_says() {
    let cells = disk(cell(CENTRE), 17);
    let options = LocalOptions {
        domain: Domain::Observed,
        method: Method::Exact,
        ..Default::default()
    };
    let called = |grid: &u64| {
        let table = local_moran(&cells, &noise(0.2, *grid, cells.len()), &options).unwrap();
        table.class.iter().any(|&class| class != Quadrant::None)
    };
    let calls = (1..=GRIDS).filter(called).count();
    assert!(calls <= 23, "{calls} of {GRIDS}");
}

#[test]
fn the_normal_law_calls_sparse_noise_far_too_often() {
    let calls = grids_with_a_call(0.2, Method::Analytic);
    assert!(calls > 60, "{calls} of {GRIDS}");
}

#[test]
fn a_permutation_p_is_honest_for_one_cell() {
    let cells: Vec<CellIndex> = disk(cell(CENTRE), 17).into_iter().map(cell).collect();
    let neighbours = Neighbours::new(&cells, Weights::Disk, 1).unwrap();
    let centre = cells.binary_search(&cell(CENTRE)).unwrap();
    for mean in [0.2, 5.0] {
        let low = |&seed: &u64| {
            let runs = Runs {
                permutations: 999,
                seed,
                threads: NonZeroUsize::MIN,
            };
            let mut sampler = Sampler::new(&noise(mean, seed, cells.len()));
            let p = sampler.p_of(centre, cells[centre], &neighbours, runs, &AtomicBool::new(false));
            p.unwrap() <= 0.05
        };
        let calls = (1..=GRIDS).filter(low).count();
        assert!(calls <= 23, "mean {mean}: {calls} of {GRIDS}");
    }
}
