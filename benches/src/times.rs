//! How times are taken and printed: always the median with the least and the greatest.

use std::time::{Duration, Instant};

use crate::Outcome;

/// Runs of one measurement.
const RUNS: usize = 7;

/// Times `work` and prints one line: the name, the median, the least and the greatest, and what `show` makes of the median.
pub fn measure<T>(name: &str, mut work: impl FnMut() -> T, show: impl Fn(Duration) -> String) -> Duration {
    let times = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(work());
            began.elapsed()
        })
        .collect();
    print_times(name, times, show)
}

/// What `runs` runs of `work` took, each.
pub async fn times_of(runs: usize, mut work: impl AsyncFnMut() -> Outcome<()>) -> Outcome<Vec<Duration>> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let began = Instant::now();
        work().await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

/// Prints one line and returns the median, as [`measure`] does.
pub fn print_times(name: &str, mut times: Vec<Duration>, show: impl Fn(Duration) -> String) -> Duration {
    times.sort_unstable();
    let median = at(&times, 50);
    println!(
        "{name:<44} median {median:>12.3?}  least {:>12.3?}  greatest {:>12.3?}  {}",
        at(&times, 0),
        at(&times, 100),
        show(median)
    );
    median
}

/// Prints one line for many times of one thing: the median, the 99th of a hundred, the least and the greatest.
/// Returns the median.
pub fn print_latencies(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let median = at(&times, 50);
    println!(
        "{name:<44} p50 {median:>10.3?}  p99 {:>10.3?}  least {:>10.3?}  greatest {:>10.3?}  of {}",
        at(&times, 99),
        at(&times, 0),
        at(&times, 100),
        times.len()
    );
    median
}

/// Prints one line for a rate of several runs, and returns the median.
pub fn print_rates(name: &str, mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    let median = at(&rates, 50);
    println!(
        "{name:<44} median {median:>12.0}  least {:>12.0}  greatest {:>12.0}  events/s",
        at(&rates, 0),
        at(&rates, 100)
    );
    median
}

/// The value below which `percent` of a hundred lie, of values in order; the default where there are none.
fn at<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted = [1, 2, 3, 4, 5];
        assert_eq!(
            [at(&sorted, 0), at(&sorted, 50), at(&sorted, 99), at(&sorted, 100)],
            [1, 3, 5, 5]
        );
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((at(&hundred, 50), at(&hundred, 99)), (51, 100));
        assert_eq!(at::<u32>(&[], 50), 0);
    }
}
