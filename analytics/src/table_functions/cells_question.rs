//! Which cells a statistic speaks about: the arguments that all of them share, and these resolved against a snapshot.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use h3o::Resolution;
use riskgrid_ingest::grid::{CellSet, GridSnapshot, Metric, Span};
use riskgrid_ingest::places::cells_of;
use riskgrid_ingest::{EventTime, LayerIndex, ValueScale};

use super::arguments::{Arguments, Length};
use super::statistic::CellStatistic;
use crate::named_area::{close_ids, named_area};
use crate::permission::Permission;
use crate::series::{scale_of, whole_units};
use crate::sql::SqlError;
use crate::statistics::{Absent, Domain, MAX_K, MAX_STUDY_AREA};
use crate::tables::{visible_layer, visible_layers};

/// `layer`, `metric`, `resolution`, `window`, `at`, `domain` and `k`, checked as far as that needs no snapshot.
#[derive(Clone, Debug)]
pub(super) struct CellsArguments {
    function: &'static str,
    layer: String,
    metric: Metric,
    resolution: Option<Resolution>,
    length: Length,
    at: Option<EventTime>,
    /// `None`: the metric's own default.
    domain: Option<NamedDomain>,
    k: u32,
}

/// The study area as it is asked for.
#[derive(Clone, Debug)]
enum NamedDomain {
    Neighbours,
    Observed,
    /// Id or name of an area.
    Area(String),
}

impl CellsArguments {
    /// # Errors
    /// [`SqlError::BadRequest`] that names the argument, its value and what is allowed.
    pub(super) fn read(args: &Arguments<'_>, usual_length: Length) -> Result<Self, SqlError> {
        let layer = args
            .text("layer")?
            .ok_or_else(|| args.refuse("layer", "NULL", "the id of a layer: see the table layers"))?;
        let metric = match args.text("metric")? {
            None => Metric::Count,
            Some(name) => Metric::parse(name).ok_or_else(|| {
                let all = Metric::ALL.map(|metric| format!("'{}'", metric.as_str()));
                args.refuse("metric", &format!("'{name}'"), &all.join(", "))
            })?,
        };
        let resolution = args.whole("resolution", 15)?;
        let domain = match args.text("domain")? {
            None => None,
            Some("neighbours") => Some(NamedDomain::Neighbours),
            Some("observed") => Some(NamedDomain::Observed),
            Some(area) => Some(NamedDomain::Area(area.to_owned())),
        };
        Ok(Self {
            function: args.function,
            layer: layer.to_owned(),
            metric,
            resolution: resolution.and_then(|level| Resolution::try_from(level as u8).ok()),
            length: args.length("window")?.unwrap_or(usual_length),
            at: args.time("at")?,
            domain,
            k: args.whole("k", u64::from(MAX_K))?.map_or(1, |k| k as u32),
        })
    }

    /// What is asked of what `permission` shows of `snapshot`.
    ///
    /// # Errors
    /// [`SqlError::BadRequest`] for a layer or area that is not known, a metric that the layer has not, a resolution that
    /// the grid has not.
    pub(super) fn resolve(
        &self,
        snapshot: &GridSnapshot,
        permission: &Permission,
        statistic: &dyn CellStatistic,
    ) -> Result<CellsQuestion, SqlError> {
        let bad = |text: String| SqlError::BadRequest(format!("{}: {text}", self.function));
        let found = visible_layer(snapshot, permission, &self.layer);
        let Some((index, layer)) = found.and_then(|index| Some((index, snapshot.layers.get(index)?))) else {
            return Err(bad(unknown_layer(&self.layer, snapshot, permission)));
        };
        if !self.metric.applies_to(layer.kind) {
            return Err(bad(format!(
                "metric is '{}', but layer '{}' counts reports, which have no values; allowed is 'count', 'weight' or 'sources'",
                self.metric.as_str(),
                self.layer
            )));
        }
        let resolution = self.resolution.unwrap_or(snapshot.resolution);
        if resolution > snapshot.resolution {
            return Err(bad(format!(
                "resolution is {}, allowed is 0 to {}, that of the grid",
                u8::from(resolution),
                u8::from(snapshot.resolution)
            )));
        }
        let (absent, default_domain) = if self.metric.is_additive() {
            (Absent::Zero, Domain::Neighbours)
        } else {
            (Absent::Missing, Domain::Observed)
        };
        let (domain, area) = match &self.domain {
            None => (default_domain, None),
            Some(NamedDomain::Neighbours) => (Domain::Neighbours, None),
            Some(NamedDomain::Observed) => (Domain::Observed, None),
            Some(NamedDomain::Area(name)) => {
                let refuse = |allowed: &str| bad(format!("domain is '{name}', allowed is {allowed}"));
                let area = named_area(&snapshot.places.areas, name)
                    .map_err(|allowed| refuse(&format!("'neighbours' or 'observed', or {allowed}")))?;
                let cells = cells_of(&area.shape, resolution, MAX_STUDY_AREA)
                    .map_err(|error| bad(format!("domain is '{name}', and {error}")))?;
                if cells.is_empty() {
                    return Err(refuse(&format!(
                        "an area that holds the centre of a cell; it holds none of resolution {}: take a finer one",
                        u8::from(resolution)
                    )));
                }
                (Domain::Cells(cells), Some(Arc::clone(&area.id)))
            }
        };
        if absent == Absent::Missing && domain == Domain::Neighbours {
            return Err(bad(format!(
                "domain is 'neighbours', allowed is 'observed' for metric => '{}': it has no value where nothing was observed",
                self.metric.as_str()
            )));
        }
        let bucket = snapshot.calendar.bucket();
        let complete_to = || snapshot.clock_of(index).and_then(|clock| clock.complete_to);
        let at = self
            .at
            .or_else(|| complete_to().map(|complete| complete.floor(bucket)));
        let asked = at.map(|at| AskedWindow {
            at,
            is_named: self.at.is_some(),
            length: self.length,
        });
        let scale = scale_of(self.metric, layer);
        Ok(CellsQuestion {
            layer: index,
            layer_id: Arc::from(self.layer.as_str()),
            metric: self.metric,
            scale,
            resolution,
            window: asked.map(|asked| statistic.window(snapshot, index, asked)),
            asked,
            domain,
            area,
            absent,
            k: self.k,
            seen: permission.cells().clone(),
        })
    }
}

fn unknown_layer(name: &str, snapshot: &GridSnapshot, permission: &Permission) -> String {
    let known = visible_layers(snapshot, permission).map(|(_, layer)| layer.id.as_str());
    let names: Vec<String> = close_ids(known, name)
        .into_iter()
        .map(|id| format!("'{id}'"))
        .collect();
    if names.is_empty() {
        format!("layer is '{name}', which is no layer; the table layers lists them")
    } else {
        format!(
            "layer is '{name}', which is no layer; did you mean {}?",
            names.join(", ")
        )
    }
}

/// A window as it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedWindow {
    /// Its end.
    pub(super) at: EventTime,
    /// Whether somebody named it, or it is where the layer is complete.
    pub(super) is_named: bool,
    /// How long it is.
    pub(super) length: Length,
}

impl AskedWindow {
    /// Snapped outward to what the grid keeps.
    pub(super) fn snapped(self, snapshot: &GridSnapshot, layer: LayerIndex) -> Span {
        snapshot.snap(layer, self.length.before(self.at), self.at)
    }
}

/// A call resolved against one snapshot.
#[derive(Clone, Debug)]
pub(super) struct CellsQuestion {
    pub(super) layer: LayerIndex,
    layer_id: Arc<str>,
    pub(super) metric: Metric,
    /// From the whole numbers that are summed to the metric's unit.
    pub(super) scale: ValueScale,
    pub(super) resolution: Resolution,
    /// The window as it was asked for; `None` while the layer's clock domain has no event and none was named.
    pub(super) asked: Option<AskedWindow>,
    /// The same as it was snapped.
    pub(super) window: Option<Span>,
    /// The study area.
    pub(super) domain: Domain,
    /// The area whose cells it is.
    area: Option<Arc<str>>,
    /// What its cells hold where nothing was observed.
    pub(super) absent: Absent,
    /// How far the study area reaches round an event, and a neighbourhood round a cell.
    pub(super) k: u32,
    /// The cells of the grid that are seen: the others are as if nothing had been observed there.
    pub(super) seen: CellSet,
}

impl CellsQuestion {
    /// Whether its study area has cells even where nothing was observed: a named area has, as zeros.
    pub(super) fn has_cells_without_events(&self) -> bool {
        matches!(self.domain, Domain::Cells(_)) && self.absent == Absent::Zero
    }

    /// Cells of the named area that is its study area; 0 without one.
    pub(super) fn cells_of_area(&self) -> usize {
        match &self.domain {
            Domain::Cells(area) => area.len(),
            Domain::Neighbours | Domain::Observed => 0,
        }
    }

    /// The cells with an event in the window, ascending, and the metric of each in whole units.
    pub(super) fn observed(&self, snapshot: &GridSnapshot, threads: NonZeroUsize) -> (Vec<u64>, Vec<i128>) {
        let (Some(window), Some(totals)) = (self.window, snapshot.totals(self.layer)) else {
            return (Vec::new(), Vec::new());
        };
        // Nothing lies before the first event: a window of a thousand years costs no more than the data do.
        let earliest = snapshot
            .snap(self.layer, totals.first_time, totals.first_time)
            .start;
        let span = Span {
            start: window.start.max(earliest),
            end: window.end,
        };
        let parts = snapshot.sum_in_parts(self.layer, span, (self.resolution, &self.seen), threads, |sums| {
            (sums.cells().to_vec(), whole_units(self.metric, sums))
        });
        let joined = parts
            .into_iter()
            .reduce(|(mut cells, mut values), (after, of_them)| {
                cells.extend(after);
                values.extend(of_them);
                (cells, values)
            });
        joined.unwrap_or_default()
    }
}

impl fmt::Display for CellsQuestion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "layer={}, metric={}, resolution={}, ",
            self.layer_id,
            self.metric.as_str(),
            u8::from(self.resolution)
        )?;
        match self.window {
            Some(window) => write!(formatter, "window={}/{}, ", window.start, window.end)?,
            None => write!(formatter, "window=none, ")?,
        }
        match (&self.domain, &self.area) {
            (Domain::Neighbours, _) => write!(formatter, "study_area=neighbours within {}", self.k),
            (Domain::Observed, _) => write!(formatter, "study_area=observed"),
            (Domain::Cells(cells), Some(area)) => {
                write!(formatter, "study_area={} cells of {area}", cells.len())
            }
            (Domain::Cells(cells), None) => write!(formatter, "study_area={} cells", cells.len()),
        }
    }
}
