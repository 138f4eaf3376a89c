//! Trends: golden numbers, pymannkendall, the definition as a slow loop, false alarms.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use crate::statistics::mann_kendall::{Pairs, Trend, TrendMethod};
use crate::statistics::trends::{CellSeries, trends};
use crate::statistics::{FalseDiscovery, SplitMix64};

/// `name, values, …` by `fixtures/reference/time_statistics_reference.py`.
const REFERENCE: &str = include_str!("../../../../fixtures/reference/time_trends.csv");

const EXAMPLE: [f64; 28] = [
    3.0, 5.0, 2.0, 4.0, 6.0, 3.0, 1.0, 4.0, 7.0, 3.0, 5.0, 2.0, 4.0, 3.0, 6.0, 4.0, 14.0, 3.0, 5.0, 2.0, 4.0,
    3.0, 5.0, 4.0, 6.0, 2.0, 9.0, 12.0,
];

fn trend(series: &[f64], method: TrendMethod) -> Option<Trend> {
    Trend::of(series, method, &mut Pairs::default())
}

#[track_caller]
fn assert_close(got: f64, expected: f64) {
    assert!(
        (got - expected).abs() <= 1e-9 * expected.abs() + 5e-13,
        "{got} instead of {expected}"
    );
}

#[track_caller]
fn assert_is(trend: &Trend, [s, variance, z, p, slope]: [f64; 5]) {
    assert_eq!(trend.s as f64, s);
    assert_close(trend.variance, variance);
    assert_close(trend.z, z);
    assert_close(trend.p, p);
    assert_close(trend.slope, slope);
}

#[test]
fn the_worked_example_comes_out() {
    let plain = trend(&EXAMPLE, TrendMethod::Plain).unwrap();
    let of_plain = [
        67.0,
        2_484.333_333_333_333,
        1.324_155_541_276,
        0.185_451_392_719,
        0.066_666_666_667,
    ];
    assert_is(&plain, of_plain);
    assert_close(plain.intercept, 3.1);
    assert_close(plain.tau, 67.0 / 378.0);
    let seasonal = trend(&EXAMPLE, TrendMethod::Seasonal(7)).unwrap();
    let of_seasons = [
        11.0,
        57.666_666_666_667,
        1.316_853_843_918,
        0.187_887_620_408,
        0.119_047_619_048,
    ];
    assert_is(&seasonal, of_seasons);
    assert_close(seasonal.intercept, 2.392_857_142_857);
    assert_close(seasonal.tau, 0.261_904_761_905);
}

#[test]
fn what_is_missing_keeps_its_place_and_leaves_the_pairs() {
    let mut series = EXAMPLE;
    (series[5], series[16]) = (f64::NAN, f64::NAN);
    let with_gaps = trend(&series, TrendMethod::Plain).unwrap();
    let expected = [
        55.0,
        1_992.333_333_333_333,
        1.209_797_713_233,
        0.226_356_523_929,
        0.066_666_666_667,
    ];
    assert_is(&with_gaps, expected);
    assert_eq!(trend(&series, TrendMethod::HamedRao(3)), None);
}

#[test]
fn the_correction_for_what_follows_alike_comes_out() {
    let series = [
        2.0, 3.0, 3.0, 5.0, 6.0, 6.0, 4.0, 3.0, 3.0, 2.0, 1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 8.0, 6.0, 5.0, 4.0,
        4.0, 3.0, 5.0, 6.0, 8.0, 9.0, 9.0, 7.0,
    ];
    let plain = trend(&series, TrendMethod::Plain).unwrap();
    assert_eq!(plain.s, 150);
    assert_close(plain.z, 2.974_057_820_608);
    let corrected = trend(&series, TrendMethod::HamedRao(3)).unwrap();
    assert_close(corrected.variance / plain.variance, 2.397_920_012_535);
    assert_close(corrected.z, 1.920_578_494_374);
    assert_close(corrected.p, 0.054_784_868_546);
}

#[test]
fn other_software_says_the_same() {
    let mut corrected = 0;
    for line in REFERENCE.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let series: Vec<f64> = fields[1].split(' ').map(|value| value.parse().unwrap()).collect();
        let numbers = |from: usize| {
            let mut five = [0.0; 5];
            for (slot, field) in five.iter_mut().zip(&fields[from..]) {
                *slot = field.parse().unwrap();
            }
            five
        };
        for (method, expected) in [
            (TrendMethod::Plain, numbers(2)),
            (TrendMethod::Seasonal(7), numbers(7)),
        ] {
            let got = trend(&series, method).unwrap();
            assert_eq!(got.s as f64, expected[0], "{}", fields[0]);
            assert_close(got.variance, expected[1]);
            assert_close(got.z, expected[2]);
            // It loses the digits of small p.
            if expected[3] > 1e-6 {
                assert_close(got.p, expected[3]);
            }
            assert_close(got.slope, expected[4]);
        }
        if let Ok(z) = fields[12].parse() {
            let got = trend(&series, TrendMethod::HamedRao(3)).unwrap();
            assert_close(got.z, z);
            corrected += 1;
        }
    }
    assert!(corrected >= 3, "{corrected}");
}

#[test]
fn too_few_values_have_no_trend_and_what_does_not_change_has_none_to_tell() {
    assert_eq!(trend(&EXAMPLE[..9], TrendMethod::Plain), None);
    assert_eq!(trend(&EXAMPLE[..13], TrendMethod::Seasonal(7)), None);
    assert!(trend(&EXAMPLE[..14], TrendMethod::Seasonal(7)).is_some());
    for method in [
        TrendMethod::Plain,
        TrendMethod::Seasonal(7),
        TrendMethod::HamedRao(3),
    ] {
        for level in [0.0, 4.0] {
            let flat = trend(&[level; 28], method).unwrap();
            assert_eq!((flat.s, flat.p, flat.slope, flat.intercept), (0, 1.0, 0.0, level));
        }
    }
}

fn table_of(cells: usize, threads: usize) -> crate::statistics::TrendTable {
    let mut random = SplitMix64::stream(5, 5);
    let mut series = CellSeries {
        steps: 30,
        zeros: 0..30,
        ..CellSeries::default()
    };
    for cell in 0..cells {
        series.cells.push(cell as u64);
        if cell % 3 > 0 {
            for step in 0..30 {
                series.known.push((step, random.below(4) as f64));
            }
        }
        series.ends.push(series.known.len());
    }
    let threads = NonZeroUsize::new(threads).unwrap();
    let bh = FalseDiscovery::BenjaminiHochberg;
    trends(&series, TrendMethod::Plain, bh, threads, &AtomicBool::new(false)).unwrap()
}

#[test]
fn threads_change_no_digit_and_empty_cells_are_in_the_family() {
    let one = table_of(100, 1);
    assert_eq!(one, table_of(100, 2));
    assert_eq!(one, table_of(100, 7));
    assert_eq!(one.trend[0].unwrap().p, 1.0);
    let least = one.trend.iter().map(|trend| trend.unwrap().p).fold(1.0, f64::min);
    let q = one.q.iter().copied().fold(1.0, f64::min);
    assert!(q <= 100.0 * least + 1e-12 && q >= least);
}

#[test]
fn noise_is_called_a_trend_about_as_often_as_said() {
    let mut random = SplitMix64::stream(20_261_130, 1);
    let calls = (0..1000)
        .filter(|_| {
            let series: Vec<f64> = (0..60).map(|_| random.unit()).collect();
            trend(&series, TrendMethod::Plain).unwrap().p <= 0.05
        })
        .count();
    assert!((20..=80).contains(&calls), "{calls}");
}

/// The definitions word by word.
fn slowly(series: &[Option<f64>], season: usize) -> Option<(i64, f64, f64)> {
    let known: Vec<(usize, f64)> = (0..series.len()).filter_map(|t| Some((t, series[t]?))).collect();
    if known.len() < 10 {
        return None;
    }
    let (mut s, mut variance, mut slopes) = (0_i64, 0.0, Vec::new());
    for phase in 0..season {
        let of_phase: Vec<_> = known.iter().filter(|(t, _)| t % season == phase).collect();
        if of_phase.len() < 2 {
            return None;
        }
        for a in 0..of_phase.len() {
            for b in a + 1..of_phase.len() {
                let rise = of_phase[b].1 - of_phase[a].1;
                s += if rise > 0.0 {
                    1
                } else if rise < 0.0 {
                    -1
                } else {
                    0
                };
                slopes.push(rise / (of_phase[b].0 - of_phase[a].0) as f64);
            }
        }
        let part = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
        variance += part(of_phase.len() as f64);
        let values: Vec<f64> = of_phase.iter().map(|(_, value)| *value).collect();
        let mut seen: Vec<f64> = Vec::new();
        for value in &values {
            if !seen.contains(value) {
                seen.push(*value);
                variance -= part(values.iter().filter(|other| *other == value).count() as f64);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    let slope = if slopes.len() % 2 == 1 {
        slopes[middle]
    } else {
        f64::midpoint(slopes[middle - 1], slopes[middle])
    };
    Some((s, variance, slope))
}

proptest! {
    #[test]
    fn a_trend_is_the_slow_loop(
        series in prop::collection::vec(prop::option::weighted(0.9, 0..6_i8), 5..40),
        season in 1..8_usize,
    ) {
        let series: Vec<Option<f64>> = series.into_iter().map(|value| value.map(f64::from)).collect();
        let with_gaps: Vec<f64> = series.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        let got = trend(&with_gaps, TrendMethod::Seasonal(season)).map(|trend| (trend.s, trend.variance, trend.slope));
        match (got, slowly(&series, season)) {
            (Some(got), Some(expected)) => {
                prop_assert_eq!(got.0, expected.0);
                prop_assert!((got.1 - expected.1).abs() < 1e-9, "{} {}", got.1, expected.1);
                prop_assert_eq!(got.2, expected.2);
            }
            (got, expected) => prop_assert_eq!(got.is_some(), expected.is_some()),
        }
    }
}
