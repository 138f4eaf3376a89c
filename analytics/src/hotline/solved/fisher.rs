//! Fisher's exact test of a table of two by two.

/// How much more likely than the observed table another one may be to count as no more likely: rounding, not data.
const TOLERANCE: f64 = 1e-7;

/// The two-sided p of `a b / c d`: the share of all tables with the same margins that are no more likely.
pub fn fisher_p(a: u64, b: u64, c: u64, d: u64) -> f64 {
    let (first_row, second_row, first_column) = (a + b, c + d, a + c);
    let least = first_column.saturating_sub(second_row);
    let most = first_row.min(first_column);
    // The likelihood of the table with x + 1 in its corner over that of the one with x.
    let growth = |x: u64| {
        let up = (first_row - x) as f64 * (first_column - x) as f64;
        up / ((x + 1) as f64 * (second_row + x + 1 - first_column) as f64)
    };
    // From the observed table outwards, so that its own weight is 1; what is too large is more likely, and sums to infinity.
    let (mut all, mut unlikely) = (1.0, 1.0);
    let mut add = |weight: f64| {
        all += weight;
        if weight <= 1.0 + TOLERANCE {
            unlikely += weight;
        }
    };
    let mut weight = 1.0_f64;
    for x in a..most {
        weight *= growth(x);
        if weight == 0.0 {
            break;
        }
        add(weight);
    }
    weight = 1.0;
    for x in (least..a).rev() {
        weight /= growth(x);
        if weight == 0.0 {
            break;
        }
        add(weight);
    }
    if all.is_finite() {
        (unlikely / all).min(1.0)
    } else {
        0.0
    }
}
