//! Layers and tiles of the public: of what was published, and of the layers of the grid that are open to everybody.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use h3o::{CellIndex, Resolution};
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::publication::{Publication, PublishedLayer, PublishedStep};
use riskgrid_analytics::tables::{visible_layer, visible_layers};
use riskgrid_ingest::grid::{GridSnapshot, LayerTotals, Metric, Span, Step};
use riskgrid_ingest::{DAY, EventTime, Layer, LayerIndex};
use serde_json::{Value, json};

use super::layers::no_such_layer;
use super::tiles::{described, is_still, send, set_revision, summed, tile_of};
use crate::app::App;
use crate::problem::Problem;
use crate::tiles::{
    CellValues, Extent, Revision, TileJson, TileMetric, TileQuery, TileRequest, TileSet, resolution_for_zoom,
    tilejson,
};

/// The one metric that is published.
const COUNT: &str = "count";

/// What the public sees at one moment.
pub(crate) struct PublicView<'a> {
    /// The grid, of which open layers are seen.
    pub(crate) snapshot: &'a GridSnapshot,
    /// The public's own.
    pub(crate) seen: &'a Permission,
    /// What was published.
    pub(crate) publication: &'a Publication,
}

/// A layer that is seen.
enum Shown {
    /// By what was published of it.
    Published(Arc<Layer>, Arc<PublishedLayer>),
    /// As it is.
    Open(Arc<Layer>, LayerIndex),
}

impl PublicView<'_> {
    fn find(&self, id: &str) -> Result<Shown, Problem> {
        let known = self.snapshot.layers.find(id);
        let layer = known.and_then(|index| self.snapshot.layers.get(index));
        let layer = layer.ok_or_else(|| no_such_layer(id))?;
        if let Some(published) = self.publication.layers.get(id) {
            return Ok(Shown::Published(Arc::clone(layer), Arc::clone(published)));
        }
        visible_layer(self.snapshot, self.seen, id)
            .map(|index| Shown::Open(Arc::clone(layer), index))
            .ok_or_else(|| no_such_layer(id))
    }

    fn open(&self) -> impl Iterator<Item = (LayerIndex, &Layer)> {
        visible_layers(self.snapshot, self.seen)
    }

    /// All layers, by id.
    pub(super) fn layers(&self) -> Vec<Value> {
        let published = self.publication.layers.keys().map(String::as_str);
        let mut ids: Vec<&str> = published
            .chain(self.open().map(|(_, layer)| layer.id.as_str()))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let shown = ids.into_iter().filter_map(|id| self.find(id).ok());
        shown.map(|shown| self.describe(&shown)).collect()
    }

    /// One of them.
    pub(super) fn layer(&self, id: &str) -> Result<Value, Problem> {
        self.find(id).map(|shown| self.describe(&shown))
    }

    fn describe(&self, shown: &Shown) -> Value {
        let (layer, times, metrics) = match shown {
            Shown::Published(layer, published) => {
                let mut spans = published.steps().map(|step| step.span());
                let first = spans.next();
                let last = spans.next_back().or(first);
                let times = first.zip(last).map(|(first, last)| (first.start, last.end));
                (layer, times, vec![COUNT])
            }
            Shown::Open(layer, index) => {
                let totals = self.snapshot.totals(*index);
                let times = totals.map(|totals| (totals.first_time, totals.last_time));
                (layer, times, open_metrics(layer))
            }
        };
        let legend = if metrics.contains(&"mean") { "mean" } else { COUNT };
        json!({
            "layer": layer.id,
            "kind": layer.kind,
            "label": layer.label,
            "unit": layer.unit,
            "resolution": layer.resolution,
            "first_time": times.map(|(first, _)| first.to_string()),
            "last_time": times.map(|(_, last)| last.to_string()),
            "metrics": metrics,
            "legend": { "scheme": "sequential", "metric": legend },
            "tiles": format!("/v1/tiles/{}.json", layer.id),
        })
    }

    /// How a map finds the tiles of one, and what is in them.
    pub(super) fn describe_tiles(
        &self,
        app: &App,
        (id, url): (&str, &str),
        query: &TileQuery,
    ) -> Result<axum::response::Response, Problem> {
        let (document, addressed) = match self.find(id)? {
            Shown::Published(layer, published) => {
                only_counts(query)?;
                let window = window_of(&published, query);
                let addressed =
                    window.map(|(window, steps)| (window, Revision(PublishedLayer::revision(&steps))));
                (self.published_tiles(&layer, &published, url), addressed)
            }
            Shown::Open(layer, index) => {
                let metric = open_metric(&layer, query)?;
                let of = (self.snapshot, self.seen);
                let window = self.at(index, query).map(|at| self.window(index, at, query));
                let addressed = window.map(|window| (window, app.tiles.revision(of, index, metric, window)));
                (described(app, of, (index, &layer), metric, url), addressed)
            }
        };
        let mut response = axum::Json(document).into_response();
        self.set_headers(&mut response, addressed.map(|(window, _)| window));
        if let Some((_, revision)) = addressed {
            set_revision(&mut response, revision);
        }
        Ok(response)
    }

    fn published_tiles(&self, layer: &Layer, published: &PublishedLayer, url: &str) -> Value {
        let base = resolution_of(published).unwrap_or(self.snapshot.resolution);
        let all: Vec<u64> = published
            .steps()
            .flat_map(|step| &step.cells)
            .map(|(cell, _)| *cell)
            .collect();
        let day = published.newest().and_then(|newest| {
            let end = newest.span().end;
            published.within(end.plus(-DAY), end)
        });
        let steps = day.map(|(_, steps)| steps).unwrap_or_default();
        let suppressed: u64 = steps.iter().map(|step| step.suppressed()).sum();
        let cells = steps.iter().flat_map(|step| &step.cells);
        let newest = Extent::of(cells.filter_map(|(cell, _)| CellIndex::try_from(*cell).ok()));
        let mut document = tilejson(&TileJson {
            layer: &layer.id,
            label: &layer.label,
            metric: COUNT,
            unit: "",
            tiles: url,
            base,
            bounds: Extent::of_all_zooms(&all, base),
            newest,
            legend: None,
        });
        document["meta"] = json!({ "suppressed": suppressed });
        document
    }

    /// One tile: sums of atoms over whole steps that were published, or of an open layer what the grid has.
    pub(super) fn tile(
        &self,
        app: &App,
        id: &str,
        request: &TileRequest,
        headers: &HeaderMap,
    ) -> Result<axum::response::Response, Problem> {
        let made = match self.find(id)? {
            Shown::Published(_, published) => self.published_tile(app, id, &published, request, headers)?,
            Shown::Open(layer, index) => {
                let metric = open_metric(&layer, &request.query)?;
                let Some(at) = self.at(index, &request.query) else {
                    return Ok(self.nothing());
                };
                let window = self.window(index, at, &request.query);
                let of = (self.snapshot, self.seen);
                Some((
                    summed(app, of, (index, metric, window), request, headers)?,
                    window,
                ))
            }
        };
        let Some((mut response, window)) = made else {
            return Ok(self.nothing());
        };
        self.set_headers(&mut response, Some(window));
        Ok(response)
    }

    fn published_tile(
        &self,
        app: &App,
        id: &str,
        published: &PublishedLayer,
        request: &TileRequest,
        headers: &HeaderMap,
    ) -> Result<Option<(axum::response::Response, Span)>, Problem> {
        only_counts(&request.query)?;
        let Some((window, steps)) = window_of(published, &request.query) else {
            return Ok(None);
        };
        let zoom = resolution_for_zoom(
            request.tile.z(),
            resolution_of(published).unwrap_or(self.snapshot.resolution),
        );
        let (resolution, sums, _) = PublishedLayer::sums(&steps, zoom);
        let counts: Vec<u64> = sums.values().copied().collect();
        let values = CellValues {
            resolution: resolution.into(),
            cells: sums.into_keys().collect(),
            values: counts.iter().map(|count| *count as f64).collect(),
            counts,
            metric_is_integer: true,
        };
        let set = TileSet::new(id, COUNT, values).map_err(|error| Problem::internal(&error))?;
        let response = send(tile_of(app, &set, request), headers)?;
        let revision = || Revision(PublishedLayer::revision(&steps));
        Ok(Some((is_still(response, &request.query, revision), window)))
    }

    fn nothing(&self) -> axum::response::Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        self.set_headers(&mut response, None);
        response
    }

    /// The end of the window of an open layer: of itself alone, for the clock of its domain is moved by others, too.
    fn at(&self, index: LayerIndex, query: &TileQuery) -> Option<EventTime> {
        let newest = || {
            let totals = self.snapshot.totals(index)?;
            let calendar = &self.snapshot.calendar;
            Some(calendar.span(Step::Bucket, totals.last_time).end)
        };
        query.at.map(EventTime::from).or_else(newest)
    }

    fn window(&self, index: LayerIndex, at: EventTime, query: &TileQuery) -> Span {
        let length = query.window.num_microseconds().unwrap_or(i64::MAX);
        self.snapshot.snap(index, at.plus(-length), at)
    }

    /// The headers of an answer: nothing of the state of the grid but of its open layers.
    pub(crate) fn set_headers<B>(&self, response: &mut Response<B>, window: Option<Span>) {
        let totals =
            |(index, layer): (LayerIndex, &'_ Layer)| Some((layer.id.clone(), self.snapshot.totals(index)?));
        let mut open: Vec<(String, LayerTotals)> = self.open().filter_map(totals).collect();
        open.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        };
        set(
            "riskgrid-version",
            format!("{:016x}", self.publication.version(&open)),
        );
        if let Some(as_of) = self.publication.as_of() {
            set("riskgrid-as-of", as_of.to_string());
        }
        if let Some(window) = window {
            set("riskgrid-window", format!("{}/{}", window.start, window.end));
        }
    }
}

/// The resolution of the newest atoms.
fn resolution_of(published: &PublishedLayer) -> Option<Resolution> {
    Resolution::try_from(published.newest()?.resolution).ok()
}

/// The whole published steps that the window of a question meets.
fn window_of<'a>(
    published: &'a PublishedLayer,
    query: &TileQuery,
) -> Option<(Span, Vec<&'a Arc<PublishedStep>>)> {
    let newest = published.newest().map(|step| step.span().end);
    let at = query.at.map(EventTime::from).or(newest)?;
    let length = query.window.num_microseconds().unwrap_or(i64::MAX);
    published.within(at.plus(-length), at)
}

/// What tiles of an open layer show: all but what tells of its sources.
fn open_metrics(layer: &Layer) -> Vec<&'static str> {
    let has = |metric: &Metric| metric.applies_to(layer.kind) && *metric != Metric::Sources;
    Metric::ALL.into_iter().filter(has).map(Metric::as_str).collect()
}

fn open_metric(layer: &Layer, query: &TileQuery) -> Result<Metric, Problem> {
    let has = open_metrics(layer);
    match query.metric {
        TileMetric::Cells(metric) if has.contains(&metric.as_str()) => Ok(metric),
        other => Err(Problem::bad_request(format!(
            "`metric` is `{}`; this layer has {}",
            other.as_str(),
            has.join(", ")
        ))),
    }
}

fn only_counts(query: &TileQuery) -> Result<(), Problem> {
    if query.metric.as_str() == COUNT {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "`metric` is `{}`; this layer has {COUNT}",
        query.metric.as_str()
    )))
}
