//! From p of each cell to what an answer says of it: p, q, and how many runs a simulated p would have needed.

use super::fdr::{FalseDiscovery, q_values};
use super::options::{LocalOptions, Method};
use super::permutation::least_p;

/// The columns `p`, `q` and `runs_needed` of a local statistic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Significance {
    /// 1 where there is no test.
    pub(super) p: Vec<f64>,
    /// False discovery rate over the cells with a test, 1 for the others.
    pub(super) q: Vec<f64>,
    /// For a cell whose simulated p is the least possible and whose q still misses .05: the runs with which it could pass.
    /// Empty where no p is simulated, and where `fdr` is `'by'`.
    pub(super) runs_needed: Vec<Option<u64>>,
}

impl Significance {
    /// `p` is NaN for a cell outside the family: it has no statistic, or nothing that could be tested.
    pub(super) fn of(mut p: Vec<f64>, method: Method, options: &LocalOptions) -> Self {
        let q = q_values(&p, options.fdr);
        let runs_needed = match (method, options.fdr) {
            (Method::Permutation, FalseDiscovery::BenjaminiHochberg) => {
                runs_needed(&p, &q, options.permutations)
            }
            _ => Vec::new(),
        };
        p.iter_mut().filter(|p| p.is_nan()).for_each(|p| *p = 1.0);
        Self { p, q, runs_needed }
    }
}

/// ceil(40·m/h) − 1 for the h of m cells at the least p, where their q is above .05.
fn runs_needed(p: &[f64], q: &[f64], permutations: u32) -> Vec<Option<u64>> {
    let floor = least_p(permutations);
    let at_floor = |p: &f64| *p <= floor;
    let family = p.iter().filter(|p| !p.is_nan()).count() as u64;
    let held_up = p.iter().filter(|p| at_floor(p)).count() as u64;
    let needed = (40 * family)
        .checked_div(held_up)
        .map(|_| (40 * family).div_ceil(held_up) - 1);
    p.iter()
        .zip(q)
        .map(|(p, &q)| if at_floor(p) && q > 0.05 { needed } else { None })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_named_are_the_least_with_which_cells_at_the_floor_pass() {
        let family = 919;
        for at_floor in [1_usize, 2, 7] {
            let with = |permutations| {
                let mut p = vec![0.9; family];
                p.iter_mut()
                    .take(at_floor)
                    .for_each(|p| *p = least_p(permutations));
                let options = LocalOptions {
                    permutations,
                    ..LocalOptions::default()
                };
                Significance::of(p, Method::Permutation, &options)
            };
            let needed = u32::try_from(with(999).runs_needed[0].unwrap()).unwrap();
            assert!(with(needed).q[0] <= 0.05, "{at_floor}: {needed}");
            assert!(with(needed - 1).q[0] > 0.05, "{at_floor}: {needed}");
            assert_eq!(with(needed).runs_needed, vec![None; family]);
        }
    }
}
