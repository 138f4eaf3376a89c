//! `hotspots`: Getis-Ord Gi* with p, q and class for each cell of a study area.

use std::sync::atomic::AtomicBool;

use super::class::HotspotClass;
use super::error::{StatisticsError, check_stop};
use super::exact::{ExactLaw, auto_takes_exact};
use super::fdr::{FalseDiscovery, q_values};
use super::getis_ord::{GetisOrd, GlobalSums};
use super::neighbours::Neighbours;
use super::normal::two_sided_normal_p;
use super::options::{HotspotOptions, Method};
use super::permutation::{Runs, conditional_p, least_p};
use super::study_area::StudyArea;
use super::value_counts::ValueCounts;

/// Fewer cells than this, and the answer comes with a notice: its null law is coarse.
pub const SMALL_STUDY_AREA: usize = 30;

/// The answer, one entry a cell in each column, cells ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct HotspotTable {
    /// H3 index.
    pub cell: Vec<u64>,
    /// The metric in its own unit.
    pub value: Vec<f64>,
    /// Gi*; `None` where it is undefined: a constant field, fewer than 3 cells, a neighbourhood that is the whole area.
    pub z: Vec<Option<f64>>,
    /// Two-sided p, 1 where z is undefined.
    pub p: Vec<f64>,
    /// False discovery rate over the cells with a z, 1 where z is undefined.
    pub q: Vec<f64>,
    /// Sign of z and limit of q.
    pub class: Vec<HotspotClass>,
    /// Neighbours inside the study area, the cell itself not counted.
    pub neighbours: Vec<u32>,
    /// Cells of the study area: the same for all rows.
    pub n: usize,
    /// Where p comes from, never [`Method::Auto`]: the same for all rows.
    pub method: Method,
    /// For a cell whose simulated p is the least possible and whose q still misses .05: the runs with which it could pass.
    pub runs_needed: Vec<Option<u64>>,
}

impl HotspotTable {
    /// Whether the study area is below [`SMALL_STUDY_AREA`] cells, which deserves a notice.
    #[must_use]
    pub const fn is_small(&self) -> bool {
        self.n < SMALL_STUDY_AREA
    }
}

/// Hotspots of the cells with an event (`cells`, ascending, each once) and their `values` in whole units, each `scale`
/// (1 for counts, 1e-6 for values kept to 1e-6) of the metric's own unit.
///
/// # Errors
/// [`StatisticsError`] for cells and arguments that are refused, and for an answer that would cost too much.
pub fn hotspots(
    cells: &[u64],
    values: &[i128],
    scale: f64,
    options: &HotspotOptions,
) -> Result<HotspotTable, StatisticsError> {
    hotspots_until(cells, values, scale, options, &AtomicBool::new(false))
}

/// [`hotspots`], given up soon after `stop` is set.
///
/// # Errors
/// As [`hotspots`], and [`StatisticsError::Stopped`].
pub fn hotspots_until(
    cells: &[u64],
    values: &[i128],
    scale: f64,
    options: &HotspotOptions,
    stop: &AtomicBool,
) -> Result<HotspotTable, StatisticsError> {
    if options.permutations == 0 {
        return Err(StatisticsError::argument("permutations", "0", "at least 1"));
    }
    let area = StudyArea::new(cells, values, &options.domain, options.absent, options.k)?;
    check_stop(stop)?;
    let neighbours = Neighbours::new(area.cells(), options.weights, options.k)?;
    check_stop(stop)?;
    let n = area.cells().len();
    let scores = GetisOrd::new(GlobalSums::of(area.values())?)?;
    let local = LocalSums::new(area.values(), &neighbours);
    let z = local.scores(scores, &area, &neighbours);

    let (method, p) = p_values(&area, &neighbours, &local, &z, options, stop)?;
    let q = q_values(&p, options.fdr);
    let class = z.iter().zip(&q).map(|(&z, &q)| HotspotClass::of(z, q)).collect();
    let runs_needed = match (method, options.fdr) {
        (Method::Permutation, FalseDiscovery::BenjaminiHochberg) => runs_needed(&p, &q, options.permutations),
        _ => vec![None; n],
    };
    Ok(HotspotTable {
        cell: area.cells().iter().map(|&cell| cell.into()).collect(),
        value: in_own_unit(area.values(), scale),
        z,
        p: p.into_iter().map(|p| p.unwrap_or(1.0)).collect(),
        q,
        class,
        neighbours: (0..n)
            .map(|position| neighbours.of(position).len() as u32)
            .collect(),
        n,
        method,
        runs_needed,
    })
}

/// The sum over each cell and its neighbours, in whole units. It cannot overflow once the squares have been summed.
struct LocalSums(Vec<i128>);

impl LocalSums {
    fn new(values: &[i128], neighbours: &Neighbours) -> Self {
        let at = |&position: &u32| values.get(position as usize).copied().unwrap_or(0);
        let with_own =
            |(position, &own): (usize, &i128)| own + neighbours.of(position).iter().map(at).sum::<i128>();
        Self(values.iter().enumerate().map(with_own).collect())
    }

    fn scores(&self, scores: GetisOrd, area: &StudyArea, neighbours: &Neighbours) -> Vec<Option<f64>> {
        if neighbours.is_binary() {
            let count = |position: usize| neighbours.of(position).len() as u64 + 1;
            return self
                .0
                .iter()
                .enumerate()
                .map(|(i, &sum)| scores.z_of_count(count(i), sum))
                .collect();
        }
        let deviations: Vec<f64> = area
            .values()
            .iter()
            .map(|&value| scores.deviation(value))
            .collect();
        let weighted = |(position, &own): (usize, &f64)| {
            let (mut w, mut w_squares, mut sum) = (0.0, 0.0, 0.0);
            let mut add = |weight: f64, deviation: f64| {
                w += weight;
                w_squares += weight * weight;
                sum += weight * deviation;
            };
            let mut own = Some(own);
            for (&near, &weight) in neighbours
                .of(position)
                .iter()
                .zip(neighbours.weights_of(position))
            {
                // Ascending cells, the cell itself in its place: the order of a sum of floats is part of the answer.
                if near as usize > position
                    && let Some(own) = own.take()
                {
                    add(1.0, own);
                }
                add(weight, deviations.get(near as usize).copied().unwrap_or(0.0));
            }
            if let Some(own) = own {
                add(1.0, own);
            }
            scores.z_of_weights(w, w_squares, sum)
        };
        deviations.iter().enumerate().map(weighted).collect()
    }
}

/// The method that was used, and p where z is defined.
fn p_values(
    area: &StudyArea,
    neighbours: &Neighbours,
    local: &LocalSums,
    z: &[Option<f64>],
    options: &HotspotOptions,
    stop: &AtomicBool,
) -> Result<(Method, Vec<Option<f64>>), StatisticsError> {
    let most_draws = neighbours.most() + 1;
    let method = match options.method {
        Method::Exact if !neighbours.is_binary() => {
            return Err(StatisticsError::argument(
                "method",
                "'exact'",
                "'auto', 'analytic' or 'permutation' for weights => 'bisquare': the exact law needs weights of 0 and 1",
            ));
        }
        Method::Auto => {
            let cheap =
                neighbours.is_binary() && auto_takes_exact(&ValueCounts::of(area.values()), most_draws);
            if cheap { Method::Exact } else { Method::Analytic }
        }
        chosen => chosen,
    };
    let defined = z.iter().any(Option::is_some);
    let p = match method {
        _ if !defined => vec![None; z.len()],
        Method::Exact => {
            let sizes: Vec<usize> = (0..z.len())
                .map(|position| neighbours.of(position).len() + 1)
                .collect();
            let law = ExactLaw::new(&ValueCounts::of(area.values()), &sizes, stop)?;
            let p = |((z, &size), &sum): ((&Option<f64>, &usize), &i128)| {
                z.and_then(|_| law.two_sided_p(size, sum))
            };
            z.iter().zip(&sizes).zip(&local.0).map(p).collect()
        }
        Method::Permutation => {
            let &HotspotOptions {
                permutations,
                seed,
                threads,
                ..
            } = options;
            let runs = Runs {
                permutations,
                seed,
                threads,
            };
            let p = conditional_p(area.cells(), area.values(), neighbours, runs, stop)?;
            z.iter().zip(p).map(|(z, p)| z.map(|_| p)).collect()
        }
        Method::Analytic | Method::Auto => z.iter().map(|z| z.map(two_sided_normal_p)).collect(),
    };
    Ok((method, p))
}

/// ceil(40·m/h) − 1 for the h of m cells at the least p, where their q is above .05.
fn runs_needed(p: &[Option<f64>], q: &[f64], permutations: u32) -> Vec<Option<u64>> {
    let floor = least_p(permutations);
    let at_floor = |p: &Option<f64>| p.is_some_and(|p| p <= floor);
    let family = p.iter().flatten().count() as u64;
    let held_up = p.iter().filter(|p| at_floor(p)).count() as u64;
    let needed = (40 * family)
        .checked_div(held_up)
        .map(|_| (40 * family).div_ceil(held_up) - 1);
    p.iter()
        .zip(q)
        .map(|(p, &q)| if at_floor(p) && q > 0.05 { needed } else { None })
        .collect()
}

/// Whole units in the metric's own unit. A scale of 1e-6 divides by 1e6, which is exact, rather than multiply by 1e-6.
fn in_own_unit(values: &[i128], scale: f64) -> Vec<f64> {
    let per_unit = (1.0 / scale).round();
    let divides = per_unit >= 1.0 && (per_unit * scale - 1.0).abs() < 1e-15;
    values
        .iter()
        .map(|&value| {
            if divides {
                value as f64 / per_unit
            } else {
                value as f64 * scale
            }
        })
        .collect()
}
