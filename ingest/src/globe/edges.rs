//! The edges of one polygon, arranged so that a point is compared with few of them.
//!
//! Coordinates are degrees on the plane of longitude and latitude, and edges are straight there, as GeoJSON has it
//! (RFC 7946, section 3.1.1).

use geo::Coord;
use geo::kernels::{Kernel, Orientation, RobustKernel};

use super::locate::Side;

/// On the average an edge is filed under at most so many bands more than one.
const COPIES: f64 = 3.0;

/// A side of a polygon from its southern end to its northern one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edge {
    low: [f64; 2],
    high: [f64; 2],
}

impl Edge {
    /// Of its ends.
    pub(super) fn new(a: [f64; 2], b: [f64; 2]) -> Self {
        if (a[1], a[0]) <= (b[1], b[0]) {
            Self { low: a, high: b }
        } else {
            Self { low: b, high: a }
        }
    }

    /// Whether a line from the point eastward meets this edge.
    ///
    /// An edge holds its southern end and not its northern one, and a point on it does not count as west of it. So a
    /// point on an edge or corner is taken for one a little to the east, and a very little to the north, of it: two
    /// polygons that share an edge never both hold a point of it, and never both leave it out. The sign is exact
    /// (Shewchuk 1997, "Adaptive precision floating-point arithmetic and fast robust geometric predicates"), and does
    /// not depend on the direction in which a ring runs through the edge.
    fn is_east_of(&self, point: [f64; 2]) -> bool {
        if point[1] < self.low[1] || point[1] >= self.high[1] {
            return false;
        }
        if point[0] < self.low[0].min(self.high[0]) {
            return true;
        }
        if point[0] >= self.low[0].max(self.high[0]) {
            return false;
        }
        orientation(self.low, self.high, point) == Orientation::CounterClockwise
    }

    /// Whether the point is on it, its ends included.
    fn holds(&self, point: [f64; 2]) -> bool {
        self.meets([point[0], point[1], point[0], point[1]])
            && orientation(self.low, self.high, point) == Orientation::Collinear
    }

    fn meets(&self, [west, south, east, north]: [f64; 4]) -> bool {
        self.low[1] <= north
            && self.high[1] >= south
            && self.low[0].min(self.high[0]) <= east
            && self.low[0].max(self.high[0]) >= west
    }

    /// Longitude where it is at `lat`, which it reaches.
    fn lon_at(&self, lat: f64) -> f64 {
        let share = (lat - self.low[1]) / (self.high[1] - self.low[1]);
        self.low[0] + share * (self.high[0] - self.low[0])
    }
}

/// On which side of the line from `a` to `b` is `c`? Exact.
pub(super) fn orientation(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> Orientation {
    RobustKernel::orient2d(Coord::from(a), Coord::from(b), Coord::from(c))
}

/// Where a point lies to the polygons of these edges, of which there must be all that reach its latitude.
pub(super) fn side_of(edges: impl Iterator<Item = Edge>, point: [f64; 2]) -> Side {
    let mut is_inside = false;
    for edge in edges {
        if edge.holds(point) {
            return Side::OnEdge;
        }
        is_inside ^= edge.is_east_of(point);
    }
    if is_inside { Side::Inside } else { Side::Outside }
}

/// All edges of a polygon, its holes included, filed by bands of latitude: each under every band that it reaches into.
#[derive(Clone, Debug)]
pub(super) struct Edges {
    south: f64,
    bands_per_degree: f64,
    /// Where each band begins in `filed`, and its end.
    starts: Vec<u32>,
    filed: Vec<Edge>,
}

impl Edges {
    /// The edges of closed rings.
    pub(super) fn new(rings: &[Vec<[f64; 2]>]) -> Self {
        let edges: Vec<Edge> = rings
            .iter()
            .flat_map(|ring| ring.array_windows().map(|[a, b]| Edge::new(*a, *b)))
            .collect();
        let south = edges.iter().map(|edge| edge.low[1]).fold(f64::INFINITY, f64::min);
        let north = edges
            .iter()
            .map(|edge| edge.high[1])
            .fold(f64::NEG_INFINITY, f64::max);
        let height = north - south;
        let heights: f64 = edges.iter().map(|edge| edge.high[1] - edge.low[1]).sum();
        // An edge of height h is under at most 1 + h · bands / height of them, which bounds the copies.
        let bands = if heights > 0.0 {
            (COPIES * edges.len() as f64 * height / heights).min(edges.len() as f64) as usize
        } else {
            1
        };
        let mut filing = Self {
            south,
            bands_per_degree: if height > 0.0 { bands as f64 / height } else { 0.0 },
            starts: vec![0; bands.max(1) + 1],
            filed: Vec::new(),
        };
        filing.file(&edges);
        filing
    }

    /// A counting sort: how many each band has, where each begins, then the edges.
    fn file(&mut self, edges: &[Edge]) {
        for edge in edges {
            let [first, last] = self.bands(edge.low[1], edge.high[1]);
            for band in first..=last {
                if let Some(count) = self.starts.get_mut(band + 1) {
                    *count += 1;
                }
            }
        }
        let mut total = 0;
        for start in &mut self.starts {
            total += *start;
            *start = total;
        }
        let mut next = self.starts.clone();
        let nothing = Edge {
            low: [0.0; 2],
            high: [0.0; 2],
        };
        self.filed = vec![nothing; total as usize];
        for edge in edges {
            let [first, last] = self.bands(edge.low[1], edge.high[1]);
            for band in first..=last {
                if let Some(place) = next.get_mut(band) {
                    if let Some(slot) = self.filed.get_mut(*place as usize) {
                        *slot = *edge;
                    }
                    *place += 1;
                }
            }
        }
    }

    /// The bands of the latitudes `low` and `high`; outside of all of them the nearest one.
    fn bands(&self, low: f64, high: f64) -> [usize; 2] {
        let last = self.starts.len().saturating_sub(2);
        let band = |lat: f64| (((lat - self.south) * self.bands_per_degree) as usize).min(last);
        [band(low), band(high)]
    }

    /// The edges under a run of bands; one that is under several of them comes several times.
    fn of_bands(&self, [first, last]: [usize; 2]) -> &[Edge] {
        let from = self.starts.get(first).copied().unwrap_or(0) as usize;
        let to = self.starts.get(last + 1).copied().unwrap_or(0) as usize;
        self.filed.get(from..to).unwrap_or_default()
    }

    /// Whether the point is inside, by the even–odd rule: rings may run either way round.
    pub(super) fn contain(&self, point: [f64; 2]) -> bool {
        let near = self.of_bands(self.bands(point[1], point[1]));
        near.iter().filter(|edge| edge.is_east_of(point)).count() % 2 == 1
    }

    /// Where a point is, edges told apart.
    pub(super) fn side(&self, point: [f64; 2]) -> Side {
        let near = self.of_bands(self.bands(point[1], point[1]));
        side_of(near.iter().copied(), point)
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.filed.as_slice()) + size_of_val(self.starts.as_slice())
    }

    /// Whether the box around any edge meets `[west, south, east, north]`. Where none does, all points of that box are
    /// inside, or none is.
    pub(super) fn any_meets(&self, bounds: [f64; 4]) -> bool {
        let near = self.of_bands(self.bands(bounds[1], bounds[3]));
        near.iter().any(|edge| edge.meets(bounds))
    }

    /// The middle of the widest stretch that is inside at latitude `lat`, and how wide that is.
    pub(super) fn widest_stretch(&self, lat: f64) -> Option<(f64, f64)> {
        let near = self.of_bands(self.bands(lat, lat)).iter();
        let mut crossed: Vec<f64> = near
            .filter(|edge| edge.low[1] <= lat && lat < edge.high[1])
            .map(|edge| edge.lon_at(lat))
            .collect();
        crossed.sort_unstable_by(f64::total_cmp);
        let stretches = crossed
            .as_chunks()
            .0
            .iter()
            .map(|[west, east]| (west + (east - west) / 2.0, east - west));
        stretches.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}
