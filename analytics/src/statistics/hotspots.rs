//! `hotspots`: Getis-Ord Gi* with p, q and class for each cell of a study area.

use std::mem;
use std::sync::atomic::AtomicBool;

use super::class::{HotspotClass, Score};
use super::disks::cells_around;
use super::error::{StatisticsError, check_stop};
use super::exact::{ExactLaw, auto_takes_exact};
use super::getis_ord::GetisOrd;
use super::global_sums::{CentredField, GlobalSums};
use super::neighbours::{Neighbours, Weights};
use super::options::{LocalOptions, Method};
use super::permutation::conditional_p;
use super::scored_cells::{ScoredCells, Scoring};
use super::significance::Significance;
use super::study_area::StudyArea;
use super::value_counts::ValueCounts;

/// Fewer cells than this, and the answer comes with a notice: its null law is coarse.
pub const SMALL_STUDY_AREA: usize = 30;

/// The answer, one entry a cell in each column, cells ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct HotspotTable {
    /// H3 index.
    pub cell: Vec<u64>,
    /// The metric in whole units.
    pub value: Vec<i128>,
    /// Gi*; NaN where it is undefined: a constant field, fewer than 3 cells, a neighbourhood that is the whole area.
    pub z: Vec<f64>,
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
    /// Empty where no p is simulated, and where `fdr` is `'by'`.
    pub runs_needed: Vec<Option<u64>>,
}

impl HotspotTable {
    /// Whether the study area is below [`SMALL_STUDY_AREA`] cells, which deserves a notice.
    #[must_use]
    pub const fn is_small(&self) -> bool {
        self.n < SMALL_STUDY_AREA
    }
}

/// Hotspots of the cells with an event (`cells`, ascending, each once) and their `values` in whole units of the layer's
/// resolution. Given up soon after `stop` is set.
///
/// # Errors
/// [`StatisticsError`] for cells and arguments that are refused, and for an answer that would cost too much;
/// [`StatisticsError::Stopped`] once `stop` is set.
pub fn hotspots(
    cells: &[u64],
    values: &[i128],
    weights: Weights,
    options: &LocalOptions,
    stop: &AtomicBool,
) -> Result<HotspotTable, StatisticsError> {
    options.check()?;
    let area = options.study_area(cells, values)?;
    check_stop(stop)?;
    // Their lists are made only where more is asked for than their sums: by weights and by permutations.
    let lists = if weights == Weights::Disk && options.method != Method::Permutation {
        None
    } else {
        Some(Neighbours::new(area.cells(), weights, options.k)?)
    };
    check_stop(stop)?;
    let scores = GetisOrd::new(CentredField::new(GlobalSums::of(area.values())?)?);
    let most_neighbours = lists
        .as_ref()
        .map_or_else(|| cells_around(options.k), Neighbours::most);
    let scoring = Scoring::new(scores, most_neighbours + 1, options.method);
    let mut scored = match &lists {
        Some(lists) => ScoredCells::of_lists(lists, area.values(), &scoring),
        None => ScoredCells::of_disks(&area, options.k, &scoring, options.threads)?,
    };
    check_stop(stop)?;

    let (method, p) = p_values(&area, lists.as_ref(), &mut scored, options, stop)?;
    let ScoredCells { counts, z, .. } = scored;
    let Significance { p, q, runs_needed } = Significance::of(p, method, options);
    let class = z
        .iter()
        .zip(&q)
        .map(|(&z, &q)| HotspotClass::of(Score(z), q))
        .collect();
    let (cells, value) = area.into_parts();
    Ok(HotspotTable {
        n: cells.len(),
        cell: cells.into_iter().map(u64::from).collect(),
        value,
        z,
        p,
        q,
        class,
        neighbours: counts.into_iter().map(|with_own| with_own - 1).collect(),
        method,
        runs_needed,
    })
}

/// The method that was used, and p: NaN where z is.
fn p_values(
    area: &StudyArea,
    lists: Option<&Neighbours>,
    scored: &mut ScoredCells,
    options: &LocalOptions,
    stop: &AtomicBool,
) -> Result<(Method, Vec<f64>), StatisticsError> {
    let is_binary = lists.is_none_or(Neighbours::is_binary);
    let method = match options.method {
        Method::Exact if !is_binary => {
            return Err(StatisticsError::argument(
                "method",
                "'exact'",
                "'auto', 'analytic' or 'permutation' for weights => 'bisquare': the exact law needs weights of 0 and 1",
            ));
        }
        Method::Auto => {
            let cheap = is_binary && auto_takes_exact(&ValueCounts::of(area.values()), scored.most());
            if cheap { Method::Exact } else { Method::Analytic }
        }
        chosen => chosen,
    };
    let z = &scored.z;
    let p = match (method, lists) {
        _ if z.iter().all(|z| z.is_nan()) => vec![f64::NAN; z.len()],
        (Method::Exact, _) => {
            let sizes: Vec<usize> = scored.counts.iter().map(|&count| count as usize).collect();
            let law = ExactLaw::new(&ValueCounts::of(area.values()), &sizes, stop)?;
            let p = |((&z, &size), &sum): ((&f64, &usize), &i128)| {
                law.two_sided_p(size, sum)
                    .filter(|_| !z.is_nan())
                    .unwrap_or(f64::NAN)
            };
            z.iter().zip(&sizes).zip(&scored.sums).map(p).collect()
        }
        (Method::Permutation, Some(lists)) => {
            let all = conditional_p(area.cells(), area.values(), lists, options.runs(), stop)?;
            let p = |(z, p): (&f64, f64)| if z.is_nan() { *z } else { p };
            z.iter().zip(all).map(p).collect()
        }
        _ => mem::take(&mut scored.normal_p),
    };
    Ok((method, p))
}
