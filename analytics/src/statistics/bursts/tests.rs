//! Bursts: golden numbers, the definition as slow loops, false alarms.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::fit::GroupFit;
use super::leaving_out::Fitted;
use super::*;
use crate::statistics::SplitMix64;

static STOP: AtomicBool = AtomicBool::new(false);

/// The worked example: one group of four cells, ten windows of unlike exposure.
const EXPOSURES: [f64; 10] = [1.0, 2.0, 1.0, 1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.5];
const COUNTS: [[u64; 10]; 4] = [
    [0, 1, 0, 0, 0, 0, 1, 0, 0, 0],
    [2, 5, 1, 3, 1, 2, 4, 2, 1, 0],
    [1, 2, 0, 1, 0, 13, 2, 1, 0, 1],
    [4, 9, 5, 2, 1, 3, 11, 4, 6, 0],
];
const VALUES: [u64; 4] = [2, 9, 3, 12];
const EXPOSURE_NOW: f64 = 1.5;

#[track_caller]
fn assert_close(got: f64, expected: f64) {
    assert!(
        (got - expected).abs() <= 1e-9 * expected.abs() + 5e-13,
        "{got} instead of {expected}"
    );
}

fn example() -> Past {
    let counts = (0..).zip(COUNTS).flat_map(|(cell, counts)| {
        let of_cell = (0..).zip(counts).filter(|(_, count)| *count > 0);
        of_cell.map(move |(hour, count)| PastCount { cell, hour, count })
    });
    Past {
        groups: vec![0; 4],
        hours: (0..10).collect(),
        hours_of_window: 1,
        counts: counts.collect(),
    }
}

fn assert_fit(fitted: &Fitted<'_>, group: [f64; 3], means: [f64; 4], sizes: [f64; 4], p: [f64; 4]) {
    let sums = fitted.all_sums();
    let fit = GroupFit::of(&sums.iter());
    for (got, expected) in [fit.mean, fit.inverse_kappa, fit.variance].into_iter().zip(group) {
        assert_close(got, expected);
    }
    for cell in 0..4 {
        let law = fitted.law_of(cell);
        let mean = EXPOSURE_NOW * law.rate;
        assert_close(mean, means[cell]);
        assert_close(1.0 / law.inverse_size, sizes[cell]);
        assert_close(upper_tail(VALUES[cell], mean, law.inverse_size), p[cell]);
    }
}

#[test]
fn the_worked_example_comes_out() {
    let past = example();
    let mut fitted = Fitted::with_exposures(&past, &EXPOSURES);
    assert_fit(
        &fitted,
        [2.022_727_272_727, 0.272_465_114_006, 1.605_564_662_435],
        [
            0.589_951_539_710,
            2.891_276_473_588,
            2.891_276_473_588,
            5.469_034_456_059,
        ],
        [
            1.762_155_238_187,
            2.797_705_138_266,
            2.797_705_138_266,
            3.011_543_640_428,
        ],
        [
            0.133_112_869_239,
            0.030_435_689_229,
            0.479_098_882_045,
            0.078_897_115_697,
        ],
    );
    assert!(fitted.leave_out_and_fit(1e-3));
    assert!(!fitted.leave_out_and_fit(1e-3));
    assert_eq!([0, 1, 2, 3].map(|cell| fitted.left_out_of(cell)), [0, 0, 1, 0]);
    assert_fit(
        &fitted,
        [1.767_441_860_465, 0.0, 2.082_560_597_866],
        [
            0.443_087_671_646,
            2.848_417_501_333,
            1.313_523_676_880,
            5.886_728_865_149,
        ],
        [0, 1, 2, 3].map(size_of_example),
        [
            0.081_974_961_104,
            0.005_066_497_849,
            0.155_567_166_336,
            0.024_413_925_513,
        ],
    );
}

/// A = a + Y, where windows differ by chance alone.
fn size_of_example(cell: usize) -> f64 {
    let (mean, variance) = (1.767_441_860_465_116, 2.082_560_597_866);
    let events: u64 = COUNTS[cell].iter().sum();
    let left_out = if cell == 2 { 13 } else { 0 };
    mean * mean / variance + (events - left_out) as f64
}

#[test]
fn without_spread_over_time_it_is_the_estimate_of_marshall() {
    let past = example();
    let fitted = Fitted::with_exposures(&past, &EXPOSURES);
    let sums = fitted.all_sums();
    let fit = GroupFit::of(&sums.iter());
    // τ² of a law without 1/κ is larger by what 1/κ took of it.
    let uneven: f64 = sums
        .iter()
        .map(|cell| cell.exposure_squares / cell.exposure.powi(2))
        .sum();
    let fit = GroupFit {
        inverse_kappa: 0.0,
        variance: fit.variance + fit.mean * fit.mean * fit.inverse_kappa * uneven / 4.0,
        ..fit
    };
    let marshall = [
        0.357_849_241_814,
        1.919_957_023_905,
        1.919_957_023_905,
        3.893_145_801_284,
    ];
    for (sums, expected) in sums.iter().zip(marshall) {
        assert_close(fit.law(sums).rate, expected);
    }
}

const EXAMPLE: [f64; 28] = [
    3.0, 5.0, 2.0, 4.0, 6.0, 3.0, 1.0, 4.0, 7.0, 3.0, 5.0, 2.0, 4.0, 3.0, 6.0, 4.0, 14.0, 3.0, 5.0, 2.0, 4.0,
    3.0, 5.0, 4.0, 6.0, 2.0, 9.0, 12.0,
];

#[test]
fn models_of_the_days_before_give_what_surveillance_gives() {
    assert_close(ears_c1(&EXAMPLE[..17]).unwrap(), 7.540_118_265_561);
    assert_close(ears_c2(&EXAMPLE[..17]).unwrap(), 6.123_724_356_958);
    assert_close(ears_c3(&EXAMPLE[..17]).unwrap(), 5.345_303_144_109);
    assert_close(ears_c3(&EXAMPLE).unwrap(), 8.591_298_151_461);
    let (statistic, alarms) = DayModel::Cusum.judge(&EXAMPLE).unwrap();
    assert_close(statistic, 4.961_868_508_280);
    assert!(alarms);
    assert_eq!(DayModel::EarsC1.judge(&EXAMPLE[..7]), None);
    assert_eq!(DayModel::EarsC3.judge(&EXAMPLE[..11]), None);
    assert!(DayModel::EarsC3.judge(&EXAMPLE[..12]).is_some());
    assert_eq!(DayModel::Cusum.judge(&[0.0, 0.0, 1.0, 5.0]), None);
    assert_eq!(DayModel::Cusum.judge(&[]), None);
    // A C1 of exactly 3 is no alarm, a CUSUM of 2.26 is one.
    assert_eq!(
        DayModel::EarsC1.judge(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5]),
        Some((3.0, false))
    );
}

#[test]
fn farringtons_model_comes_out() {
    // Today is the 24th day; three weeks back, a day either side.
    let references: Vec<f64> = (1..=3)
        .flat_map(|week| (-1..=1).map(move |day| 24 - 7 * week + day))
        .map(|day: i32| EXAMPLE[day as usize - 1])
        .collect();
    let found = Farrington::with_threshold(EXAMPLE[23] as u64, &references, 2.0).unwrap();
    assert_close(found.expected, 4.385_661_154_718);
    assert_close(1.0 + found.inverse_size * found.expected, 1.169_664_695_881);
    assert_close(found.p, 0.619_130_978_098);
    assert_eq!(Farrington::of(3, &[0.0; 24]), None);
    assert_eq!(Farrington::of(3, &[2.0; 24]).unwrap().inverse_size, 0.0);
}

#[test]
fn where_nothing_ever_happened_one_event_is_odd_and_not_impossible() {
    let past = Past {
        groups: vec![0, 0],
        hours: (0..168).collect(),
        hours_of_window: 1,
        counts: Vec::new(),
    };
    let window = Window {
        values: vec![1, 0],
        hours: vec![(3, 1.0)],
    };
    let table = bursts(&past, &window, &OPTIONS, &STOP).unwrap();
    assert_close(table.expected[0], 0.5 / 168.0);
    assert_close(table.size[0], 0.5);
    assert!(table.p[0] > 1e-4 && table.p[0] < 0.01);
    assert_eq!(table.p[1], 1.0);
}

#[test]
fn a_cell_that_only_ever_had_bursts_keeps_the_least_of_them_as_its_past() {
    // One busy cell among many silent ones, in all of its windows.
    let counts = (0..30).map(|hour| PastCount {
        cell: 0,
        hour,
        count: 50 + u64::from(hour),
    });
    let past = Past {
        groups: vec![0; 400],
        hours: (0..30).collect(),
        hours_of_window: 1,
        counts: counts.collect(),
    };
    let fitted = Fitted::of(&past, 0.999, &STOP).unwrap();
    assert!(fitted.left_out_of(0) < 30, "{}", fitted.left_out_of(0));
    assert!(fitted.law_of(0).rate.is_finite());
}

const OPTIONS: BurstOptions = BurstOptions {
    exclude_p: 1e-4,

    days: 1.0 / 24.0,
    looks: 1.0,
};

/// All of the definition in loops over everything: expected, size, p, windows left out.
fn slowly(past: &Past, window: &Window, exclude_p: f64) -> Vec<(f64, f64, f64, u32)> {
    let (cells, length) = (past.groups.len(), past.hours_of_window);
    let windows = past.hours.len() / length;
    let groups = past.groups.iter().max().map_or(0, |group| *group as usize + 1);
    let mut of_hours = vec![vec![0.0; past.hours.len()]; cells];
    for count in &past.counts {
        of_hours[count.cell as usize][count.hour as usize] += count.count as f64;
    }
    let y: Vec<Vec<f64>> = of_hours
        .iter()
        .map(|hours| hours.chunks(length).map(|hours| hours.iter().sum()).collect())
        .collect();
    let mut left_out: Vec<Vec<Option<f64>>> = vec![vec![None; windows]; cells];
    let mut weeks = vec![[1.0; HOURS_OF_WEEK]; groups];
    let mut times = [0.0; HOURS_OF_WEEK];
    for hour in &past.hours {
        times[*hour as usize] += 1.0;
    }
    let seen: Vec<usize> = (0..HOURS_OF_WEEK).filter(|hour| times[*hour] > 0.0).collect();
    let mean_of = |values: &[f64]| seen.iter().map(|hour| values[*hour]).sum::<f64>() / seen.len() as f64;
    let mean_times = mean_of(&times);
    let mut laws = vec![(0.0, 0.0); cells];
    for round in 0..=5 {
        let mut events = vec![[0.0; HOURS_OF_WEEK]; groups];
        for cell in 0..cells {
            let group = past.groups[cell] as usize;
            for hour in 0..windows * length {
                let of_week = past.hours[hour] as usize;
                let in_window = &past.hours[hour / length * length..hour / length * length + length];
                let all: f64 = in_window.iter().map(|hour| weeks[group][*hour as usize]).sum();
                events[group][of_week] += match left_out[cell][hour / length] {
                    Some(expected) => expected * weeks[group][of_week] / all,
                    None => of_hours[cell][hour],
                };
            }
        }
        let mut city = [1.0; HOURS_OF_WEEK];
        for hour in &seen {
            city[*hour] = (events.iter().map(|group| group[*hour]).sum::<f64>() + 0.5) / times[*hour];
        }
        let mean = mean_of(&city);
        for hour in &seen {
            city[*hour] /= mean;
        }
        for group in 0..groups {
            for hour in &seen {
                weeks[group][*hour] =
                    (events[group][*hour] + 10.0 * city[*hour] * times[*hour] / mean_times) / times[*hour];
            }
            let mean = mean_of(&weeks[group]);
            for hour in &seen {
                weeks[group][*hour] /= mean;
            }
        }
        let e = |cell: usize, window: usize| -> f64 {
            let hours = &past.hours[window * length..(window + 1) * length];
            hours
                .iter()
                .map(|hour| weeks[past.groups[cell] as usize][*hour as usize])
                .sum()
        };
        let sums: Vec<[f64; 5]> = (0..cells)
            .map(|cell| {
                let mut sums = [0.0; 5];
                for window in (0..windows).filter(|window| left_out[cell][*window].is_none()) {
                    let (y, e) = (y[cell][window], e(cell, window));
                    for (sum, term) in sums.iter_mut().zip([y, y * y, y * e, e, e * e]) {
                        *sum += term;
                    }
                }
                sums
            })
            .collect();
        let fit = |members: &[usize]| -> [f64; 3] {
            let sum =
                |of: &dyn Fn(&[f64; 5]) -> f64| members.iter().map(|cell| of(&sums[*cell])).sum::<f64>();
            let n = members.len() as f64;
            let m = sum(&|s| s[0]) / sum(&|s| s[3]);
            let below = sum(&|s| s[0] * (s[0] - 1.0) * s[4] / (s[3] * s[3]));
            let above = sum(&|s| {
                let rate = s[0] / s[3];
                s[1] - 2.0 * rate * s[2] + rate * rate * s[4] - s[0] * (1.0 - s[4] / (s[3] * s[3]))
            });
            let kappa = if below == 0.0 {
                0.0
            } else {
                f64::max(0.0, above / below)
            };
            let spread = sum(&|s| s[3] * (s[0] / s[3] - m).powi(2)) / sum(&|s| s[3])
                - m / (sum(&|s| s[3]) / n)
                - m * m * kappa * sum(&|s| s[4] / (s[3] * s[3])) / n;
            [m, kappa, spread.max(0.0)]
        };
        let everyone: Vec<usize> = (0..cells).collect();
        let total: f64 = y.iter().flatten().sum();
        for cell in 0..cells {
            let members: Vec<usize> = (0..cells)
                .filter(|other| past.groups[*other] == past.groups[cell])
                .collect();
            let of_group: f64 = members.iter().flat_map(|cell| &y[*cell]).sum();
            let [m, kappa, spread] = if total == 0.0 {
                [0.0; 3]
            } else if of_group < 200.0 {
                fit(&everyone)
            } else {
                fit(&members)
            };
            let [events, _, _, exposure, squares] = sums[cell];
            laws[cell] = if m == 0.0 {
                (0.5 / exposure, 2.0)
            } else if spread == 0.0 {
                (m, kappa)
            } else {
                let (a, b) = (m * m / spread, m / spread);
                let psi = 1.0 + (a + events) / (b + exposure) * squares / exposure * kappa;
                let (a, b) = (a + events / psi, b + exposure / psi);
                (a / b, 1.0 / a + kappa + kappa / a)
            };
        }
        if round == 5 {
            break;
        }
        let before: Vec<Vec<bool>> = left_out
            .iter()
            .map(|cell| cell.iter().map(Option::is_some).collect())
            .collect();
        for cell in 0..cells {
            let p: Vec<f64> = (0..windows)
                .map(|window| {
                    upper_tail(
                        y[cell][window] as u64,
                        e(cell, window) * laws[cell].0,
                        laws[cell].1,
                    )
                })
                .collect();
            left_out[cell] = (0..windows)
                .map(|window| (p[window] < exclude_p).then(|| e(cell, window) * laws[cell].0))
                .collect();
            if left_out[cell].iter().all(Option::is_some) {
                let most =
                    (0..windows).fold(0, |most, window| if p[window] > p[most] { window } else { most });
                left_out[cell][most] = None;
            }
        }
        let after: Vec<Vec<bool>> = left_out
            .iter()
            .map(|cell| cell.iter().map(Option::is_some).collect())
            .collect();
        if before == after {
            break;
        }
    }
    (0..cells)
        .map(|cell| {
            let week = &weeks[past.groups[cell] as usize];
            let exposure: f64 = window.hours.iter().map(|(hour, part)| week[*hour] * part).sum();
            let (rate, inverse_size) = laws[cell];
            let p = upper_tail(window.values[cell], exposure * rate, inverse_size);
            let out = left_out[cell].iter().filter(|out| out.is_some()).count() as u32;
            (exposure * rate, 1.0 / inverse_size, p, out)
        })
        .collect()
}

fn pasts() -> impl Strategy<Value = (Past, Window)> {
    (1..4_usize, 1..12_usize, 0..168_u8, 1..4_u32).prop_flat_map(|(length, windows, first, groups)| {
        let hours = length * windows;
        let counts = prop::collection::btree_map((0..6_u32, 0..hours as u32), 1..90_u64, 0..40);
        (counts, prop::collection::vec(0..40_u64, 6)).prop_map(move |(counts, values)| {
            let counts = counts
                .into_iter()
                .map(|((cell, hour), count)| PastCount { cell, hour, count });
            let past = Past {
                groups: (0..6).map(|cell| cell % groups).collect(),
                hours: (0..hours)
                    .map(|hour| ((usize::from(first) + hour) % 168) as u8)
                    .collect(),
                hours_of_window: length,
                counts: counts.collect(),
            };
            let window = Window {
                values,
                hours: vec![(usize::from(first), 0.75), ((usize::from(first) + 1) % 168, 1.0)],
            };
            (past, window)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bursts_are_those_of_the_slow_loops((past, window) in pasts(), exclude_p in prop_oneof![Just(0.0), Just(1e-4), Just(0.05)]) {
        let options = BurstOptions { exclude_p, ..OPTIONS };
        let table = bursts(&past, &window, &options, &STOP).unwrap();
        for (cell, (expected, size, p, out)) in slowly(&past, &window, exclude_p).into_iter().enumerate() {
            let close = |got: f64, expected: f64| got == expected || (got - expected).abs() <= 1e-7 * expected.abs();
            prop_assert!(close(table.expected[cell], expected), "{} {}", table.expected[cell], expected);
            // A size that is infinite but for rounding is infinite.
            prop_assert!(close(table.size[cell], size) || size > 1e9, "{} {}", table.size[cell], size);
            prop_assert!((table.p[cell] - p).abs() <= 1e-7 * p + 1e-12, "{} {}", table.p[cell], p);
            prop_assert_eq!(table.excluded[cell], out);
        }
    }
}

/// Counts that cluster as the model says: Poisson of a gamma of shape 4.
fn clustered(mean: f64, random: &mut SplitMix64) -> u64 {
    let gamma: f64 = (0..4).map(|_| -(1.0 - random.unit()).ln()).sum::<f64>() / 4.0;
    let (mut time, mut count) = (0.0, 0);
    loop {
        time -= (1.0 - random.unit()).ln();
        if time > gamma * mean {
            return count;
        }
        count += 1;
    }
}

#[test]
fn noise_is_called_a_burst_about_as_often_as_said() {
    const CELLS: usize = 392;
    let shape = |hour: usize| 1.0 + 0.6 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
    for mean in [1.0, 8.0] {
        let (mut calls, mut attained) = (0.0, 0.0);
        for run in 0..6 {
            let mut random = SplitMix64::stream(20_261_130, run);
            let mut counts = Vec::new();
            for cell in 0..CELLS as u32 {
                for hour in 0..56 * 24 {
                    let count = clustered(mean * shape(hour % 24), &mut random);
                    if count > 0 {
                        counts.push(PastCount {
                            cell,
                            hour: hour as u32,
                            count,
                        });
                    }
                }
            }
            let past = Past {
                groups: (0..CELLS as u32).map(|cell| cell / 49).collect(),
                hours: (0..56 * 24).map(|hour| (hour % 168) as u8).collect(),
                hours_of_window: 1,
                counts,
            };
            let fitted = Fitted::of(&past, OPTIONS.exclude_p, &STOP).unwrap();
            for hour in 0..24 {
                let now = [((56 * 24 + hour) % 168, 1.0)];
                let of_truth = mean * shape(hour);
                for cell in 0..CELLS {
                    let (exposure, law) = (fitted.exposure_of(cell, &now), fitted.law_of(cell));
                    let is_call = |count| {
                        let p = upper_tail(count, exposure * law.rate, law.inverse_size);
                        recurrence_days(p, 1.0 / 24.0, 1.0) >= 10.0
                    };
                    let least = (0..10_000_u64).find(|count| is_call(*count)).unwrap();
                    attained += upper_tail(least, of_truth, 0.25);
                    calls += f64::from(u8::from(clustered(of_truth, &mut random) >= least));
                }
            }
        }
        let (low, high) = (
            0.75 * attained - 4.0 * attained.sqrt(),
            1.25 * attained + 4.0 * (1.25 * attained).sqrt(),
        );
        assert!(
            (low..=high).contains(&calls),
            "mean {mean}: {calls} calls, {attained} said"
        );
        assert!(attained > 50.0);
    }
}
