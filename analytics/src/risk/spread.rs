//! Spread: what happens in a cell is felt in those around it, and none of it is lost or made.
//!
//! A'_c = Σ_j k_cj·A_j with k_cj = w(d)/Z_j, w(d) = exp(−d²/2σ²) up to ring K, and Z_j the sum of w over the cells of the
//! domain round j. So ΣA' = ΣA over the domain, at its border and at pentagons too. The ring d is that of a breadth-first
//! disk: H3's own distance fails round pentagons.

use h3o::CellIndex;
use hashbrown::HashMap;

/// The most rings that a kernel may have.
pub const MOST_RINGS: u32 = 8;

/// How much of a cell is felt in each ring around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    weights: Vec<f64>,
}

impl Kernel {
    /// A Gaussian of `sigma` rings, cut after `rings`.
    pub fn new(rings: u32, sigma: f64) -> Self {
        let weight = |ring: u32| (-f64::from(ring * ring) / (2.0 * sigma * sigma)).exp();
        Self {
            weights: (0..=rings.min(MOST_RINGS)).map(weight).collect(),
        }
    }

    /// The outermost ring.
    pub fn rings(&self) -> u32 {
        self.weights.len().saturating_sub(1) as u32
    }

    /// The weight of a ring; 0 outside.
    pub fn weight(&self, ring: u8) -> f64 {
        self.weights.get(usize::from(ring)).copied().unwrap_or(0.0)
    }
}

/// The cells within `rings` of a cell, each with its ring, ascending by cell: by breadth-first search, at pentagons too.
pub fn rings_around(cell: CellIndex, rings: u32) -> Vec<(u64, u8)> {
    let mut near: Vec<(u64, u8)> = cell
        .grid_disk_distances_safe(rings)
        .map(|(near, ring)| (u64::from(near), ring as u8))
        .collect();
    near.sort_unstable();
    near
}

/// A cell of the graph, by its place there.
pub type Place = u32;

/// Places round one, itself included, each with its ring, ascending by cell.
type Rings = Box<[(Place, u8)]>;

/// The cells that a surface speaks of, with those around each; they are found when they are first asked for.
#[derive(Clone, Debug)]
pub struct CellGraph {
    /// Ascending; all cells where there is none.
    domain: Option<std::sync::Arc<[u64]>>,
    rings: u32,
    places: HashMap<u64, Place>,
    cells: Vec<u64>,
    /// All places, ascending by cell, as of when they were asked for last.
    ascending: Vec<Place>,
    around: Vec<Option<Rings>>,
}

/// How far a walk over cells that ascend has come in a graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    at: usize,
}

impl CellGraph {
    /// A graph in which cells know those within `rings` that are in the domain, whose cells ascend.
    pub fn new(domain: Option<std::sync::Arc<[u64]>>, rings: u32) -> Self {
        Self {
            domain,
            rings: rings.min(MOST_RINGS),
            places: HashMap::new(),
            cells: Vec::new(),
            ascending: Vec::new(),
            around: Vec::new(),
        }
    }

    /// Whether a cell is in the domain.
    pub fn holds(&self, cell: u64) -> bool {
        self.domain
            .as_ref()
            .is_none_or(|domain| domain.binary_search(&cell).is_ok())
    }

    /// Cells that were asked for, and those around them.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether no cell was asked for.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cell of a place.
    pub fn cell(&self, place: Place) -> u64 {
        self.cells.get(place as usize).copied().unwrap_or_default()
    }

    /// The place of a cell, if it has one.
    pub fn known_place(&self, cell: u64) -> Option<Place> {
        self.places.get(&cell).copied()
    }

    /// The place of a cell; `None` outside the domain.
    pub fn place(&mut self, cell: u64) -> Option<Place> {
        if let Some(place) = self.places.get(&cell) {
            return Some(*place);
        }
        self.holds(cell).then(|| self.add(cell))
    }

    /// Brings new places into the order of [`Self::ascending`].
    pub fn sort(&mut self) {
        if self.ascending.len() < self.cells.len() {
            let cells = &self.cells;
            self.ascending
                .extend(self.ascending.len() as Place..cells.len() as Place);
            // What was there before is one run, which this sort makes use of.
            self.ascending
                .sort_by_key(|place| cells.get(*place as usize).copied());
        }
    }

    /// All places that were there when they were last sorted, ascending by cell.
    pub fn ascending(&self) -> &[Place] {
        &self.ascending
    }

    /// Begins a walk over cells that ascend.
    pub fn walk(&mut self) -> Walk {
        self.sort();
        Walk::default()
    }

    /// The place of a cell that is not before the one that the walk was asked for last; `None` outside the domain.
    pub fn next_place(&mut self, walk: &mut Walk, cell: u64) -> Option<Place> {
        while let Some(place) = self.ascending.get(walk.at) {
            let here = self.cell(*place);
            if here == cell {
                return Some(*place);
            }
            if here > cell {
                break;
            }
            walk.at += 1;
        }
        // It came after the walk began.
        self.place(cell)
    }

    fn add(&mut self, cell: u64) -> Place {
        let next = self.cells.len() as Place;
        let place = *self.places.entry(cell).or_insert(next);
        if place == next {
            self.cells.push(cell);
            self.around.push(None);
        }
        place
    }

    /// The places round one, itself included, each with its ring, ascending by cell.
    pub fn around(&mut self, place: Place) -> &[(Place, u8)] {
        let is_known = self.around.get(place as usize).is_some_and(Option::is_some);
        if !is_known {
            let found = self.find(place);
            if let Some(slot) = self.around.get_mut(place as usize) {
                *slot = Some(found);
            }
        }
        self.around
            .get(place as usize)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    fn find(&mut self, place: Place) -> Rings {
        let Ok(cell) = CellIndex::try_from(self.cell(place)) else {
            return Rings::default();
        };
        rings_around(cell, self.rings)
            .into_iter()
            .filter_map(|(near, ring)| Some((self.place(near)?, ring)))
            .collect()
    }
}

/// What is felt in the cells round those where something is, by place; `active` are places with their intensity, ascending
/// by cell. Also, in the same order, Z of each.
pub fn spread(graph: &mut CellGraph, kernel: &Kernel, active: &[(Place, f64)]) -> Vec<f64> {
    let mut felt = Vec::new();
    for (place, intensity) in active {
        let around = graph.around(*place);
        let total = total_weight(around, kernel);
        for (near, ring) in around {
            let near = *near as usize;
            if felt.len() <= near {
                felt.resize(near + 1, 0.0);
            }
            if let Some(felt) = felt.get_mut(near) {
                *felt += kernel.weight(*ring) / total * intensity;
            }
        }
    }
    felt
}

/// Z of a cell: the weights of all cells around it that are in the domain.
pub fn total_weight(around: &[(Place, u8)], kernel: &Kernel) -> f64 {
    around.iter().map(|(_, ring)| kernel.weight(*ring)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use h3o::{LatLng, Resolution};
    use proptest::prelude::*;

    fn pentagon(resolution: Resolution) -> CellIndex {
        resolution.pentagons().next().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn spreading_moves_intensity_and_neither_makes_nor_loses_any(
            lat in -90.0..90.0_f64,
            lon in -180.0..180.0_f64,
            at_pentagon in any::<bool>(),
            chosen in prop::collection::vec((0..37_usize, 0.0..100.0_f64), 1..20),
            kept in prop::collection::vec(any::<bool>(), 37),
            is_bounded in any::<bool>(),
            rings in 0..4_u32,
        ) {
            let centre = if at_pentagon {
                pentagon(Resolution::Five)
            } else {
                LatLng::new(lat, lon).unwrap().to_cell(Resolution::Five)
            };
            let cells: Vec<u64> = rings_around(centre, 3).into_iter().map(|(cell, _)| cell).collect();
            let domain: Vec<u64> = cells.iter().zip(kept).filter(|(_, kept)| *kept).map(|(cell, _)| *cell).collect();
            let domain = is_bounded.then(|| domain.into());
            let mut graph = CellGraph::new(domain, rings);
            let kernel = Kernel::new(rings, 0.6);
            let mut active: Vec<(u64, Place, f64)> = chosen
                .into_iter()
                .filter_map(|(at, intensity)| {
                    let cell = *cells.get(at % cells.len())?;
                    Some((cell, graph.place(cell)?, intensity))
                })
                .collect();
            active.sort_by_key(|(cell, ..)| *cell);
            let active: Vec<_> = active.into_iter().map(|(_, place, intensity)| (place, intensity)).collect();
            let felt = spread(&mut graph, &kernel, &active);
            let (before, after): (f64, f64) = (active.iter().map(|(_, intensity)| intensity).sum(), felt.iter().sum());
            prop_assert!((before - after).abs() <= 1e-9 * before.max(1.0), "{before} {after}");
        }
    }

    proptest! {
        #[test]
        fn a_walk_gives_the_places_of_cells_asked_for_one_by_one(
            known in prop::collection::vec(0..91_usize, 0..40),
            asked in prop::collection::btree_set(0..91_usize, 1..40),
            kept in prop::option::of(prop::collection::vec(any::<bool>(), 91)),
        ) {
            let cells: Vec<u64> = rings_around(pentagon(Resolution::Nine), 5).into_iter().map(|(cell, _)| cell).collect();
            let domain = kept.map(|kept| cells.iter().zip(kept).filter(|(_, kept)| *kept).map(|(cell, _)| *cell).collect());
            let mut graph = CellGraph::new(domain, 0);
            for at in known {
                graph.place(cells[at % cells.len()]);
            }
            let mut walk = graph.walk();
            for at in asked {
                let Some(cell) = cells.get(at) else { break };
                let place = graph.next_place(&mut walk, *cell);
                prop_assert_eq!(place.map(|place| graph.cell(place)), graph.holds(*cell).then_some(*cell));
                prop_assert_eq!(place, graph.place(*cell));
            }
            graph.sort();
            let ascending: Vec<u64> = graph.ascending().iter().map(|place| graph.cell(*place)).collect();
            prop_assert!(ascending.is_sorted() && ascending.len() == graph.len());
        }
    }

    #[test]
    fn round_a_pentagon_there_are_five_cells_in_a_ring() {
        let near = rings_around(pentagon(Resolution::Nine), 1);
        assert_eq!(near.len(), 6);
        assert_eq!(near.iter().filter(|(_, ring)| *ring == 1).count(), 5);
    }

    #[test]
    fn without_rings_nothing_is_felt_elsewhere() {
        let mut graph = CellGraph::new(None, 0);
        let place = graph.place(u64::from(pentagon(Resolution::Nine))).unwrap();
        assert_eq!(spread(&mut graph, &Kernel::new(0, 0.6), &[(place, 3.0)]), [3.0]);
    }
}
