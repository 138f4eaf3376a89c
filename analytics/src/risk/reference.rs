//! What is known of the people and things in each cell, from the reference layers: settled once, at the start.
//!
//! An area's people are shared out among its sub-cells, three resolutions finer, with their centre inside it; each is added
//! to the cell that holds that centre, which is not always its H3 parent: of 6.1 % of them it is another.

use std::sync::Arc;

use h3o::{CellIndex, LatLng, Resolution};
use hashbrown::HashMap;
use riskgrid_ingest::places::{Area, Places, cells_of};

use super::model::{Indicator, RiskModel};
use super::vulnerability::weighted_mean;

/// How many resolutions finer areas are shared out.
const FINER: u8 = 3;
/// Sub-cells of all areas together: some 600 MB while they are shared out.
const MOST_SUB_CELLS: usize = 1 << 24;

/// What is known of a cell and does not change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CellFacts {
    /// Residents; none where no area or point with people covers the cell.
    pub population: Option<f64>,
    /// Weight of its facilities.
    pub facilities: f64,
    /// Weight of its infrastructure.
    pub infrastructure: f64,
    /// Mean of its indicators.
    pub susceptibility: Option<f64>,
}

/// The facts of all cells of which there are any.
#[derive(Clone, Debug, Default)]
pub struct ReferenceCells {
    cells: HashMap<u64, CellFacts>,
}

/// Why reference layers cannot be shared out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Two areas that both have people, or a value of one indicator.
    #[error(
        "areas `{first}` and `{second}` overlap and both have {what}: it would count twice. Give it to one of their levels only"
    )]
    Overlap {
        /// One.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
        /// Of what.
        what: String,
    },
    /// People at a point inside an area with people.
    #[error(
        "area `{area}` has a figure of people, and [[population]] has people at points inside it: they would count twice. Leave \
         one out"
    )]
    PointInside {
        /// The area.
        area: Arc<str>,
    },
    /// Too large for the resolution.
    #[error(
        "the areas with people and indicators have more than {MOST_SUB_CELLS} cells of resolution {resolution}; take a coarser \
         `grid.resolution` or smaller areas"
    )]
    TooLarge {
        /// Of the sub-cells.
        resolution: Resolution,
    },
}

/// Sub-cells of an area.
struct Shared {
    /// Ascending.
    sub_cells: Vec<u64>,
    /// Whether the only one is that of its point on the surface, as no centre is inside.
    is_point: bool,
}

impl ReferenceCells {
    /// Shares out the reference layers that the model uses.
    ///
    /// # Errors
    /// What would count twice, and areas too large for the resolution.
    pub fn new(model: &RiskModel, places: &Places, resolution: Resolution) -> Result<Self, InvalidReference> {
        let fine = Resolution::try_from(u8::from(resolution) + FINER).unwrap_or(Resolution::Fifteen);
        let has_people = |area: &Area| area.population.is_some() && !places.summed_areas.contains(&area.id);
        let of_indicators = |area: &Area| {
            model
                .susceptibility
                .iter()
                .any(|one| one.values.contains_key(&area.id))
        };
        let mut areas = Vec::new();
        let mut left = MOST_SUB_CELLS;
        for area in places.areas.areas() {
            if has_people(area) || of_indicators(area) {
                let shared =
                    share_out(area, fine, left).ok_or(InvalidReference::TooLarge { resolution: fine })?;
                left = left.saturating_sub(shared.sub_cells.len());
                areas.push((area, shared));
            }
        }
        check_overlap(&areas, "a population", &has_people, places)?;
        for indicator in &model.susceptibility {
            let what = format!("a value of {}", indicator.name);
            check_overlap(
                &areas,
                &what,
                &|area| indicator.values.contains_key(&area.id),
                places,
            )?;
        }
        let mut facts = Self::default();
        for (area, shared) in areas.iter().filter(|(area, _)| has_people(area)) {
            facts.add_people(area, shared, resolution);
        }
        for point in &places.population {
            if let Some(area) = places
                .areas
                .areas_of([point.lon, point.lat])
                .into_iter()
                .find(|area| has_people(area))
            {
                let area = Arc::clone(&area.id);
                return Err(InvalidReference::PointInside { area });
            }
            if let Some(cell) = cell_at(point.lon, point.lat, resolution) {
                *facts.entry(cell).population.get_or_insert(0.0) += point.people;
            }
        }
        facts.add_facilities(model, places, resolution);
        facts.add_indicators(&model.susceptibility, &areas, resolution);
        Ok(facts)
    }

    /// What is known of a cell.
    pub fn of(&self, cell: u64) -> CellFacts {
        self.cells.get(&cell).copied().unwrap_or_default()
    }

    fn entry(&mut self, cell: u64) -> &mut CellFacts {
        self.cells.entry(cell).or_default()
    }

    fn add_people(&mut self, area: &Area, shared: &Shared, resolution: Resolution) {
        let people = area.population.unwrap_or_default() as f64;
        if shared.is_point {
            if let Some(cell) = point_of(area, resolution) {
                *self.entry(cell).population.get_or_insert(0.0) += people;
            }
            return;
        }
        let share = people / shared.sub_cells.len() as f64;
        for (cell, number) in count_by_cell(shared, area, resolution) {
            *self.entry(cell).population.get_or_insert(0.0) += share * number;
        }
    }

    fn add_facilities(&mut self, model: &RiskModel, places: &Places, resolution: Resolution) {
        for facility in places.facilities.facilities() {
            let Some(cell) = cell_at(facility.lon, facility.lat, resolution) else {
                continue;
            };
            if let Some(weight) = model.facilities.get(&*facility.kind) {
                self.entry(cell).facilities += weight;
            }
            if let Some(weight) = model.infrastructure.get(&*facility.kind) {
                self.entry(cell).infrastructure += weight;
            }
        }
    }

    /// The raw value of each indicator is averaged over the sub-cells that have one; then it becomes a share.
    fn add_indicators(
        &mut self,
        indicators: &[Indicator],
        areas: &[(&Area, Shared)],
        resolution: Resolution,
    ) {
        let mut shares: HashMap<u64, Vec<(f64, f64)>> = HashMap::new();
        for indicator in indicators {
            let mut sums: HashMap<u64, (f64, f64)> = HashMap::new();
            for (area, shared) in areas {
                let Some(value) = indicator.values.get(&area.id) else {
                    continue;
                };
                for (cell, number) in count_by_cell(shared, area, resolution) {
                    let (sum, sub_cells) = sums.entry(cell).or_default();
                    *sum += value * number;
                    *sub_cells += number;
                }
            }
            for (cell, (sum, sub_cells)) in sums {
                let share = indicator.scale.share(sum / sub_cells);
                shares.entry(cell).or_default().push((share, indicator.weight));
            }
        }
        for (cell, shares) in shares {
            self.entry(cell).susceptibility = weighted_mean(shares);
        }
    }
}

fn cell_at(lon: f64, lat: f64, resolution: Resolution) -> Option<u64> {
    Some(LatLng::new(lat, lon).ok()?.to_cell(resolution).into())
}

fn point_of(area: &Area, resolution: Resolution) -> Option<u64> {
    let [lon, lat] = area.shape.point_inside();
    cell_at(lon, lat, resolution)
}

/// `None` when there are more than `most`.
fn share_out(area: &Area, fine: Resolution, most: usize) -> Option<Shared> {
    let sub_cells = cells_of(&area.shape, fine, most).ok()?;
    if !sub_cells.is_empty() {
        return Some(Shared {
            sub_cells,
            is_point: false,
        });
    }
    Some(Shared {
        sub_cells: point_of(area, fine).into_iter().collect(),
        is_point: true,
    })
}

/// How many sub-cells of an area have their centre in which cell, in no order.
fn count_by_cell(shared: &Shared, area: &Area, resolution: Resolution) -> HashMap<u64, f64> {
    let mut counts = HashMap::new();
    if shared.is_point {
        counts.extend(point_of(area, resolution).map(|cell| (cell, 1.0)));
        return counts;
    }
    for sub_cell in &shared.sub_cells {
        let Ok(sub_cell) = CellIndex::try_from(*sub_cell) else {
            continue;
        };
        let cell = LatLng::from(sub_cell).to_cell(resolution);
        *counts.entry(u64::from(cell)).or_default() += 1.0;
    }
    counts
}

fn check_overlap(
    areas: &[(&Area, Shared)],
    what: &str,
    has: &dyn Fn(&Area) -> bool,
    places: &Places,
) -> Result<(), InvalidReference> {
    let overlap = |first: &Area, second: &Area| InvalidReference::Overlap {
        first: Arc::clone(&first.id),
        second: Arc::clone(&second.id),
        what: what.to_owned(),
    };
    let mut owners: HashMap<u64, usize> = HashMap::new();
    for (position, (area, shared)) in areas.iter().enumerate().filter(|(_, (area, _))| has(area)) {
        if shared.is_point {
            // It has no centre of a sub-cell, so it is looked for by its point.
            let around = places.areas.areas_of(area.shape.point_inside());
            if let Some(other) = around.into_iter().find(|other| other.id != area.id && has(other)) {
                return Err(overlap(area, other));
            }
            continue;
        }
        for sub_cell in &shared.sub_cells {
            if let Some((other, _)) = owners
                .insert(*sub_cell, position)
                .and_then(|before| areas.get(before))
            {
                return Err(overlap(other, area));
            }
        }
    }
    Ok(())
}
