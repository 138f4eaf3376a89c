//! Local Moran's I: the worked example, its p beside that of `hotspots`, a slow loop, and where it is undefined.

use std::num::NonZeroUsize;

use h3o::CellIndex;
use proptest::prelude::*;

use super::edges::odd_places;
use super::golden::{CELL_23, CELL_63, CELL_67, events};
use super::obvious::{cell, disk, p_by_enumeration};
use super::{hotspots, local_moran};
use crate::statistics::{Domain, LocalMoranTable, LocalOptions, Method, Quadrant, q_values};

const CELL_6B: u64 = 0x0894_11ca_1b6b_ffff;

fn with(method: Method) -> LocalOptions {
    LocalOptions {
        method,
        ..Default::default()
    }
}

fn golden(method: Method) -> LocalMoranTable {
    let (cells, values) = events();
    local_moran(&cells, &values, &with(method)).unwrap()
}

#[test]
fn the_worked_example_comes_out() {
    let table = golden(Method::Auto);
    assert_eq!((table.n, table.method), (19, Method::Exact));
    let expected = [
        (CELL_67, 1.317_640_959_810, "HH"),
        (CELL_63, 1.183_963_661_499, "HH"),
        (CELL_6B, -0.495_679_865_706, "LH"),
        (CELL_23, 0.227_115_631_480, "LL"),
    ];
    for (cell, i, quadrant) in expected {
        let row = table.cell.iter().position(|&present| present == cell).unwrap();
        let got = table.i[row];
        assert!((got - i).abs() <= 5e-13 + 1e-9 * i.abs(), "{got} instead of {i}");
        assert_eq!(table.quadrant[row].as_str(), quadrant);
    }
    let centre = table.cell.iter().position(|&cell| cell == CELL_67).unwrap();
    let p = 2.0 / 18_564.0;
    assert!((table.p[centre] - p).abs() <= 1e-9 * p, "{}", table.p[centre]);
    assert_eq!(table.class[centre], Quadrant::HighHigh);
    for (&class, (&quadrant, &q)) in table.class.iter().zip(table.quadrant.iter().zip(&table.q)) {
        assert_eq!(class, if q <= 0.05 { quadrant } else { Quadrant::None });
    }
}

#[test]
fn its_simulated_p_is_that_of_hotspots_at_the_same_seed() {
    let (cells, values) = events();
    for seed in 0..5 {
        let options = LocalOptions {
            seed,
            ..with(Method::Permutation)
        };
        let moran = local_moran(&cells, &values, &options).unwrap();
        let hot = hotspots(&cells, &values, &options).unwrap();
        assert_eq!((moran.p, moran.q), (hot.p, hot.q));
        assert_eq!(moran.runs_needed, hot.runs_needed);
    }
}

#[test]
fn the_simulated_p_comes_to_the_exact_one() {
    let exact = golden(Method::Exact).p;
    let (cells, values) = events();
    let many = LocalOptions {
        permutations: 40_000,
        ..with(Method::Permutation)
    };
    let simulated = local_moran(&cells, &values, &many).unwrap().p;
    for (exact, simulated) in exact.iter().zip(simulated) {
        // Five standard errors of the smaller tail, doubled.
        let allowed = 10.0 * (exact / 2.0 / 40_000.0).sqrt() + 1e-4;
        assert!(
            (exact - simulated).abs() <= allowed,
            "{simulated} instead of {exact}"
        );
    }
}

#[test]
fn threads_do_not_change_a_digit() {
    let (cells, values) = events();
    let tables = [1, 2, 7].map(|threads| {
        let options = LocalOptions {
            threads: NonZeroUsize::new(threads).unwrap(),
            ..with(Method::Permutation)
        };
        local_moran(&cells, &values, &options).unwrap()
    });
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[1], tables[2]);
}

#[test]
fn fields_without_a_statistic_say_none() {
    let cells = disk(cell(CELL_67), 2);
    let fields: [(&str, &[u64], Vec<i128>); 4] = [
        ("no cell", &[], vec![]),
        ("one cell", &cells[..1], vec![5]),
        ("all zero", &cells, vec![0; 19]),
        ("constant", &cells, vec![-7; 19]),
    ];
    for (name, cells, values) in fields {
        for method in [Method::Auto, Method::Exact, Method::Permutation] {
            let options = LocalOptions {
                domain: Domain::Observed,
                ..with(method)
            };
            let table = local_moran(cells, &values, &options).unwrap();
            let n = cells.len();
            assert!(table.i.iter().all(|i| i.is_nan()), "{name} {method:?}");
            assert_eq!(table.i.len(), n, "{name} {method:?}");
            assert_eq!(
                (table.p, table.q),
                (vec![1.0; n], vec![1.0; n]),
                "{name} {method:?}"
            );
            assert_eq!(table.class, vec![Quadrant::None; n], "{name} {method:?}");
            assert_eq!(table.quadrant, vec![Quadrant::None; n], "{name} {method:?}");
        }
    }
}

#[test]
fn cells_without_a_neighbour_have_zero_and_are_outside_the_family() {
    let (cells, values) = events();
    let far: u64 = "8928308280fffff".parse::<CellIndex>().unwrap().into();
    for method in [Method::Exact, Method::Permutation] {
        let options = LocalOptions {
            domain: Domain::Observed,
            ..with(method)
        };
        let mut all = vec![far];
        all.extend(&cells);
        let mut all_values = vec![30];
        all_values.extend(&values);
        let table = local_moran(&all, &all_values, &options).unwrap();
        assert_eq!((table.i[0], table.neighbours[0]), (0.0, 0));
        assert_eq!(
            (table.quadrant[0], table.class[0]),
            (Quadrant::None, Quadrant::None)
        );
        assert_eq!((table.p[0], table.q[0]), (1.0, 1.0));
        assert_eq!(table.q[1..], q_values(&table.p[1..], options.fdr));
    }
}

#[test]
fn the_normal_law_is_refused_and_auto_falls_back_to_permutation() {
    let (cells, values) = events();
    let refused = local_moran(&cells, &values, &with(Method::Analytic)).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("method is 'analytic', allowed is 'auto', 'exact' or 'permutation'"),
        "{refused}"
    );
    let area = disk(cell(CELL_67), 15);
    let wide: Vec<i128> = (0..area.len() as i128).map(|i| i * i * 1_000_003 + i).collect();
    let options = |method| LocalOptions {
        domain: Domain::Observed,
        permutations: 9,
        ..with(method)
    };
    let table = local_moran(&area, &wide, &options(Method::Auto)).unwrap();
    assert_eq!(table.method, Method::Permutation);
    let refused = local_moran(&area, &wide, &options(Method::Exact)).unwrap_err();
    assert!(refused.to_string().starts_with("method is 'exact'"), "{refused}");
}

/// I, quadrant and exact p of cell `i` as the definition reads, over floats and over every subset.
fn slowly(cells: &[CellIndex], values: &[i128], k: u32, i: usize) -> (f64, Quadrant, f64) {
    let n = cells.len() as f64;
    let x: Vec<f64> = values.iter().map(|&x| x as f64).collect();
    let mean = x.iter().sum::<f64>() / n;
    let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    let near: Vec<usize> = (0..cells.len())
        .filter(|&j| j != i && cells[i].grid_disk_safe(k).any(|other| other == cells[j]))
        .collect();
    if values.iter().all(|value| *value == values[0]) {
        return (f64::NAN, Quadrant::None, 1.0);
    }
    if near.is_empty() {
        return (0.0, Quadrant::None, 1.0);
    }
    let around = near.iter().map(|&j| x[j] - mean).sum::<f64>() / near.len() as f64;
    let own = x[i] - mean;
    let sign = |x: f64| if x.abs() < 1e-9 { 0 } else { x.signum() as i8 };
    let quadrant = match (sign(own), sign(around)) {
        (1, 1) => Quadrant::HighHigh,
        (-1, 1) => Quadrant::LowHigh,
        (-1, -1) => Quadrant::LowLow,
        (1, -1) => Quadrant::HighLow,
        _ => Quadrant::None,
    };
    let mut others = values.to_vec();
    others.remove(i);
    let sum: i128 = near.iter().map(|&j| values[j]).sum();
    let p = p_by_enumeration(&others, near.len(), sum);
    (own * around / (squares / (n - 1.0)), quadrant, p)
}

#[test]
fn near_pentagons_poles_and_the_antimeridian_it_is_the_slow_loop() {
    let mut pentagons = 0;
    for (centre, place) in odd_places() {
        let cells: Vec<u64> = disk(centre, 2)
            .into_iter()
            .take(9)
            .chain([centre.into()])
            .collect();
        let mut cells: Vec<u64> = cells.into_iter().chain(disk(centre, 1)).collect();
        cells.sort_unstable();
        cells.dedup();
        pentagons += usize::from(centre.is_pentagon());
        let values: Vec<i128> = (0..cells.len() as i128).map(|i| i * i % 7).collect();
        assert_slow(&cells, &values, 1, place);
    }
    assert_eq!(pentagons, 48, "12 at each of 4 resolutions");
}

fn assert_slow(cells: &[u64], values: &[i128], k: u32, place: &str) {
    let options = LocalOptions {
        domain: Domain::Observed,
        k,
        ..with(Method::Exact)
    };
    let table = local_moran(cells, values, &options).unwrap();
    let cells: Vec<CellIndex> = cells.iter().copied().map(cell).collect();
    for i in 0..cells.len() {
        let (score, quadrant, p) = slowly(&cells, values, k, i);
        let got = table.i[i];
        assert!(
            (got - score).abs() <= 1e-9 * score.abs().max(1e-3) || (got.is_nan() && score.is_nan()),
            "{place}, {values:?}: {got} instead of {score}"
        );
        assert_eq!(table.quadrant[i], quadrant, "{place}, {values:?}");
        assert!(
            (table.p[i] - p).abs() <= 1e-12,
            "{place}, {values:?}: {} instead of {p}",
            table.p[i]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn it_is_the_slow_loop(values in prop::collection::vec(-2_i128..5, 10), first in 0..9_usize, k in 0..3_u32) {
        // Ten of the 19 cells, so that some have few neighbours and some none.
        let cells: Vec<u64> = disk(cell(CELL_67), 2).into_iter().skip(first).take(10).collect();
        assert_slow(&cells, &values, k, "a disk with gaps");
    }
}
