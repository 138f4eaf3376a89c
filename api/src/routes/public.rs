//! Layers and tiles of the public: of what was published, and nothing of the grid.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use h3o::{CellIndex, Resolution};
use riskgrid_analytics::publication::{Publication, PublishedLayer};
use riskgrid_ingest::grid::{GridSnapshot, Span};
use riskgrid_ingest::{DAY, EventTime, Layer};
use serde_json::{Value, json};

use super::layers::no_such_layer;
use super::tiles::{send, tile_of};
use crate::app::App;
use crate::problem::Problem;
use crate::tiles::{
    CellValues, Extent, TileJson, TileQuery, TileRequest, TileSet, resolution_for_zoom, tilejson,
};

/// The one metric that is published.
const COUNT: &str = "count";

/// A layer that is published.
struct Shown {
    layer: Arc<Layer>,
    published: Arc<PublishedLayer>,
}

impl Shown {
    fn find(snapshot: &GridSnapshot, publication: &Publication, id: &str) -> Result<Self, Problem> {
        let published = publication.layers.get(id);
        let layer = snapshot
            .layers
            .find(id)
            .and_then(|index| snapshot.layers.get(index));
        match (layer, published) {
            (Some(layer), Some(published)) => Ok(Self {
                layer: Arc::clone(layer),
                published: Arc::clone(published),
            }),
            _ => Err(no_such_layer(id)),
        }
    }

    /// The resolution of its newest atoms.
    fn resolution(&self) -> Option<Resolution> {
        Resolution::try_from(self.published.newest()?.resolution).ok()
    }

    fn describe(&self) -> Value {
        let (layer, steps) = (&self.layer, self.published.steps());
        let (mut first, mut last) = (None, None);
        for step in steps {
            first = first.or(Some(step.span().start.to_string()));
            last = Some(step.span().end.to_string());
        }
        json!({
            "layer": layer.id,
            "kind": layer.kind,
            "label": layer.label,
            "unit": layer.unit,
            "resolution": layer.resolution,
            "first_time": first,
            "last_time": last,
            "metrics": [COUNT],
            "legend": { "scheme": "sequential", "metric": COUNT },
            "tiles": format!("/v1/tiles/{}.json", layer.id),
        })
    }
}

/// All layers that are published.
pub(super) fn layers(snapshot: &GridSnapshot, publication: &Publication) -> Vec<Value> {
    let ids = publication.layers.keys();
    let shown = ids.filter_map(|id| Shown::find(snapshot, publication, id).ok());
    shown.map(|shown| shown.describe()).collect()
}

/// One of them.
pub(super) fn layer(snapshot: &GridSnapshot, publication: &Publication, id: &str) -> Result<Value, Problem> {
    Shown::find(snapshot, publication, id).map(|shown| shown.describe())
}

/// How a map finds the tiles of one, and what is in them.
pub(super) fn describe_tiles(
    snapshot: &GridSnapshot,
    publication: &Publication,
    (id, url): (&str, &str),
    query: &TileQuery,
) -> Result<Value, Problem> {
    let shown = Shown::find(snapshot, publication, id)?;
    only_counts(query)?;
    let base = shown.resolution().unwrap_or(snapshot.resolution);
    let all: Vec<u64> = shown
        .published
        .steps()
        .flat_map(|step| &step.cells)
        .map(|(cell, _)| *cell)
        .collect();
    let newest = shown.published.newest();
    let day = newest.and_then(|newest| {
        let end = newest.span().end;
        shown.published.within(end.plus(-DAY), end)
    });
    let suppressed: u64 = day
        .iter()
        .flat_map(|(_, steps)| steps)
        .map(|step| step.suppressed())
        .sum();
    let cells = day
        .iter()
        .flat_map(|(_, steps)| steps)
        .flat_map(|step| &step.cells);
    let newest = Extent::of(cells.filter_map(|(cell, _)| CellIndex::try_from(*cell).ok()));
    let mut document = tilejson(&TileJson {
        layer: &shown.layer.id,
        label: &shown.layer.label,
        metric: COUNT,
        unit: "",
        tiles: url,
        base,
        bounds: Extent::of_all_zooms(&all, base),
        newest,
        legend: None,
    });
    document["meta"] = json!({ "suppressed": suppressed });
    Ok(document)
}

/// One tile: sums of atoms over whole steps that were published.
pub(super) fn tile(
    app: &App,
    (snapshot, publication): (&GridSnapshot, &Publication),
    id: &str,
    request: &TileRequest,
    headers: &HeaderMap,
) -> Result<axum::response::Response, Problem> {
    let shown = Shown::find(snapshot, publication, id)?;
    only_counts(&request.query)?;
    let newest = shown.published.newest().map(|step| step.span().end);
    let at = request.query.at.map(EventTime::from).or(newest);
    let length = request.query.window.num_microseconds().unwrap_or(i64::MAX);
    let window = at.and_then(|at| shown.published.within(at.plus(-length), at));
    let Some((window, steps)) = window else {
        let mut response = StatusCode::NO_CONTENT.into_response();
        set_headers(&mut response, publication, None);
        return Ok(response);
    };
    let zoom = resolution_for_zoom(
        request.tile.z(),
        shown.resolution().unwrap_or(snapshot.resolution),
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
    let mut response = send(tile_of(app, &set, request), headers)?;
    set_headers(&mut response, publication, Some(window));
    Ok(response)
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

/// The headers of an answer made from what was published: nothing of the grid's state.
pub(crate) fn set_headers<B>(response: &mut Response<B>, publication: &Publication, window: Option<Span>) {
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    };
    set("riskgrid-version", format!("{:016x}", publication.version()));
    if let Some(as_of) = publication.as_of() {
        set("riskgrid-as-of", as_of.to_string());
    }
    if let Some(window) = window {
        set("riskgrid-window", format!("{}/{}", window.start, window.end));
    }
}
