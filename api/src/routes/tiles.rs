//! `GET /v1/tiles/{layer}.json` and `GET /v1/tiles/{layer}/{z}/{x}/{y}.mvt`.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::TimeDelta;
use h3o::{CellIndex, Resolution};
use moka::sync::Cache;
use riskgrid_ingest::edge::Bounds;
use riskgrid_ingest::grid::{GridSnapshot, Metric, Span, Version};
use riskgrid_ingest::{EventTime, LIVE_DOMAIN, LayerIndex};

use super::layers::find;
use crate::app::App;
use crate::http::accept::prefers_gzip;
use crate::http::forwarded::External;
use crate::http::is_known;
use crate::problem::Problem;
use crate::tiles::{
    CellValues, ContentCoding, Extent, GeometryCache, TileJson, TileRequest, TileSet, resolution_for_zoom,
    tilejson,
};

/// Bytes of hexagon outlines that are kept encoded.
const GEOMETRY_BYTES: u64 = 128 << 20;
/// Summed windows that are kept: those of the newest states of the grid that maps ask for.
const SETS: u64 = 64;
/// Smaller tiles are sent as they are.
const COMPRESSED_FROM: usize = 1024;

#[derive(Clone, PartialEq, Eq, Hash)]
struct SetKey {
    version: Version,
    layer: LayerIndex,
    metric: Metric,
    window: Span,
    resolution: Resolution,
}

/// What tiles keep between requests.
pub struct TileCaches {
    geometry: GeometryCache,
    sets: Cache<SetKey, Arc<TileSet>>,
    /// Where events may be, by the configuration.
    places: Option<Bounds>,
    /// Where all that was kept of a layer is, by how many events had been counted then.
    kept: Cache<(LayerIndex, u64), Option<Extent>>,
}

impl TileCaches {
    /// Empty ones. `places` is where events may be.
    pub fn new(places: Option<Bounds>) -> Self {
        Self {
            places,
            kept: Cache::new(SETS),
            geometry: GeometryCache::new(GEOMETRY_BYTES),
            sets: Cache::builder()
                .max_capacity(SETS)
                .time_to_idle(Duration::from_mins(1))
                .build(),
        }
    }

    /// What the tiles of a layer can show, whatever window is asked for, now and for as long as a map keeps the document:
    /// of live layers, wherever events may be; of historic ones, what is kept of them. `None` is the whole map.
    fn bounds(&self, snapshot: &GridSnapshot, index: LayerIndex) -> Option<Extent> {
        let is_live = snapshot.layers.get(index)?.domain == LIVE_DOMAIN;
        if is_live {
            let allowed = Extent::around(&self.places?, snapshot.resolution);
            // Events of before the bounds were set are kept: looked at once, for no more of them come.
            let kept = self
                .kept
                .get_with((index, u64::MAX), || all_kept(snapshot, index));
            return Some(kept.map_or(allowed, |kept| kept.with(allowed)));
        }
        let count = snapshot.totals(index)?.count;
        self.kept.get_with((index, count), || all_kept(snapshot, index))
    }
}

/// The routes.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        // The router cannot end a segment in a suffix: the handlers split `.json` and `.mvt` off.
        .route("/v1/tiles/{layer}", get(describe))
        .route("/v1/tiles/{layer}/{z}/{x}/{y}", get(tile))
        .with_state(app)
}

async fn describe(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    external: External,
) -> Result<Response, Problem> {
    let Some(id) = file.strip_suffix(".json") else {
        return Err(Problem::not_found(
            "tiles are described at /v1/tiles/{layer}.json",
        ));
    };
    let snapshot = app.reader.snapshot();
    let index = find(&snapshot, id)?;
    let request = crate::tiles::TileQuery::parse(
        query.as_deref().unwrap_or_default(),
        TimeDelta::microseconds(app.retention),
    )
    .map_err(|error| Problem::bad_request(error.to_string()))?;
    let metric = metric_of(&snapshot, index, request.metric)?;
    let Some(layer) = snapshot.layers.get(index).cloned() else {
        return Err(Problem::not_found("the layer is gone"));
    };
    let suffix = query.map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("{}/v1/tiles/{id}/{{z}}/{{x}}/{{y}}.mvt{suffix}", external.base);
    let (of, at) = (Arc::clone(&app), Arc::clone(&snapshot));
    let (bounds, newest) =
        tokio::task::spawn_blocking(move || (of.tiles.bounds(&at, index), newest_day(&at, index)))
            .await
            .map_err(|error| Problem::internal(&error))?;
    let body = tilejson(&TileJson {
        layer: &layer.id,
        label: &layer.label,
        metric: metric.as_str(),
        unit: if metric.is_whole() {
            ""
        } else {
            layer.unit.as_deref().unwrap_or_default()
        },
        tiles: &url,
        base: snapshot.resolution,
        bounds,
        newest,
    });
    let mut response = axum::Json(body).into_response();
    let as_of = snapshot.clock_of(index).and_then(|clock| clock.complete_to);
    app.set_data_headers(&mut response, &snapshot, as_of, None);
    Ok(response)
}

/// Where the hexagons of the layer's newest day are; none when it is empty.
fn newest_day(snapshot: &GridSnapshot, index: LayerIndex) -> Option<Extent> {
    let end = snapshot.totals(index)?.last_time.plus(1);
    let span = snapshot.snap(index, end.plus(-riskgrid_ingest::DAY), end);
    let sums = snapshot.sum(index, span, snapshot.resolution);
    Extent::of(
        sums.cells()
            .iter()
            .filter_map(|cell| CellIndex::try_from(*cell).ok()),
    )
}

/// Where hexagons are of all that is kept of the layer.
fn all_kept(snapshot: &GridSnapshot, index: LayerIndex) -> Option<Extent> {
    let totals = snapshot.totals(index)?;
    let span = snapshot.snap(index, totals.first_time, totals.last_time.plus(1));
    let sums = snapshot.sum(index, span, snapshot.resolution);
    Extent::of_all_zooms(sums.cells(), snapshot.resolution)
}

fn metric_of(snapshot: &GridSnapshot, index: LayerIndex, name: &str) -> Result<Metric, Problem> {
    let kind = snapshot.layers.get(index).map(|layer| layer.kind);
    let metric = Metric::parse(name).filter(|metric| kind.is_some_and(|kind| metric.applies_to(kind)));
    metric.ok_or_else(|| {
        let allowed: Vec<&str> = Metric::ALL
            .iter()
            .filter(|metric| kind.is_some_and(|kind| metric.applies_to(kind)))
            .map(|metric| metric.as_str())
            .collect();
        Problem::bad_request(format!(
            "`metric` is `{name}`; this layer has {}",
            allowed.join(", ")
        ))
    })
}

async fn tile(
    State(app): State<Arc<App>>,
    Path((id, z, x, y)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request = TileRequest::parse(
        &z,
        &x,
        &y,
        query.as_deref().unwrap_or_default(),
        TimeDelta::microseconds(app.retention),
    )
    .map_err(|error| {
        if error.is_not_found() {
            Problem::not_found(error.to_string())
        } else {
            Problem::bad_request(error.to_string())
        }
    })?;
    let snapshot = app.reader.snapshot();
    let index = find(&snapshot, &id)?;
    let metric = metric_of(&snapshot, index, request.query.metric)?;
    // Summing and encoding take milliseconds of CPU: not on the threads that serve connections.
    let work = move || answer(&app, &snapshot, index, metric, &request, &headers);
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::internal(&error))?
}

fn answer(
    app: &App,
    snapshot: &GridSnapshot,
    index: LayerIndex,
    metric: Metric,
    request: &TileRequest,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let clock = snapshot.clock_of(index);
    let as_of = clock.and_then(|clock| clock.complete_to);
    let newest = clock.and_then(|clock| clock.newest_bucket_end);
    let at = request.query.at.map(EventTime::from).or(newest);
    let Some(at) = at else {
        let mut response = StatusCode::NO_CONTENT.into_response();
        app.set_data_headers(&mut response, snapshot, as_of, None);
        return Ok(response);
    };
    let length = request.query.window.num_microseconds().unwrap_or(i64::MAX);
    let window = snapshot.snap(index, at.plus(-length), at);
    let (z, x, y) = (request.tile.z(), request.tile.x(), request.tile.y());
    let resolution = resolution_for_zoom(z, snapshot.resolution);
    let set = tile_set(app, snapshot, index, metric, window, resolution)?;

    let accepts_gzip = prefers_gzip(
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok()),
    );
    let mut response = match set.tile(z, x, y, &app.tiles.geometry) {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(tile) => {
            let coding = if accepts_gzip && tile.bytes.len() >= COMPRESSED_FROM {
                ContentCoding::Gzip
            } else {
                ContentCoding::Identity
            };
            let etag = tile.etag.etag(coding);
            let mut response = if is_known(headers, &etag) {
                StatusCode::NOT_MODIFIED.into_response()
            } else {
                encoded(tile.bytes, coding)?
            };
            if let Ok(etag) = HeaderValue::from_str(&etag) {
                response.headers_mut().insert(header::ETAG, etag);
            }
            response
        }
    };
    let fixed = response.headers_mut();
    fixed.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    fixed.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    app.set_data_headers(&mut response, snapshot, as_of, Some(window));
    Ok(response)
}

/// The window summed by cell, once per state of the grid.
fn tile_set(
    app: &App,
    snapshot: &GridSnapshot,
    layer: LayerIndex,
    metric: Metric,
    window: Span,
    resolution: Resolution,
) -> Result<Arc<TileSet>, Problem> {
    let key = SetKey {
        version: snapshot.version,
        layer,
        metric,
        window,
        resolution,
    };
    app.tiles
        .sets
        .try_get_with(key, || {
            sum(snapshot, layer, metric, window, resolution).map(Arc::new)
        })
        .map_err(|error| {
            tracing::error!(%error, "a tile could not be made");
            Problem::internal(&*error)
        })
}

fn sum(
    snapshot: &GridSnapshot,
    layer: LayerIndex,
    metric: Metric,
    window: Span,
    resolution: Resolution,
) -> Result<TileSet, crate::tiles::InvalidCellValues> {
    let sums = snapshot.sum(layer, window, resolution);
    let (id, scale) = snapshot
        .layers
        .get(layer)
        .map_or((String::new(), riskgrid_ingest::ValueScale::ONE), |layer| {
            (layer.id.clone(), layer.scale())
        });
    let values = CellValues {
        resolution: u8::from(resolution),
        cells: sums.cells().to_vec(),
        counts: sums.count().to_vec(),
        values: sums.metric(metric, scale),
        metric_is_integer: metric.is_whole(),
    };
    TileSet::new(&id, metric.as_str(), values)
}

fn encoded(bytes: Bytes, coding: ContentCoding) -> Result<Response, Problem> {
    let media_type = (header::CONTENT_TYPE, "application/vnd.mapbox-vector-tile");
    match coding {
        ContentCoding::Identity => Ok(([media_type], bytes).into_response()),
        ContentCoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let packed = encoder
                .write_all(&bytes)
                .and_then(|()| encoder.finish())
                .map_err(|error| Problem::internal(&error))?;
            Ok(([media_type, (header::CONTENT_ENCODING, "gzip")], packed).into_response())
        }
    }
}
