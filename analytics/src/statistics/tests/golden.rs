//! Golden numbers: the seven cells of a worked example, from esda and an independent script.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use super::hotspots;
use crate::statistics::{Domain, ExactLaw, FalseDiscovery, HotspotTable, LocalOptions, Method, ValueCounts};

const EVENTS: [(u64, i128); 7] = [
    (0x0894_11ca_1b2b_ffff, 2),
    (0x0894_11ca_1b63_ffff, 14),
    (0x0894_11ca_1b67_ffff, 9),
    (0x0894_11ca_1b6f_ffff, 11),
    (0x0894_11ca_1b77_ffff, 6),
    (0x0894_11ca_f593_ffff, 1),
    (0x0894_11ca_f59b_ffff, 3),
];
pub(super) const CELL_67: u64 = 0x0894_11ca_1b67_ffff;
pub(super) const CELL_63: u64 = 0x0894_11ca_1b63_ffff;
pub(super) const CELL_23: u64 = 0x0894_11ca_1b23_ffff;

pub(super) fn events() -> (Vec<u64>, Vec<i128>) {
    EVENTS.into_iter().unzip()
}

fn answer(options: &LocalOptions) -> HotspotTable {
    let (cells, values) = events();
    hotspots(&cells, &values, options).unwrap()
}

fn row(table: &HotspotTable, cell: u64) -> usize {
    table.cell.iter().position(|&present| present == cell).unwrap()
}

#[track_caller]
fn assert_close(got: f64, expected: f64) {
    assert!(
        (got - expected).abs() <= 1e-9 * expected.abs(),
        "{got} instead of {expected}"
    );
}

#[test]
fn the_study_area_is_the_disk_of_nineteen() {
    let table = answer(&LocalOptions::default());
    assert_eq!(table.cell, super::obvious::disk(super::obvious::cell(CELL_67), 2));
    assert_eq!(table.n, 19);
    assert!(table.is_small());
    assert_eq!(table.value.iter().sum::<i128>(), 46);
    assert_eq!(table.neighbours[row(&table, CELL_67)], 6);
}

#[test]
fn scores_and_analytic_p_come_out() {
    let table = answer(&LocalOptions {
        method: Method::Analytic,
        ..Default::default()
    });
    let golden = [
        (CELL_67, 3.195_077_962_137, 1.397_930_724_567e-3),
        (CELL_63, 2.535_224_904_739, 1.123_751_525_350e-2),
        (CELL_23, -0.999_906_186_969, 0.317_355_910_007),
    ];
    for (cell, z, p) in golden {
        let row = row(&table, cell);
        assert_close(table.z[row], z);
        assert!(
            (table.p[row] - p).abs() <= 1e-9 * p + 5e-13,
            "{} instead of {p}",
            table.p[row]
        );
    }
    let hottest = row(&table, CELL_67);
    assert!((table.q[hottest] - 0.026_561).abs() < 5e-7);
    assert_eq!(table.class[hottest].as_str(), "hot_95");
    assert_eq!(table.method.as_str(), "analytic");
}

#[test]
fn exact_p_and_q_come_out_and_auto_takes_them() {
    let table = answer(&LocalOptions::default());
    let golden = [
        (CELL_67, 3.969_199_015_639e-5, 7.541_478_129_713e-4),
        (CELL_63, 0.018_536_159_403, 0.176_093_514_329),
        (CELL_23, 0.482_456_140_351, 0.833_333_333_333),
    ];
    for (cell, p, q) in golden {
        let row = row(&table, cell);
        assert!(
            (table.p[row] - p).abs() <= 1e-9 * p,
            "{} instead of {p}",
            table.p[row]
        );
        assert!(
            (table.q[row] - q).abs() <= 1e-9 * q,
            "{} instead of {q}",
            table.q[row]
        );
    }
    assert_eq!(table.class[row(&table, CELL_67)].as_str(), "hot_99");
    assert_eq!(table.method.as_str(), "exact");
    assert_eq!(table.runs_needed, []);
}

#[test]
fn seeded_permutation_p_is_equal_whatever_the_threads() {
    let mut tables = [1, 2, 7].map(|threads| {
        let threads = NonZeroUsize::new(threads).unwrap();
        answer(&LocalOptions {
            method: Method::Permutation,
            threads,
            ..Default::default()
        })
    });
    for (cell, p) in [(CELL_67, 0.002), (CELL_63, 0.066), (CELL_23, 0.696)] {
        assert_eq!(tables[0].p[row(&tables[0], cell)], p);
    }
    tables.rotate_left(1);
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[1], tables[2]);
}

#[test]
fn another_seed_gives_other_p() {
    let p = |seed| {
        answer(&LocalOptions {
            method: Method::Permutation,
            seed,
            ..Default::default()
        })
        .p
    };
    assert_eq!(p(1), p(1));
    assert_ne!(p(0), p(1));
}

#[test]
fn a_cell_at_the_floor_says_how_many_runs_it_needs() {
    let few = answer(&LocalOptions {
        method: Method::Permutation,
        permutations: 99,
        ..Default::default()
    });
    let hottest = row(&few, CELL_67);
    let at_floor = few.p.iter().filter(|&&p| p == 0.02).count() as u64;
    assert_eq!(few.p[hottest], 0.02);
    assert!(few.q[hottest] > 0.05);
    assert_eq!(
        few.runs_needed[hottest],
        Some((40 * 19_u64).div_ceil(at_floor) - 1)
    );
    let with_by = LocalOptions {
        method: Method::Permutation,
        permutations: 99,
        fdr: FalseDiscovery::BenjaminiYekutieli,
        ..Default::default()
    };
    assert_eq!(answer(&with_by).runs_needed, []);
}

#[test]
fn the_exact_conditional_p_counts_one_way_of_18564() {
    // The cell keeps its 9; its six neighbours hold all that happened elsewhere, the largest sum there is.
    let mut others = vec![0; 12];
    others.extend([2, 14, 11, 6, 1, 3]);
    let law = ExactLaw::new(&ValueCounts::of(&others), &[6], &AtomicBool::new(false)).unwrap();
    assert_close(law.two_sided_p(6, 37).unwrap(), 2.0 / 18_564.0);
}

#[test]
fn without_zeros_the_centre_sees_the_whole_area() {
    let table = answer(&LocalOptions {
        domain: Domain::Observed,
        method: Method::Analytic,
        ..Default::default()
    });
    assert_eq!(table.n, 7);
    let centre = row(&table, CELL_67);
    assert!(table.z[centre].is_nan());
    assert_eq!((table.p[centre], table.q[centre]), (1.0, 1.0));
    assert_eq!(table.class[centre].as_str(), "none");
    assert_close(table.z[row(&table, CELL_63)], 2.125_475_725_296);
}
