//! Student's law.

use std::f64::consts::PI;

/// Steps of the continued fraction at most; it needs some tens.
const STEPS: u32 = 10_000;

/// The two-sided p of `t` with `nu` degrees of freedom, which need not be whole.
pub fn student_p(t: f64, nu: f64) -> f64 {
    incomplete_beta(nu / 2.0, 0.5, nu / (nu + t * t), t * t / (nu + t * t))
}

/// The regularised incomplete beta function at `x`, `rest` being 1 - x: by its continued fraction, evaluated by Lentz's way, on the
/// side on which it converges quickly.
fn incomplete_beta(a: f64, b: f64, x: f64, rest: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if rest <= 0.0 {
        return 1.0;
    }
    if (a + 1.0) / (a + b + 2.0) < x {
        return 1.0 - incomplete_beta(b, a, rest, x);
    }
    let front = (a * x.ln() + b * rest.ln() - ln_beta(a, b)).exp() / a;
    let (mut fraction, mut c, mut d) = (1.0_f64, 1.0_f64, 0.0_f64);
    for step in 0..STEPS {
        let m = f64::from(step / 2);
        let numerator = if step == 0 {
            1.0
        } else if step % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / not_zero(1.0 + numerator * d);
        c = not_zero(1.0 + numerator / c);
        fraction *= c * d;
        if (1.0 - c * d).abs() < 1e-16 {
            break;
        }
    }
    front * (fraction - 1.0)
}

fn not_zero(number: f64) -> f64 {
    if number == 0.0 { 1e-300 } else { number }
}

/// The logarithm of the beta function. With one argument a half, as Student's law has it, the difference of two large logarithms of
/// gamma loses digits: from 100 on a series of their quotient has them.
#[expect(clippy::float_cmp, reason = "the half is the one that was handed in")]
fn ln_beta(a: f64, b: f64) -> f64 {
    let (large, small) = if a < b { (b, a) } else { (a, b) };
    if small == 0.5 && 100.0 <= large {
        // ln Γ(x + 1/2) - ln Γ(x) = ln x / 2 - 1/(8x) + 1/(192x³) - 1/(640x⁵) + …
        let inverse = 1.0 / large;
        let square = inverse * inverse;
        let series = inverse * (-1.0 / 8.0 + square * (1.0 / 192.0 - square / 640.0));
        return 0.5 * PI.ln() - (0.5 * large.ln() + series);
    }
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}
