//! How likely so many events are, or more: upper tails of the negative binomial and the Poisson law.
//!
//! A tail is the chance of the count itself times a continued fraction or a series, neither of which loses digits. That
//! chance follows Loader (2000), "Fast and accurate computation of binomial probabilities": differences of logarithms of
//! gamma functions would lose half of them where counts are large.

use std::f64::consts::PI;

/// Terms after which a fraction or a series is taken as it is: 10^6 suffice for means of 10^11.
const MOST_TERMS: u32 = 1_000_000;
/// Below it a further term changes no digit.
const PRECISION: f64 = 1e-16;
/// Keeps denominators of a continued fraction from 0.
const TINY: f64 = 1e-300;
/// From here on the correction of Stirling's formula is summed from its series.
const STIRLING_FROM: f64 = 15.0;

/// P(N ≥ `count`) where N has this mean and, with `inverse_size` above 0, the variance mean + mean²·`inverse_size`.
#[must_use]
pub fn upper_tail(count: u64, mean: f64, inverse_size: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if mean <= 0.0 {
        return 0.0;
    }
    let count = count as f64;
    let tail = if inverse_size > 0.0 && (1.0 / inverse_size).is_finite() {
        negative_binomial_tail(count, mean, 1.0 / inverse_size)
    } else {
        poisson_tail(count, mean)
    };
    tail.clamp(0.0, 1.0)
}

/// I of μ/(μ + size) at (count, size).
fn negative_binomial_tail(count: f64, mean: f64, size: f64) -> f64 {
    let exactly = negative_binomial_chance(count, mean, size);
    let (share, rest) = (mean / (mean + size), size / (mean + size));
    if share < (count + 1.0) / (count + size + 2.0) {
        exactly * beta_fraction(count, size, share)
    } else if size >= count {
        // The fraction loses digits where the rest is almost 1, and the chances below fall quickly there.
        1.0 - chances_below(count, mean, size)
    } else {
        1.0 - exactly * (count / size) * beta_fraction(size, count, rest)
    }
}

/// P(N < count), for counts below the mean: the largest chance first, each from the one before.
fn chances_below(count: f64, mean: f64, size: f64) -> f64 {
    let mut k = count - 1.0;
    if k < 1.0 {
        return (-size * (mean / size).ln_1p()).exp();
    }
    let mut chance = negative_binomial_chance(k, mean, size);
    let mut sum = chance;
    for _ in 0..MOST_TERMS {
        chance *= k / (k - 1.0 + size) * ((mean + size) / mean);
        sum += chance;
        k -= 1.0;
        if k < 1.0 || chance < PRECISION * sum {
            break;
        }
    }
    sum
}

/// P(N = count).
fn negative_binomial_chance(count: f64, mean: f64, size: f64) -> f64 {
    let all = count + size;
    let (of_size, of_count) = (all * (size / (size + mean)), all * (mean / (size + mean)));
    let log = stirling_error(all)
        - stirling_error(size)
        - stirling_error(count)
        - deviance(size, of_size)
        - deviance(count, of_count);
    let spread = (2.0 * PI * size * (count / all)).ln();
    size / all * (log - 0.5 * spread).exp()
}

/// Lentz's way through the continued fraction of the incomplete beta function; quick for x < (a + 1)/(a + b + 2).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut numerator = 1.0;
    let mut denominator = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = denominator;
    for term in 1..MOST_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        denominator = 1.0 / away(1.0 + even * denominator);
        numerator = away(1.0 + even / numerator);
        fraction *= denominator * numerator;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        denominator = 1.0 / away(1.0 + odd * denominator);
        numerator = away(1.0 + odd / numerator);
        let step = denominator * numerator;
        fraction *= step;
        if (step - 1.0).abs() < PRECISION {
            break;
        }
    }
    fraction
}

fn poisson_tail(count: f64, mean: f64) -> f64 {
    let exactly = (-stirling_error(count) - deviance(count, mean)).exp() / (2.0 * PI * count).sqrt();
    if mean < count + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for step in 1..MOST_TERMS {
            term *= mean / (count + f64::from(step));
            sum += term;
            if term < PRECISION * sum {
                break;
            }
        }
        return exactly * sum;
    }
    // The lower tail is the shorter one.
    let mut b = mean + 1.0 - count;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for step in 1..MOST_TERMS {
        let a = -f64::from(step) * (f64::from(step) - count);
        b += 2.0;
        let below = a * d + b;
        d = 1.0 / if below.abs() < TINY { TINY } else { below };
        c = b + a / c;
        if c.abs() < TINY {
            c = TINY;
        }
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    1.0 - exactly * count * fraction
}

/// ln n! less Stirling's formula for it.
fn stirling_error(n: f64) -> f64 {
    const SERIES: [f64; 6] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
    ];
    if n <= STIRLING_FROM {
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let square = n * n;
    SERIES.iter().rev().fold(0.0, |sum, term| sum / square + term) / n
}

/// x·ln(x/mean) + mean − x, without the loss where both are alike.
fn deviance(x: f64, mean: f64) -> f64 {
    let difference = x - mean;
    if difference.abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() - difference;
    }
    let v = difference / (x + mean);
    let mut sum = difference * v;
    let (mut term, square) = (2.0 * x * v, v * v);
    for step in 1..1000_u32 {
        term *= square;
        let next = sum + term / f64::from(2 * step + 1);
        if next - sum == 0.0 {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn assert_close(got: f64, expected: f64, within: f64) {
        assert!(
            (got - expected).abs() <= within * expected.abs(),
            "{got} instead of {expected}"
        );
    }

    const REFERENCE: &str = include_str!("../../../fixtures/reference/count_tails.csv");

    #[test]
    fn tails_are_those_of_sums_to_a_hundred_and_fifty_digits() {
        let mut lines = 0;
        for line in REFERENCE.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let (count, mean): (u64, f64) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
            let inverse_size = 1.0 / fields[2].parse::<f64>().unwrap();
            assert_close(
                upper_tail(count, mean, inverse_size),
                fields[3].parse().unwrap(),
                1e-11,
            );
            lines += 1;
        }
        assert!(lines > 200, "{lines}");
    }

    #[test]
    fn nothing_is_certain_and_of_nothing_nothing_comes() {
        assert_eq!(upper_tail(0, 3.0, 0.5), 1.0);
        assert_eq!(upper_tail(2, 0.0, 0.5), 0.0);
        assert_eq!(upper_tail(u64::MAX, 1.0, 0.0), 0.0);
        assert_close(upper_tail(1, 1e-9, 0.0), 1e-9 - 0.5e-18, 1e-12);
    }

    #[test]
    fn a_size_beyond_all_bounds_is_the_poisson_law() {
        for (count, mean) in [(1, 0.01), (7, 3.0), (40, 55.0), (1000, 900.0)] {
            assert_close(upper_tail(count, mean, 1e-14), upper_tail(count, mean, 0.0), 1e-8);
        }
    }

    /// Chances added up one by one from 0.
    fn slowly(count: u64, mean: f64, size: f64) -> f64 {
        let mut chance = (-size * (mean / size).ln_1p()).exp();
        let mut below = 0.0;
        for k in 0..count {
            below += chance;
            chance *= (k as f64 + size) / (k as f64 + 1.0) * mean / (mean + size);
        }
        1.0 - below
    }

    proptest! {
        #[test]
        fn a_tail_is_what_the_chances_below_leave(count in 0..60_u64, mean in 0.01..40.0_f64, size in 0.05..60.0_f64) {
            let (got, expected) = (upper_tail(count, mean, 1.0 / size), slowly(count, mean, size));
            prop_assert!((got - expected).abs() <= 1e-12, "{} {}", got, expected);
        }

        #[test]
        fn a_tail_falls_with_the_count(count in 1..5000_u64, mean in 0.01..4000.0_f64, inverse in 0.0..3.0_f64) {
            prop_assert!(upper_tail(count + 1, mean, inverse) <= upper_tail(count, mean, inverse));
        }
    }
}
