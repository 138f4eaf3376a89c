//! A surface: the rows of all layers at one moment of each clock, kept small; what explains a row is made when it is read.

use std::sync::Arc;

use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::CellSet;

use super::all_layers::AllLayers;
use super::class::Class;
use super::combination::{LeaveOneOut, Reference, Risk, Stakes, trust};
use super::flood_cap::estimated_sources;
use super::forecast::forecast;
use super::hazard_index::HazardIndex;
use super::model::{HazardModel, LayerModel, RiskModel};
use super::past::PastNow;
use crate::permission::Permission;

/// One cell of one layer: 80 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// H3 index.
    pub cell: u64,
    /// H.
    pub hazard: f64,
    /// A' of reports; of observations not a number.
    pub intensity: f64,
    /// C.
    pub corroboration: f64,
    /// Bitmap of the cell's own sources in the window of the flood cap.
    pub sources: u64,
    /// R, with its bounds.
    pub risk: Risk,
    /// Classes of channels that tell of it.
    pub channels: u8,
    /// The sensor that says so is past its time.
    pub is_stale: bool,
    /// What kind of surprise it is.
    pub class: Class,
}

/// What is known of the people and things of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowFacts {
    /// Residents.
    pub population: Option<f64>,
    /// Weight of facilities; none where the model names no kind.
    pub facilities: Option<f64>,
    /// Weight of infrastructure.
    pub infrastructure: Option<f64>,
    /// As shares.
    pub reference: Reference,
}

/// What is known of cells.
#[derive(Clone, Debug, Default)]
pub struct CellFacts {
    /// Ascending.
    cells: Vec<u64>,
    /// In the same order.
    facts: Vec<RowFacts>,
}

impl CellFacts {
    /// Of cells that ascend, each with its facts.
    pub fn new(of_cells: impl IntoIterator<Item = (u64, RowFacts)>) -> Self {
        let (cells, facts) = of_cells.into_iter().unzip();
        Self { cells, facts }
    }

    /// Of one cell.
    pub fn of(&self, cell: u64) -> Option<&RowFacts> {
        let at = self.cells.binary_search(&cell).ok()?;
        self.facts.get(at)
    }

    /// Cells.
    pub const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

/// The rows of one layer.
#[derive(Clone, Debug)]
pub struct LayerSurface {
    /// Position of the layer in the model.
    pub layer: usize,
    /// The moment of it.
    pub at: EventTime,
    /// Its clock.
    pub clock: Arc<str>,
    /// Ascending by cell.
    pub rows: Vec<Row>,
    /// What was expected; none without a baseline.
    pub past: Option<PastNow>,
}

/// A cell with all layers of one clock together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AllRow {
    /// H3 index.
    pub cell: u64,
    /// Each number joined over the layers.
    pub risk: Risk,
}

/// All layers of one clock together.
#[derive(Clone, Debug)]
pub struct AllSurface {
    /// The clock.
    pub clock: Arc<str>,
    /// The moment of it.
    pub at: EventTime,
    /// Ascending by cell.
    pub rows: Vec<AllRow>,
}

/// The layers of one clock while they are joined.
struct Joined {
    clock: Arc<str>,
    at: EventTime,
    /// Of each cell, ascending: risk, low, high, if true.
    cells: Vec<(u64, [AllLayers; 4])>,
}

impl Joined {
    fn add(&mut self, rows: &[Row], weight: f64) {
        let before = std::mem::take(&mut self.cells);
        self.cells.reserve_exact(before.len().max(rows.len()));
        let mut before = before.into_iter().peekable();
        for row in rows {
            while let Some(other) = before.next_if(|(cell, _)| *cell < row.cell) {
                self.cells.push(other);
            }
            let known = before.next_if(|(cell, _)| *cell == row.cell);
            let mut joined = known.map(|(_, joined)| joined).unwrap_or_default();
            let Risk {
                risk,
                low,
                high,
                if_true,
            } = row.risk;
            for (joined, number) in joined.iter_mut().zip([risk, low, high, if_true]) {
                joined.add(number, weight);
            }
            self.cells.push((row.cell, joined));
        }
        self.cells.extend(before);
    }

    fn finish(self) -> AllSurface {
        let rows = self
            .cells
            .into_iter()
            .map(|(cell, [risk, low, high, if_true])| AllRow {
                cell,
                risk: Risk {
                    risk: risk.risk(),
                    low: low.risk(),
                    high: high.risk(),
                    if_true: if_true.risk(),
                },
            });
        AllSurface {
            clock: self.clock,
            at: self.at,
            rows: rows.collect(),
        }
    }
}

/// All that is known at a moment.
#[derive(Clone, Debug)]
pub struct Surface {
    /// Grows from surface to surface of a process.
    pub number: u64,
    /// By what it was scored.
    pub model: Arc<RiskModel>,
    /// In the order of the model; layers without an event have none.
    pub layers: Vec<LayerSurface>,
    /// By clock.
    pub all: Vec<AllSurface>,
    /// Of each cell with a row.
    pub facts: Arc<CellFacts>,
    /// Cells in an area in emergency mode.
    pub emergency: CellSet,
}

/// What explains a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Level, surprise, z; of observations the level is the hazard.
    pub index: HazardIndex,
    /// E'.
    pub expected: Option<f64>,
    /// Estimated number of the cell's own sources.
    pub sources: f64,
    /// E, V, S, Q.
    pub stakes: Stakes,
    /// g.
    pub trust: f64,
    /// People times believed hazard times vulnerability.
    pub impact: Option<f64>,
    /// Marks expected over the next hours.
    pub forecast: Option<f64>,
    /// How much is due to each part.
    pub leave_one_out: LeaveOneOut,
    /// Names of what is missing.
    pub missing: Vec<&'static str>,
}

impl Surface {
    /// Before anything happened.
    pub fn empty(model: Arc<RiskModel>) -> Self {
        Self {
            number: 0,
            model,
            layers: Vec::new(),
            all: Vec::new(),
            facts: Arc::default(),
            emergency: CellSet::none(),
        }
    }

    /// Of layers; `facts` says what is known of a cell.
    pub fn new(
        model: Arc<RiskModel>,
        layers: Vec<LayerSurface>,
        mut facts: impl FnMut(u64) -> RowFacts,
    ) -> Self {
        let mut surface = Self {
            number: 0,
            model,
            layers,
            all: Vec::new(),
            facts: Arc::default(),
            emergency: CellSet::none(),
        };
        surface.join();
        let mut cells: Vec<u64> = surface
            .all
            .iter()
            .flat_map(|all| all.rows.iter().map(|row| row.cell))
            .collect();
        if surface.all.len() > 1 {
            cells.sort_unstable();
            cells.dedup();
        }
        surface.facts = CellFacts::new(cells.into_iter().map(|cell| (cell, facts(cell)))).into();
        surface
    }

    /// The same, with these cells in emergency mode.
    #[must_use]
    pub fn in_emergency(mut self, cells: CellSet) -> Self {
        self.emergency = cells;
        self
    }

    /// `normal` or `emergency`, as the area is that a cell lies in.
    pub fn mode_of(&self, cell: u64) -> &'static str {
        if self.emergency.holds(cell) {
            "emergency"
        } else {
            "normal"
        }
    }

    /// What of it is seen: the layers, and of them the cells by their centres; all together is made of these alone.
    #[must_use]
    pub fn seen_by(self: &Arc<Self>, permission: &Permission) -> Arc<Self> {
        if permission.is_whole() {
            return Arc::clone(self);
        }
        let is_seen = |layer: &&LayerSurface| {
            let model = self.model_of(layer);
            model.is_some_and(|model| permission.admits_layer(Some(&model.id)))
        };
        let layers = self.layers.iter().filter(is_seen).map(|layer| LayerSurface {
            rows: layer
                .rows
                .iter()
                .copied()
                .filter(|row| permission.admits_cell(row.cell))
                .collect(),
            ..layer.clone()
        });
        let mut seen = Self {
            number: self.number,
            model: Arc::clone(&self.model),
            layers: layers.collect(),
            all: Vec::new(),
            facts: Arc::clone(&self.facts),
            emergency: self.emergency.clone(),
        };
        seen.join();
        Arc::new(seen)
    }

    /// How a layer is scored.
    pub fn model_of(&self, layer: &LayerSurface) -> Option<&LayerModel> {
        self.model.layers.get(layer.layer)
    }

    /// What is known of a cell.
    pub fn facts_of(&self, cell: u64) -> RowFacts {
        self.facts.of(cell).copied().unwrap_or_default()
    }

    /// The row of a cell of a layer.
    pub fn row(&self, layer: &str, cell: u64) -> Option<(&LayerSurface, &Row)> {
        let surface = self
            .layers
            .iter()
            .find(|surface| self.model_of(surface).is_some_and(|model| model.id == layer))?;
        let at = surface.rows.binary_search_by_key(&cell, |row| row.cell).ok()?;
        Some((surface, surface.rows.get(at)?))
    }

    /// Joins the layers of each clock.
    fn join(&mut self) {
        let mut clocks: Vec<Joined> = Vec::new();
        for layer in &self.layers {
            let weight = self
                .model
                .layers
                .get(layer.layer)
                .map_or(1.0, |model| model.weight);
            let known = clocks.iter().position(|joined| joined.clock == layer.clock);
            let position = known.unwrap_or_else(|| {
                clocks.push(Joined {
                    clock: Arc::clone(&layer.clock),
                    at: layer.at,
                    cells: Vec::new(),
                });
                clocks.len() - 1
            });
            if let Some(joined) = clocks.get_mut(position) {
                joined.add(&layer.rows, weight);
            }
        }
        self.all = clocks.into_iter().map(Joined::finish).collect();
    }

    /// What a row is made of.
    pub fn explain(&self, layer: &LayerSurface, row: &Row) -> Option<Explained> {
        let model = self.model_of(layer)?;
        let facts = self.facts_of(row.cell);
        let stakes = facts.reference.stakes();
        let trust = trust(row.corroboration);
        let past = layer.past.as_ref();
        let expected = past.and_then(|past| past.expected(row.cell));
        let mut missing = Vec::new();
        let (index, as_expected) = match &model.hazard {
            HazardModel::Reports { scale, .. } => {
                if expected.is_none() {
                    missing.push("baseline");
                }
                (
                    scale.index(row.intensity, expected),
                    expected.map(|expected| scale.as_expected(expected)),
                )
            }
            HazardModel::Observations { .. } => {
                let index = HazardIndex {
                    hazard: row.hazard,
                    level: row.hazard,
                    z: None,
                    surprise: None,
                };
                (index, None)
            }
        };
        let reference = &facts.reference;
        let parts = [
            ("population", reference.population.is_none()),
            ("facilities", reference.facilities.is_none()),
            ("infrastructure", reference.infrastructure.is_none()),
            ("susceptibility", reference.susceptibility.is_none()),
            ("lack_of_coping", reference.lack_of_coping.is_none()),
        ];
        missing.extend(
            parts
                .into_iter()
                .filter(|(_, is_missing)| *is_missing)
                .map(|(name, _)| name),
        );
        Some(Explained {
            index,
            expected: expected.map(|expected| expected.mean),
            sources: estimated_sources(row.sources),
            stakes,
            trust,
            impact: facts
                .population
                .map(|people| people * row.hazard * trust * stakes.vulnerability),
            forecast: self.forecast(layer, row),
            leave_one_out: LeaveOneOut::of(row.hazard, as_expected, row.corroboration, stakes),
            missing,
        })
    }

    /// Marks expected next in the cell of a row; none without a baseline, and of observations.
    pub fn forecast(&self, layer: &LayerSurface, row: &Row) -> Option<f64> {
        let (model, past) = (self.model_of(layer)?, layer.past.as_ref()?);
        let hours = self.model.forecast as f64 / 3.6e9;
        let rate = past.rate(row.cell)?;
        Some(forecast(
            rate,
            past.profile_hours,
            row.intensity,
            model.half_life,
            hours,
        ))
    }

    /// R of all layers of the clock, less that without this one; 0 where it is the only one in the cell.
    pub fn loo_layer(&self, layer: &LayerSurface, row: &Row) -> f64 {
        let mut others = AllLayers::default();
        let same_clock = self
            .layers
            .iter()
            .filter(|other| other.clock == layer.clock && other.layer != layer.layer);
        let mut is_only_one = true;
        for other in same_clock {
            if let Ok(at) = other.rows.binary_search_by_key(&row.cell, |row| row.cell)
                && let (Some(row), Some(model)) = (other.rows.get(at), self.model_of(other))
            {
                others.add(row.risk.risk, model.weight);
                is_only_one = false;
            }
        }
        let weight = self.model_of(layer).map_or(1.0, |model| model.weight);
        if is_only_one {
            return 0.0;
        }
        AllLayers::loss_without(others, row.risk.risk, weight)
    }

    /// Rows of all layers.
    pub fn rows(&self) -> usize {
        let of_layers: usize = self.layers.iter().map(|layer| layer.rows.len()).sum();
        let of_all: usize = self.all.iter().map(|all| all.rows.len()).sum();
        of_layers + of_all
    }

    /// Bytes of the rows, about.
    pub fn bytes(&self) -> usize {
        let of_layers: usize = self.layers.iter().map(|layer| layer.rows.len()).sum();
        let of_all: usize = self.all.iter().map(|all| all.rows.len()).sum();
        of_layers * size_of::<Row>()
            + of_all * size_of::<AllRow>()
            + self.facts.len() * size_of::<(u64, RowFacts)>()
    }
}
