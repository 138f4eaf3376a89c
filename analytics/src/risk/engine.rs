//! Makes one surface after the other from the grid: takes in what is new since the one before, and scores the cells that
//! have something to say.

mod group;
mod present;

use std::sync::Arc;

use h3o::Resolution;
use hashbrown::HashMap;
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::places::{Places, cells_of};
use riskgrid_ingest::{EventTime, HOUR, LIVE_DOMAIN};

use self::present::{Present, believe};
use super::around::{StaticFacts, units_of};
use super::channels::RINGS;
use super::classes::{HeldClasses, Modes};
use super::conditions::Conditions;
use super::hourly_signs::{HourlySigns, last_full_hour};
use super::marks::LayerMarks;
use super::model::{LayerModel, RiskModel};
use super::outcomes::KnownOutcomes;
use super::past::Past;
use super::reference::{InvalidReference, ReferenceCells};
use super::spread::CellGraph;
use super::surface::Surface;
use crate::statistics::MAX_STUDY_AREA;

/// Cells of which no row is left are forgotten when there are so many beside those with one.
const CELLS_BESIDE: usize = 1_000_000;

/// Sets of layers of whose surfaces something is kept.
const MOST_NARROWED: usize = 64;

/// Full hours before the first surface whose classes may still hold.
const HOURS_BEFORE: i64 = 3;

/// Why no surface can be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidSurface {
    /// The area of a domain has too many cells.
    #[error("layer `{layer}`: the cells of `domain` cannot be listed: {problem}")]
    Domain {
        /// Whose.
        layer: String,
        /// Why.
        problem: String,
    },
    /// Reference layers that cannot be shared out.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

/// What is kept between surfaces.
#[derive(Clone, Debug)]
pub struct RiskEngine {
    model: Arc<RiskModel>,
    places: Arc<Places>,
    reference: Arc<ReferenceCells>,
    resolution: Resolution,
    /// Of each layer.
    domains: Vec<Option<Arc<[u64]>>>,
    /// Of each layer, its graph's position.
    graph_of: Vec<usize>,
    graphs: Vec<CellGraph>,
    /// Neighbours one ring around, of all cells.
    near: CellGraph,
    static_facts: Vec<Option<StaticFacts>>,
    /// Surfaces that were made.
    round: u64,
    marks: Vec<Option<LayerMarks>>,
    pasts: Vec<Option<Arc<Past>>>,
    /// Of surfaces of all layers.
    kept: Kept,
    /// Of surfaces of some layers only, by their positions.
    narrowed: HashMap<Box<[usize]>, Kept>,
    /// Of each layer, judged at an hour.
    signs: Vec<Option<(EventTime, HourlySigns)>>,
    /// Whether the hours before the first surface were looked at.
    has_begun: bool,
    /// Whether bursts and trends are looked for.
    judges_hours: bool,
}

/// What follows from several layers together, and so is another where some of them do not count.
#[derive(Clone, Debug, Default)]
struct Kept {
    classes: HeldClasses,
    outcomes: KnownOutcomes,
}

impl RiskEngine {
    /// Lists the cells of domains, and shares out the reference layers.
    ///
    /// # Errors
    /// Reference layers that would count twice, and what is too large.
    pub fn new(
        model: Arc<RiskModel>,
        places: Arc<Places>,
        resolution: Resolution,
    ) -> Result<Self, InvalidSurface> {
        let reference = Arc::new(ReferenceCells::new(&model, &places, resolution)?);
        let mut by_area: HashMap<Arc<str>, Arc<[u64]>> = HashMap::new();
        let mut domains = Vec::with_capacity(model.layers.len());
        let mut known: Vec<(Option<Arc<str>>, u32)> = Vec::new();
        let (mut graphs, mut graph_of) = (Vec::new(), Vec::new());
        for layer in &model.layers {
            let domain = match &layer.domain {
                None => None,
                Some(id) => {
                    let known = by_area.get(id).cloned();
                    let cells = known.map_or_else(|| cells_of_domain(layer, id, &places, resolution), Ok)?;
                    by_area.insert(Arc::clone(id), Arc::clone(&cells));
                    Some(cells)
                }
            };
            let shape = (layer.domain.clone(), layer.kernel.rings());
            let graph = known.iter().position(|known| *known == shape).unwrap_or_else(|| {
                known.push(shape);
                graphs.push(CellGraph::new(domain.clone(), layer.kernel.rings()));
                graphs.len() - 1
            });
            graph_of.push(graph);
            domains.push(domain);
        }
        let layers = model.layers.len();
        Ok(Self {
            model,
            places,
            reference,
            resolution,
            domains,
            graph_of,
            graphs,
            near: CellGraph::new(None, RINGS),
            static_facts: Vec::new(),
            round: 0,
            marks: vec![None; layers],
            pasts: vec![None; layers],
            kept: Kept::default(),
            narrowed: HashMap::new(),
            signs: vec![None; layers],
            has_begun: false,
            judges_hours: true,
        })
    }

    /// Forgets what was kept between surfaces: the next one is made of the grid anew.
    pub fn start_again(&mut self) {
        self.marks.fill(None);
        self.pasts.fill(None);
        self.kept = Kept::default();
        self.narrowed.clear();
        self.signs.fill(None);
        self.has_begun = !self.judges_hours;
    }

    /// One that judges no bursts and no trends: all rows are of the class that their risk alone gives.
    #[must_use]
    pub fn without_classes(mut self) -> Self {
        self.judges_hours = false;
        self.has_begun = true;
        self
    }

    /// Of the cells of its surfaces.
    pub const fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// By what it scores.
    pub const fn model(&self) -> &Arc<RiskModel> {
        &self.model
    }

    /// The cells of a layer's domain, ascending; none where that is all cells.
    pub fn domain_of(&self, layer: &str) -> Option<Arc<[u64]>> {
        let position = self.model.layers.iter().position(|model| model.id == layer)?;
        self.domains.get(position)?.clone()
    }

    /// The surface of a snapshot. `now` is the wall clock, for layers that are live.
    ///
    /// The first one after a start is made after those of the full hours before it: classes are kept for three hours.
    pub fn surface(&mut self, snapshot: &GridSnapshot, now: EventTime, conditions: &Conditions) -> Surface {
        let present = self.present(snapshot, now);
        if !std::mem::replace(&mut self.has_begun, true) {
            self.play_hours_before(snapshot, &present, conditions);
        }
        let surface = self.surface_of(snapshot, &present, conditions, false);
        self.forget(&surface);
        surface
    }

    /// The surfaces of the full hours before, for the classes that are kept from them.
    fn play_hours_before(&mut self, snapshot: &GridSnapshot, present: &[Present], conditions: &Conditions) {
        for hours in (0..HOURS_BEFORE).rev() {
            let earlier: Vec<Present> = present
                .iter()
                .filter_map(|layer| {
                    let hour = last_full_hour(snapshot, layer.index, layer.at)?;
                    let at = hour.plus(-hours * HOUR);
                    Some(Present { at, ..layer.clone() })
                })
                .collect();
            self.surface_of(snapshot, &earlier, conditions, true);
        }
    }

    /// The surface as it would be if no layers but these, by position and ascending, were on it: what others of a hazard group tell
    /// makes nothing surer. After [`Self::surface`] of the same snapshot, moment and conditions.
    pub fn surface_of_layers(
        &mut self,
        snapshot: &GridSnapshot,
        now: EventTime,
        conditions: &Conditions,
        layers: &[usize],
    ) -> Surface {
        if self.narrowed.len() >= MOST_NARROWED && !self.narrowed.contains_key(layers) {
            self.narrowed.clear();
        }
        let mut present = self.present(snapshot, now);
        present.retain(|present| layers.contains(&present.layer));
        let kept = self.narrowed.remove(layers);
        let is_first = kept.is_none() && self.judges_hours;
        let of_all = std::mem::replace(&mut self.kept, kept.unwrap_or_default());
        if is_first {
            self.play_hours_before(snapshot, &present, conditions);
        }
        let surface = self.surface_of(snapshot, &present, conditions, false);
        let kept = std::mem::replace(&mut self.kept, of_all);
        self.narrowed.insert(layers.into(), kept);
        surface
    }

    /// At the moments of `present`; `are_full_hours` where these are full hours that are over.
    fn surface_of(
        &mut self,
        snapshot: &GridSnapshot,
        present: &[Present],
        conditions: &Conditions,
        are_full_hours: bool,
    ) -> Surface {
        let mut sensors = self.sensors(snapshot, present);
        let model = Arc::clone(&self.model);
        let newest = present.iter().map(|layer| layer.at).max();
        let units = units_of(snapshot, &model, newest);
        let clocks: Vec<(usize, EventTime)> = present.iter().map(|layer| (layer.layer, layer.at)).collect();
        let reliabilities = self.kept.outcomes.reliabilities(snapshot, &model, &clocks);
        believe(&model, &mut sensors, &reliabilities);
        self.round += 1;
        let mut layers = Vec::new();
        for layer in present {
            self.follow(snapshot, layer);
            self.judge_hour(snapshot, layer, are_full_hours);
        }
        for (group, reliabilities) in model.groups.iter().zip(&reliabilities.of_classes) {
            let members: Vec<&Present> = present
                .iter()
                .filter(|layer| group.layers.contains(&layer.layer))
                .collect();
            let mut clocks: Vec<&Arc<str>> = members.iter().map(|layer| &layer.clock).collect();
            clocks.sort_unstable();
            clocks.dedup();
            for clock in clocks {
                let members: Vec<&Present> = members
                    .iter()
                    .copied()
                    .filter(|layer| layer.clock == *clock)
                    .collect();
                self.score_group(
                    snapshot,
                    &members,
                    reliabilities,
                    &sensors,
                    &units,
                    conditions,
                    &mut layers,
                );
            }
        }
        layers.sort_by_key(|layer| layer.layer);
        let emergency = &conditions.emergency;
        // Hours of the past are classed by the mode that they had; what is replayed by the mode of now.
        let past = present
            .iter()
            .find(|layer| are_full_hours && *layer.clock == *LIVE_DOMAIN)
            .map(|layer| conditions.emergency_at(layer.at));
        let modes = Modes {
            of_live: past.as_ref().unwrap_or(emergency),
            of_others: emergency,
        };
        self.kept
            .classes
            .classify(&model, self.resolution, &self.signs, modes, &mut layers);
        let mut walk = self.near.walk();
        let facts = |cell| {
            let place = self.near.next_place(&mut walk, cell);
            let known = place.and_then(|place| self.static_facts.get(place as usize)?.as_ref());
            known.map_or_else(Default::default, StaticFacts::facts)
        };
        Surface::new(model, layers, facts).in_emergency(emergency.clone())
    }

    /// R of each cell of `domain` at an origin, of what a snapshot tells of one layer before it; 0 where there is no row.
    pub fn risks_at(
        &mut self,
        snapshot: &GridSnapshot,
        layer: &str,
        origin: EventTime,
        domain: &[u64],
    ) -> Vec<f64> {
        let of_layer = |present: &Present| {
            let model = self.model.layers.get(present.layer);
            model.is_some_and(|model| model.id == layer)
        };
        let present: Vec<Present> = self
            .present(snapshot, origin)
            .into_iter()
            .filter(of_layer)
            .map(|layer| Present { at: origin, ..layer })
            .collect();
        let surface = self.surface_of(snapshot, &present, &Conditions::default(), false);
        self.forget(&surface);
        let mut risks = vec![0.0; domain.len()];
        for row in surface.layers.iter().flat_map(|layer| &layer.rows) {
            if let Ok(position) = domain.binary_search(&row.cell)
                && let Some(slot) = risks.get_mut(position)
            {
                *slot = row.risk.risk;
            }
        }
        risks
    }

    /// Lets go of what is known of cells that have no row any more, where they are many.
    fn forget(&mut self, surface: &Surface) {
        let most = 8 * surface.facts.len() + CELLS_BESIDE;
        if self.near.len() > most {
            self.near = CellGraph::new(None, RINGS);
            self.static_facts.clear();
        }
        for (layer, graph) in self.graph_of.iter().enumerate() {
            let domain = self.domains.get(layer).cloned().flatten();
            if let Some(graph) = self.graphs.get_mut(*graph)
                && domain.is_none()
                && graph.len() > most
            {
                let rings = self
                    .model
                    .layers
                    .get(layer)
                    .map_or(0, |layer| layer.kernel.rings());
                *graph = CellGraph::new(None, rings);
            }
        }
    }

    /// Bytes of what is kept of cells between surfaces, about.
    pub fn bytes(&self) -> usize {
        self.marks.iter().flatten().map(LayerMarks::bytes).sum()
    }

    /// Cells of all layers that something is kept of.
    pub fn cells(&self) -> usize {
        self.marks.iter().flatten().map(LayerMarks::len).sum()
    }
}

/// The cells of the area that is a layer's domain, ascending.
fn cells_of_domain(
    layer: &LayerModel,
    area: &str,
    places: &Places,
    resolution: Resolution,
) -> Result<Arc<[u64]>, InvalidSurface> {
    let invalid = |problem: String| InvalidSurface::Domain {
        layer: layer.id.clone(),
        problem,
    };
    let area = places
        .areas
        .get(area)
        .ok_or_else(|| invalid(format!("no area has the id `{area}`")))?;
    let cells = cells_of(&area.shape, resolution, MAX_STUDY_AREA);
    Ok(cells.map_err(|error| invalid(error.to_string()))?.into())
}
