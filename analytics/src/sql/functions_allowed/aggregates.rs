//! The aggregates, window functions and table functions, with the bounds of their constants.
//!
//! An aggregate's memory is that of its accumulators, which the memory pool counts; what the pool does not see are
//! constants that size it, and answers that are made anew for each row of a window.

/// What a constant argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    /// A whole number in this range.
    Whole(i128, i128),
    /// A text of so many bytes.
    Text(usize),
}

/// The bounds of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aggregate {
    /// Arguments that must be constants, by their place.
    pub(super) constants: &'static [(usize, Constant)],
    /// Whether its answer holds all its input: over a window, that is made anew for each row.
    pub(super) holds_input: bool,
}

const PLAIN: Aggregate = Aggregate {
    constants: &[],
    holds_input: false,
};

const fn with(constants: &'static [(usize, Constant)]) -> Aggregate {
    Aggregate {
        constants,
        holds_input: false,
    }
}

/// Each is 16 bytes, held once or twice a group; the accuracy of 100, the default, is 1 % already.
const CENTROIDS: Constant = Constant::Whole(1, 10_000);
/// Rows that are kept to find the n-th.
const NTH: Constant = Constant::Whole(-1_000_000, 1_000_000);

#[rustfmt::skip]
pub(super) const AGGREGATES: &[(&str, Aggregate)] = &[
    ("any_value", PLAIN), ("approx_distinct", PLAIN), ("approx_median", PLAIN), ("avg", PLAIN), ("bit_and", PLAIN),
    ("bit_or", PLAIN), ("bit_xor", PLAIN), ("bool_and", PLAIN), ("bool_or", PLAIN), ("corr", PLAIN), ("count", PLAIN),
    ("covar_pop", PLAIN), ("covar_samp", PLAIN), ("first_value", PLAIN), ("grouping", PLAIN), ("last_value", PLAIN),
    ("max", PLAIN), ("median", PLAIN), ("min", PLAIN), ("percentile_cont", PLAIN), ("regr_avgx", PLAIN),
    ("regr_avgy", PLAIN), ("regr_count", PLAIN), ("regr_intercept", PLAIN), ("regr_r2", PLAIN), ("regr_slope", PLAIN),
    ("regr_sxx", PLAIN), ("regr_sxy", PLAIN), ("regr_syy", PLAIN), ("stddev", PLAIN), ("stddev_pop", PLAIN),
    ("sum", PLAIN), ("var", PLAIN), ("var_pop", PLAIN),
    ("st_extent", PLAIN),
    ("approx_percentile_cont", with(&[(2, CENTROIDS)])),
    ("approx_percentile_cont_with_weight", with(&[(3, CENTROIDS)])),
    ("nth_value", with(&[(1, NTH)])),
    ("array_agg", Aggregate { constants: &[], holds_input: true }),
    // One for each row of a batch is added before the pool is asked.
    ("string_agg", Aggregate { constants: &[(1, Constant::Text(1_024))], holds_input: true }),
];

/// The steps of `lag(x, n)` and `lead(x, n)`; with IGNORE NULLS each row looks at all of them.
const OFFSET: Constant = Constant::Whole(-100_000, 100_000);

#[rustfmt::skip]
pub(super) const WINDOWS: &[(&str, &[(usize, Constant)])] = &[
    ("cume_dist", &[]), ("dense_rank", &[]), ("first_value", &[]), ("lag", &[(1, OFFSET)]), ("last_value", &[]),
    ("lead", &[(1, OFFSET)]), ("nth_value", &[(1, NTH)]), ("ntile", &[(0, Constant::Whole(1, 1 << 40))]),
    ("percent_rank", &[]), ("rank", &[]), ("row_number", &[]),
];

/// Table functions of `DataFusion`, which make their rows as they are read.
pub(super) const TABLES: &[&str] = &["generate_series", "range"];

pub(super) fn aggregate(name: &str) -> Option<&'static Aggregate> {
    AGGREGATES
        .iter()
        .find_map(|(known, aggregate)| (*known == name).then_some(aggregate))
}

pub(super) fn window(name: &str) -> Option<&'static [(usize, Constant)]> {
    WINDOWS
        .iter()
        .find_map(|(known, constants)| (*known == name).then_some(*constants))
}
