//! `local_moran`: local Moran's I (Anselin 1995) with quadrant, p, q and class for each cell of a study area.

use std::sync::atomic::AtomicBool;

use super::conditional::{auto_takes_conditional, exact_conditional_p};
use super::error::{StatisticsError, check_stop};
use super::global_sums::{CentredField, GlobalSums, rounded};
use super::neighbours::{Neighbours, Weights};
use super::options::{LocalOptions, Method};
use super::permutation::conditional_p;
use super::quadrant::Quadrant;
use super::significance::Significance;
use super::study_area::StudyArea;
use super::value_counts::ValueCounts;

/// The false discovery rate up to which a quadrant is a class.
const CALLED: f64 = 0.05;

/// The answer, one entry a cell in each column, cells ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalMoranTable {
    /// H3 index.
    pub cell: Vec<u64>,
    /// The metric in whole units.
    pub value: Vec<i128>,
    /// Local Moran's I, 0 for a cell without neighbours; NaN in a constant field or a single cell.
    pub i: Vec<f64>,
    /// How the cell and its neighbours lie to the mean.
    pub quadrant: Vec<Quadrant>,
    /// Two-sided p of the neighbours' sum given the cell, 1 where there is no test.
    pub p: Vec<f64>,
    /// False discovery rate over the cells with an I and a neighbour, 1 for the others.
    pub q: Vec<f64>,
    /// The quadrant where q ≤ .05.
    pub class: Vec<Quadrant>,
    /// Neighbours inside the study area.
    pub neighbours: Vec<u32>,
    /// Cells of the study area: the same for all rows.
    pub n: usize,
    /// Where p comes from, [`Method::Exact`] or [`Method::Permutation`]: the same for all rows.
    pub method: Method,
    /// For a cell whose simulated p is the least possible and whose q still misses .05: the runs with which it could pass.
    /// Empty where no p is simulated, and where `fdr` is `'by'`.
    pub runs_needed: Vec<Option<u64>>,
}

/// Local Moran's I of the cells with an event (`cells`, ascending, each once) and their `values` in whole units of the
/// layer's resolution, over disks of `k`. Given up soon after `stop` is set.
///
/// # Errors
/// [`StatisticsError`] for cells and arguments that are refused ([`Method::Analytic`] among them), and for an answer that
/// would cost too much; [`StatisticsError::Stopped`] once `stop` is set.
pub fn local_moran(
    cells: &[u64],
    values: &[i128],
    options: &LocalOptions,
    stop: &AtomicBool,
) -> Result<LocalMoranTable, StatisticsError> {
    options.check()?;
    if options.method == Method::Analytic {
        return Err(StatisticsError::argument(
            "method",
            "'analytic'",
            "'auto', 'exact' or 'permutation': no normal law holds for local Moran's I",
        ));
    }
    let area = options.study_area(cells, values)?;
    check_stop(stop)?;
    let neighbours = Neighbours::new(area.cells(), Weights::Disk, options.k)?;
    check_stop(stop)?;
    let field = CentredField::new(GlobalSums::of(area.values())?)?;
    let counts = neighbours.counts();
    let sums = neighbours.sums(area.values());
    let placed: Vec<Placed> = area
        .values()
        .iter()
        .zip(counts.iter().zip(&sums))
        .map(|(&value, (&count, &sum))| Placed::new(field, value, count, sum))
        .collect();

    let (method, p) = p_values(&area, &neighbours, &sums, options, stop)?;
    let is_tested = |placed: &Placed| placed.near > 0 && field.spread() > 0;
    let if_tested = |(placed, p): (&Placed, f64)| if is_tested(placed) { p } else { f64::NAN };
    let p = placed.iter().zip(p).map(if_tested).collect();
    let Significance { p, q, runs_needed } = Significance::of(p, method, options);
    let quadrant: Vec<Quadrant> = placed.iter().map(Placed::quadrant).collect();
    let called = |(&quadrant, &q)| if q <= CALLED { quadrant } else { Quadrant::None };
    Ok(LocalMoranTable {
        cell: area.cells().iter().map(|&cell| cell.into()).collect(),
        value: area.values().to_vec(),
        i: placed.iter().map(|placed| placed.i(field)).collect(),
        class: quadrant.iter().zip(&q).map(called).collect(),
        quadrant,
        p,
        q,
        neighbours: counts,
        n: area.cells().len(),
        method,
        runs_needed,
    })
}

/// A cell and its neighbours as seen from the mean, times n: exact.
struct Placed {
    own: i128,
    /// How many neighbours there are.
    near: u32,
    /// Theirs together.
    around: i128,
}

impl Placed {
    const fn new(field: CentredField, value: i128, near: u32, sum: i128) -> Self {
        Self {
            own: field.deviation(1, value),
            near,
            around: field.deviation(near as i128, sum),
        }
    }

    const fn quadrant(&self) -> Quadrant {
        Quadrant::of(self.own, self.around)
    }

    /// I = z · mean of the neighbours' z / (Σz²/(n − 1)), z = x − mean; Σz² is the spread divided by n.
    fn i(&self, field: CentredField) -> f64 {
        if field.spread() <= 0 {
            return f64::NAN;
        }
        if self.near == 0 {
            return 0.0;
        }
        let share = rounded(field.n() - 1) / (rounded(field.n()) * f64::from(self.near));
        rounded(self.own) * rounded(self.around) / rounded(field.spread()) * share
    }
}

/// The method that was used, and p of each cell's neighbour sum: I is linear in it.
fn p_values(
    area: &StudyArea,
    neighbours: &Neighbours,
    sums: &[i128],
    options: &LocalOptions,
    stop: &AtomicBool,
) -> Result<(Method, Vec<f64>), StatisticsError> {
    let takes_exact = match options.method {
        Method::Auto => auto_takes_conditional(&ValueCounts::of(area.values()), neighbours.most()),
        chosen => chosen == Method::Exact,
    };
    if takes_exact {
        let p = exact_conditional_p(area.values(), neighbours, sums, stop)?;
        return Ok((Method::Exact, p));
    }
    let p = conditional_p(area.cells(), area.values(), neighbours, options.runs(), stop)?;
    Ok((Method::Permutation, p))
}
