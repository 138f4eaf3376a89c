//! The definitions as slow loops over everything, to compare the fast ways with.

use h3o::CellIndex;
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use super::weighted_hotspots;
use crate::statistics::{
    Absent, Domain, ExactLaw, LocalOptions, Method, Neighbours, SplitMix64, StudyArea, ValueCounts, Weights,
};

const CENTRE: u64 = 0x0894_11ca_1b67_ffff;

pub(super) fn cell(index: u64) -> CellIndex {
    CellIndex::try_from(index).unwrap()
}

pub(super) fn disk(centre: CellIndex, k: u32) -> Vec<u64> {
    let mut cells: Vec<u64> = centre.grid_disk_safe(k).map(u64::from).collect();
    cells.sort_unstable();
    cells
}

/// Weight of `j` in the neighbourhood of `i`, the cell itself 1.
fn weight(i: CellIndex, j: CellIndex, weights: Weights, k: u32) -> f64 {
    let metres = h3o::LatLng::from(i).distance_m(h3o::LatLng::from(j));
    match weights {
        _ if i == j => 1.0,
        Weights::Disk => f64::from(u8::from(i.grid_disk_safe(k).any(|near| near == j))),
        Weights::Distance(limit) => f64::from(u8::from(metres <= limit)),
        Weights::Bisquare(limit) if metres < limit => (1.0 - (metres / limit).powi(2)).powi(2),
        Weights::Bisquare(_) => 0.0,
    }
}

fn slow_z(cells: &[CellIndex], values: &[i128], i: usize, weights: Weights, k: u32) -> Option<f64> {
    let n = cells.len() as f64;
    let w: Vec<f64> = cells.iter().map(|&j| weight(cells[i], j, weights, k)).collect();
    let x: Vec<f64> = values.iter().map(|&x| x as f64).collect();
    let (sum, squares): (f64, f64) = (x.iter().sum(), x.iter().map(|x| x * x).sum());
    let (big_w, s1): (f64, f64) = (w.iter().sum(), w.iter().map(|w| w * w).sum());
    let s: f64 = w.iter().zip(&x).map(|(w, x)| w * x).sum();
    let variance = (n * squares - sum * sum) * (n * s1 - big_w * big_w) / (n - 1.0);
    (cells.len() >= 3 && variance > 1e-9).then(|| (n * s - big_w * sum) / variance.sqrt())
}

/// Twice the smaller tail, by looking at every subset of `draws` values.
pub(super) fn p_by_enumeration(values: &[i128], draws: usize, sum: i128) -> f64 {
    let (mut all, mut at_least, mut at_most) = (0_u32, 0_u32, 0_u32);
    for chosen in 0_u32..1 << values.len() {
        if chosen.count_ones() as usize == draws {
            let total: i128 = values
                .iter()
                .enumerate()
                .map(|(i, x)| x * i128::from(chosen >> i & 1))
                .sum();
            all += 1;
            at_least += u32::from(total >= sum);
            at_most += u32::from(total <= sum);
        }
    }
    (2.0 * f64::from(at_least.min(at_most)) / f64::from(all)).min(1.0)
}

fn assert_law(values: &[i128]) {
    let sizes: Vec<usize> = (1..=values.len()).collect();
    let law = ExactLaw::new(&ValueCounts::of(values), &sizes, &AtomicBool::new(false)).unwrap();
    for draws in sizes {
        let largest: i128 = values.iter().map(|x| x.abs()).sum();
        let probes = [0, 1, largest / 2, largest, -largest, values[..draws].iter().sum()];
        for sum in probes {
            let expected = p_by_enumeration(values, draws, sum);
            let got = law.two_sided_p(draws, sum).unwrap();
            assert!(
                (got - expected).abs() <= 1e-12 * expected,
                "{values:?} {draws} {sum}: {got} not {expected}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_exact_law_is_the_enumeration(values in prop::collection::vec(-3_i128..9, 1..10)) {
        assert_law(&values);
    }

    #[test]
    fn the_exact_law_holds_for_few_large_values_too(values in prop::collection::vec(prop::sample::select(vec![0, 1, 70_000_003, 2_000_000_011]), 1..9)) {
        assert_law(&values);
    }

    #[test]
    fn z_and_neighbours_are_those_of_the_slow_loop(
        values in prop::collection::vec(0_i128..6, 19),
        choice in 0..4_usize,
        k in 0..3_u32,
    ) {
        let weights = [Weights::Disk, Weights::Distance(400.0), Weights::Distance(900.0), Weights::Bisquare(800.0)][choice];
        let cells = disk(cell(CENTRE), 2);
        let area = StudyArea::new(&cells, &values, &Domain::Observed, Absent::Zero, k, NonZeroUsize::MIN).unwrap();
        let options = LocalOptions { domain: Domain::Observed, k, method: Method::Analytic, ..Default::default() };
        let table = weighted_hotspots(&cells, &values, weights, &options).unwrap();
        for i in 0..cells.len() {
            let near = area.cells().iter().filter(|&&j| weight(area.cells()[i], j, weights, k) > 0.0).count() - 1;
            prop_assert_eq!(table.neighbours[i] as usize, near);
            let z = table.z[i];
            match slow_z(area.cells(), &values, i, weights, k) {
                Some(slow) => prop_assert!((z - slow).abs() <= 1e-9 * slow.abs().max(1.0), "{} {}", z, slow),
                None => prop_assert!(z.is_nan(), "{}", z),
            }
        }
    }
}

/// Conditional p of cell `i`, each run on a fresh copy of the other values.
fn slow_permutation_p(cells: &[CellIndex], values: &[i128], i: usize, weights: Weights, runs: u32) -> f64 {
    let near: Vec<usize> = (0..cells.len())
        .filter(|&j| j != i && weight(cells[i], cells[j], weights, 1) > 0.0)
        .collect();
    let weighted = |drawn: &[i128]| -> f64 {
        let terms = near.iter().zip(drawn);
        terms
            .map(|(&j, &x)| weight(cells[i], cells[j], weights, 1) * x as f64)
            .sum()
    };
    let observed = weighted(&near.iter().map(|&j| values[j]).collect::<Vec<i128>>());
    let mut random = SplitMix64::stream(11, cells[i].into());
    let (mut high, mut low) = (0, 0);
    for _ in 0..runs {
        let mut others = values.to_vec();
        others.remove(i);
        for j in 0..near.len() {
            let other = j + random.below((others.len() - j) as u64) as usize;
            others.swap(j, other);
        }
        let simulated = weighted(&others[..near.len()]);
        let equal = (simulated - observed).abs() <= 1e-12 * simulated.abs().max(observed.abs());
        high += u32::from(equal || simulated > observed);
        low += u32::from(equal || simulated < observed);
    }
    (2.0 * f64::from(high.min(low) + 1) / f64::from(runs + 1)).min(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_permutation_p_is_that_of_the_slow_loop(
        values in prop::collection::vec(0_i128..4, 19),
        choice in 0..3_usize,
        threads in 1..8_usize,
    ) {
        let weights = [Weights::Disk, Weights::Distance(700.0), Weights::Bisquare(800.0)][choice];
        let cells = disk(cell(CENTRE), 2);
        let options = LocalOptions {
            domain: Domain::Observed,
            method: Method::Permutation,
            permutations: 49,
            seed: 11,
            threads: NonZeroUsize::new(threads).unwrap(),
            ..Default::default()
        };
        let table = weighted_hotspots(&cells, &values, weights, &options).unwrap();
        let cells: Vec<CellIndex> = cells.into_iter().map(cell).collect();
        for i in 0..cells.len() {
            let slow = if table.z[i].is_nan() { 1.0 } else { slow_permutation_p(&cells, &values, i, weights, 49) };
            prop_assert_eq!(table.p[i], slow);
        }
    }

    #[test]
    fn the_exact_p_of_a_cell_is_the_enumeration(values in prop::collection::vec(0_i128..5, 10), first in 0..9_usize) {
        let cells: Vec<u64> = disk(cell(CENTRE), 2).into_iter().skip(first).take(10).collect();
        let options = LocalOptions { domain: Domain::Observed, method: Method::Exact, ..Default::default() };
        let table = weighted_hotspots(&cells, &values, Weights::Disk, &options).unwrap();
        let cells: Vec<CellIndex> = cells.into_iter().map(cell).collect();
        for i in 0..cells.len() {
            let near: Vec<i128> = (0..cells.len())
                .filter(|&j| weight(cells[i], cells[j], Weights::Disk, 1) > 0.0)
                .map(|j| values[j])
                .collect();
            let slow = if table.z[i].is_nan() { 1.0 } else { p_by_enumeration(&values, near.len(), near.iter().sum()) };
            prop_assert!((table.p[i] - slow).abs() <= 1e-12, "{} {}", table.p[i], slow);
        }
    }
}

#[test]
fn bisquare_weights_are_those_of_the_formula() {
    let cells: Vec<CellIndex> = disk(cell(CENTRE), 3).into_iter().map(cell).collect();
    let neighbours = Neighbours::new(&cells, Weights::Bisquare(1_000.0), 1).unwrap();
    for i in 0..cells.len() {
        assert!(neighbours.of(i).is_sorted());
        for (&j, &got) in neighbours.of(i).iter().zip(neighbours.weights_of(i)) {
            let expected = weight(cells[i], cells[j as usize], Weights::Bisquare(1_000.0), 1);
            assert!((got - expected).abs() < 1e-15);
        }
    }
}
