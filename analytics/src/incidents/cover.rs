//! Where an alert lies, as incidents see it, and which alerts are near each other.

use std::sync::Arc;

use h3o::{CellIndex, LatLng, Resolution};

/// Levels below a coarse cell to which its children are taken one by one: 16 807 of them.
const LEVELS_WHOLE: u8 = 5;

/// A place that alerts have in common or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spot {
    /// A cell of the incidents' resolution.
    Cell(CellIndex),
    /// An area of the incidents' level, by id.
    Area(Arc<str>),
    /// No place: alerts of this rule, by id, are near each other.
    Rule(Arc<str>),
}

impl Spot {
    /// This place and those near it: cells within so many breadth-first rings; areas and rules have no neighbours.
    pub(super) fn disk(&self, distance: u32) -> Vec<Self> {
        match self {
            Self::Cell(cell) => {
                let cells: Vec<CellIndex> = cell.grid_disk(distance);
                cells.into_iter().map(Self::Cell).collect()
            }
            Self::Area(_) | Self::Rule(_) => vec![self.clone()],
        }
    }
}

/// The places of one alert, ascending, at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cover(Arc<[Spot]>);

impl Cover {
    /// An alert's cells at the incidents' resolution: of a finer one the cell that its centre lies in, of a coarser one its
    /// children (many levels down, the centres of those five levels down). `None` without cells.
    pub fn of_cells(cells: &[CellIndex], resolution: Resolution) -> Option<Self> {
        let mut spots = Vec::with_capacity(cells.len());
        for cell in cells {
            if cell.resolution() >= resolution {
                spots.push(Spot::Cell(LatLng::from(*cell).to_cell(resolution)));
            } else {
                let whole = u8::from(cell.resolution()).saturating_add(LEVELS_WHOLE);
                let whole = Resolution::try_from(whole).map_or(resolution, |whole| whole.min(resolution));
                let children = cell.children(whole);
                spots.extend(children.filter_map(|child| child.center_child(resolution).map(Spot::Cell)));
            }
        }
        Self::of(spots)
    }

    /// The areas that an alert lies in, by id. `None` without any.
    pub fn of_areas<'a>(ids: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        Self::of(ids.into_iter().map(|id| Spot::Area(id.into())).collect())
    }

    /// An alert without a place is near those of its rule.
    pub fn of_rule(id: &str) -> Self {
        Self([Spot::Rule(id.into())].into())
    }

    fn of(mut spots: Vec<Spot>) -> Option<Self> {
        spots.sort_unstable();
        spots.dedup();
        (!spots.is_empty()).then(|| Self(spots.into()))
    }

    /// Its places, ascending.
    pub fn spots(&self) -> &[Spot] {
        &self.0
    }

    /// Whether each of its places is one of the other's.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|spot| other.0.binary_search(spot).is_ok())
    }

    /// Whether a place of one is within so many rings of one of the other.
    pub fn is_near(&self, other: &Self, distance: u32) -> bool {
        let (few, many) = if self.0.len() <= other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        let holds = |spot: &Spot| many.0.binary_search(spot).is_ok();
        few.0.iter().any(|spot| spot.disk(distance).iter().any(holds))
    }
}
