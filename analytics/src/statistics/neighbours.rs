//! Who is a neighbour of whom inside a study area: grid disks, or great-circle distance between centres.
//!
//! A cell is never in its own list; what includes it (Gi* does) adds it, with weight 1.

use h3o::{CellIndex, LatLng};
use riskgrid_ingest::globe::{EARTH_RADIUS_METRES, unit_vector};
use rstar::RTree;
use rstar::primitives::GeomWithData;

use super::disks::{Disks, cells_around};
use super::error::StatisticsError;

/// Pairs kept at most: 256 MB of indices.
const MAX_PAIRS: usize = 64_000_000;

/// How neighbours are chosen and weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// `'disk'`: 1 for each cell within `k` steps on the grid.
    Disk,
    /// `'distance'`: 1 for each cell whose centre is at most so many metres away.
    Distance(f64),
    /// `'bisquare'`: (1 − (d/`distance`)²)² for each cell whose centre is less than so many metres away.
    Bisquare(f64),
}

impl Weights {
    /// Reads the arguments `weights` and `distance` (metres).
    ///
    /// # Errors
    /// [`StatisticsError::Argument`] for an unknown name, and for a distance that is absent where needed, present where
    /// not, or no positive number.
    pub fn from_arguments(weights: &str, distance: Option<f64>) -> Result<Self, StatisticsError> {
        let needed = |make: fn(f64) -> Self| match distance {
            Some(metres) => make(metres).checked(),
            None => Err(StatisticsError::argument(
                "distance",
                "NULL",
                format!("a positive number of metres for weights => '{weights}'"),
            )),
        };
        match (weights, distance) {
            ("disk", None) => Ok(Self::Disk),
            ("disk", Some(metres)) => Err(StatisticsError::argument(
                "distance",
                metres.to_string(),
                "NULL for weights => 'disk' (k is its size), or weights => 'distance' or 'bisquare'",
            )),
            ("distance", _) => needed(Self::Distance),
            ("bisquare", _) => needed(Self::Bisquare),
            _ => Err(StatisticsError::argument(
                "weights",
                format!("'{weights}'"),
                "'disk', 'distance' or 'bisquare'",
            )),
        }
    }

    fn checked(self) -> Result<Self, StatisticsError> {
        match self {
            Self::Distance(metres) | Self::Bisquare(metres) if !(metres > 0.0 && metres.is_finite()) => Err(
                StatisticsError::argument("distance", metres.to_string(), "a positive number of metres"),
            ),
            usable => Ok(usable),
        }
    }
}

/// Adjacency of a study area in compressed rows: the neighbours of cell `i` by position, ascending, `i` itself excluded.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    ends: Vec<usize>,
    indices: Vec<u32>,
    /// One a pair; `None` where all are 1.
    weights: Option<Vec<f64>>,
}

impl Neighbours {
    /// Neighbours within `cells` (ascending, one resolution); cells outside do not exist.
    ///
    /// # Errors
    /// [`StatisticsError::Argument`] for `k` or a distance out of range, or when the pairs would not fit in memory.
    pub fn new(cells: &[CellIndex], weights: Weights, k: u32) -> Result<Self, StatisticsError> {
        match weights.checked()? {
            Weights::Disk => Self::within_disk(cells, k),
            Weights::Distance(metres) => Self::within_distance(cells, metres, |d| {
                (d <= metres).then_some(1.0)
            })
            .map(|neighbours| Self {
                weights: None,
                ..neighbours
            }),
            Weights::Bisquare(metres) => Self::within_distance(cells, metres, |d| {
                let nearness = 1.0 - (d / metres) * (d / metres);
                (d < metres).then_some(nearness * nearness)
            }),
        }
    }

    /// Positions of the neighbours of the cell at `position`, ascending.
    #[must_use]
    pub fn of(&self, position: usize) -> &[u32] {
        self.indices.get(self.row(position)).unwrap_or_default()
    }

    /// Weight of each neighbour in [`of`](Self::of); empty where all weights are 1.
    #[must_use]
    pub fn weights_of(&self, position: usize) -> &[f64] {
        self.weights
            .as_ref()
            .and_then(|weights| weights.get(self.row(position)))
            .unwrap_or_default()
    }

    /// Whether every weight is 0 or 1.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.weights.is_none()
    }

    /// The most neighbours that any cell has.
    #[must_use]
    pub fn most(&self) -> usize {
        self.counts().into_iter().max().unwrap_or(0) as usize
    }

    /// How many neighbours each cell has.
    #[must_use]
    pub fn counts(&self) -> Vec<u32> {
        (0..self.ends.len())
            .map(|position| self.row(position).len() as u32)
            .collect()
    }

    /// The sum of `values` over the neighbours of each cell, the cell itself left out, weights not applied.
    ///
    /// It cannot overflow where the squares of all `values` could be summed.
    #[must_use]
    pub fn sums(&self, values: &[i128]) -> Vec<i128> {
        (0..self.ends.len())
            .map(|position| sum_of(self.of(position), values))
            .collect()
    }

    fn row(&self, position: usize) -> std::ops::Range<usize> {
        let start = position
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        start..self.ends.get(position).copied().unwrap_or(start)
    }

    fn with_capacity(rows: usize, pairs: usize) -> Self {
        Self {
            ends: Vec::with_capacity(rows),
            indices: Vec::with_capacity(pairs.min(MAX_PAIRS)),
            weights: None,
        }
    }

    fn within_disk(cells: &[CellIndex], k: u32) -> Result<Self, StatisticsError> {
        let disks = Disks::new(cells, k)?;
        let mut neighbours = Self::with_capacity(cells.len(), cells.len() * cells_around(k));
        disks.for_each(disks.all(), |near| {
            let start = neighbours.indices.len();
            neighbours.indices.extend_from_slice(near);
            if let Some(row) = neighbours.indices.get_mut(start..) {
                row.sort_unstable();
            }
            neighbours.end_row("k", &k)
        })?;
        Ok(neighbours)
    }

    fn within_distance(
        cells: &[CellIndex],
        metres: f64,
        weight: impl Fn(f64) -> Option<f64>,
    ) -> Result<Self, StatisticsError> {
        let centres: Vec<LatLng> = cells.iter().map(|&cell| LatLng::from(cell)).collect();
        let points: Vec<[f64; 3]> = centres
            .iter()
            .map(|&centre| unit_vector([centre.lng(), centre.lat()]))
            .collect();
        let entries = points.iter().copied().zip(0_u32..);
        let tree = RTree::bulk_load(entries.map(|(point, at)| GeomWithData::new(point, at)).collect());
        // A little wide, for the straight line only chooses candidates; the great circle decides. Past 3 radians: all.
        let angle = metres / EARTH_RADIUS_METRES;
        let reach = if angle < 3.0 {
            (2.0 * (angle / 2.0 + 1e-9).sin()).powi(2)
        } else {
            f64::INFINITY
        };

        let mut pair_weights = Vec::new();
        let mut neighbours = Self::with_capacity(cells.len(), cells.len());
        let mut row: Vec<(u32, f64)> = Vec::new();
        for ((&centre, &point), own) in centres.iter().zip(&points).zip(0_u32..) {
            row.clear();
            for near in tree.locate_within_distance(point, reach).map(|entry| entry.data) {
                if near != own
                    && let Some(&other) = centres.get(near as usize)
                    && let Some(weight) = weight(centre.distance_m(other))
                {
                    row.push((near, weight));
                }
            }
            row.sort_unstable_by_key(|&(near, _)| near);
            neighbours.indices.extend(row.iter().map(|&(near, _)| near));
            pair_weights.extend(row.iter().map(|&(_, weight)| weight));
            neighbours.end_row("distance", &metres)?;
        }
        neighbours.weights = Some(pair_weights);
        Ok(neighbours)
    }

    fn end_row(&mut self, name: &'static str, value: &impl ToString) -> Result<(), StatisticsError> {
        check_pairs(self.indices.len(), name, value)?;
        self.ends.push(self.indices.len());
        Ok(())
    }
}

pub(super) fn sum_of(near: &[u32], values: &[i128]) -> i128 {
    let at = |&position: &u32| values.get(position as usize).copied().unwrap_or(0);
    near.iter().map(at).sum()
}

pub(super) fn check_pairs(
    pairs: usize,
    name: &'static str,
    value: &impl ToString,
) -> Result<(), StatisticsError> {
    if pairs > MAX_PAIRS {
        return Err(StatisticsError::argument(
            name,
            value.to_string(),
            format!("what gives at most {MAX_PAIRS} pairs of neighbours: less, or fewer cells"),
        ));
    }
    Ok(())
}
