//! `GET /v1/tiles/{layer}.json` and `GET /v1/tiles/{layer}/{z}/{x}/{y}.mvt`.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::TimeDelta;
use h3o::CellIndex;
use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_ingest::grid::{GridSnapshot, Metric, Span};
use riskgrid_ingest::{EventTime, Layer, LayerIndex};
use serde_json::Value;

use super::layers::find;
use super::public::PublicView;
use crate::access::{Immutable, Reads};
use crate::app::App;
use crate::http::accept::prefers_gzip;
use crate::http::forwarded::External;
use crate::http::is_known;
use crate::problem::Problem;
use crate::tiles::{
    ContentCoding, Extent, Revision, Tile, TileJson, TileMetric, TileQuery, TileRequest, TileSet,
    resolution_for_zoom, tilejson,
};

mod risk;

/// Smaller tiles are sent as they are.
const COMPRESSED_FROM: usize = 1024;

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
    Reads(seen): Reads,
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
    let request = TileQuery::parse(
        query.as_deref().unwrap_or_default(),
        TimeDelta::microseconds(app.retention),
    )
    .map_err(|error| Problem::bad_request(error.to_string()));
    if seen.role() == Role::Public {
        let suffix = query.map_or_else(String::new, |query| format!("?{query}"));
        let url = format!("{}/v1/tiles/{id}/{{z}}/{{x}}/{{y}}.mvt{suffix}", external.base);
        let (request, id, publication) = (request?, id.to_owned(), app.publication.load_full());
        let work = move || {
            let view = PublicView {
                snapshot: &snapshot,
                seen: &seen,
                publication: &publication,
            };
            view.describe_tiles(&app, (&id, &url), &request)
        };
        return tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Problem::internal(&error))?;
    }
    let request = request?;
    let metric = match risk::asked(id, request.metric, query.as_deref())? {
        TileMetric::Cells(metric) => metric,
        TileMetric::Risk(metric) => {
            let of = (&*app, &*snapshot, &*seen);
            return risk::describe(of, id, metric, query.as_deref(), &external.base);
        }
    };
    let index = find(&snapshot, &seen, id)?;
    let metric = metric_of(&snapshot, index, metric)?;
    let Some(layer) = snapshot.layers.get(index).cloned() else {
        return Err(Problem::not_found("the layer is gone"));
    };
    let suffix = query.map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("{}/v1/tiles/{id}/{{z}}/{{x}}/{{y}}.mvt{suffix}", external.base);
    let work = move || {
        let of = (&*snapshot, &*seen);
        let body = described(&app, of, (index, &layer), metric, &url);
        let mut response = axum::Json(body).into_response();
        let window = window(&snapshot, index, &request);
        let as_of = snapshot.clock_of(index).and_then(|clock| clock.complete_to);
        app.set_data_headers(&mut response, &snapshot, as_of, window);
        if let Some(window) = window {
            set_revision(&mut response, app.tiles.revision(of, index, metric, window));
        }
        response
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::internal(&error))
}

/// How a map finds the tiles of a layer of the grid, and what is in them.
pub(super) fn described(
    app: &App,
    (snapshot, seen): (&GridSnapshot, &Permission),
    (index, layer): (LayerIndex, &Layer),
    metric: Metric,
    url: &str,
) -> Value {
    tilejson(&TileJson {
        layer: &layer.id,
        label: &layer.label,
        metric: metric.as_str(),
        unit: if metric.is_whole() {
            ""
        } else {
            layer.unit.as_deref().unwrap_or_default()
        },
        tiles: url,
        base: snapshot.resolution,
        bounds: app.tiles.bounds(snapshot, seen, index),
        newest: newest_day(snapshot, seen, index),
        legend: None,
    })
}

/// What a question is about: whole steps of the grid; none before the first event.
fn window(snapshot: &GridSnapshot, index: LayerIndex, query: &TileQuery) -> Option<Span> {
    let newest = || snapshot.clock_of(index)?.newest_bucket_end;
    let at = query.at.map(EventTime::from).or_else(newest)?;
    let length = query.window.num_microseconds().unwrap_or(i64::MAX);
    Some(snapshot.snap(index, at.plus(-length), at))
}

/// Tells the revision of what the document's tiles show in its window: with it, and the end of the window as `at`, an address
/// is for ever.
pub(super) fn set_revision<B>(response: &mut axum::http::Response<B>, revision: Revision) {
    if let Ok(value) = HeaderValue::from_str(&revision.to_string()) {
        let name = HeaderName::from_static("riskgrid-rev");
        response.headers_mut().insert(name, value);
    }
}

/// The answer, which can never be another if it is of the revision that was asked for.
pub(super) fn is_still(
    mut response: Response,
    query: &TileQuery,
    revision: impl FnOnce() -> Revision,
) -> Response {
    if query.rev.is_some_and(|asked| asked == revision()) {
        response.extensions_mut().insert(Immutable);
    }
    response
}

/// Where the hexagons of the layer's newest day are; none when it is empty.
fn newest_day(snapshot: &GridSnapshot, seen: &Permission, index: LayerIndex) -> Option<Extent> {
    let end = snapshot.totals_within(index, seen.cells())?.last_time.plus(1);
    let span = snapshot.snap(index, end.plus(-riskgrid_ingest::DAY), end);
    let sums = snapshot.sum_within(index, span, snapshot.resolution, seen.cells());
    Extent::of(
        sums.cells()
            .iter()
            .filter_map(|cell| CellIndex::try_from(*cell).ok()),
    )
}

/// The metric, if the layer has it.
fn metric_of(snapshot: &GridSnapshot, index: LayerIndex, metric: Metric) -> Result<Metric, Problem> {
    let kind = snapshot.layers.get(index).map(|layer| layer.kind);
    let has = |metric: &Metric| kind.is_some_and(|kind| metric.applies_to(kind));
    if has(&metric) {
        return Ok(metric);
    }
    let all = Metric::ALL.into_iter().filter(has);
    let allowed: Vec<&str> = all.map(Metric::as_str).collect();
    Err(Problem::bad_request(format!(
        "`metric` is `{}`; this layer has {}",
        metric.as_str(),
        allowed.join(", ")
    )))
}

async fn tile(
    State(app): State<Arc<App>>,
    Reads(seen): Reads,
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
    if seen.role() == Role::Public {
        let publication = app.publication.load_full();
        let work = move || {
            let view = PublicView {
                snapshot: &snapshot,
                seen: &seen,
                publication: &publication,
            };
            view.tile(&app, &id, &request, &headers)
        };
        return tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Problem::internal(&error))?;
    }
    let metric = match risk::asked(&id, request.query.metric, query.as_deref())? {
        TileMetric::Cells(metric) => metric,
        TileMetric::Risk(metric) => {
            let work = move || risk::answer((&app, &snapshot, &seen), &id, metric, &request, &headers);
            return tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| Problem::internal(&error))?;
        }
    };
    let index = find(&snapshot, &seen, &id)?;
    let metric = metric_of(&snapshot, index, metric)?;
    // Summing and encoding take milliseconds of CPU: not on the threads that serve connections.
    let work = move || answer(&app, (&snapshot, &seen), index, metric, &request, &headers);
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::internal(&error))?
}

fn answer(
    app: &App,
    (snapshot, seen): (&GridSnapshot, &Permission),
    index: LayerIndex,
    metric: Metric,
    request: &TileRequest,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let as_of = snapshot.clock_of(index).and_then(|clock| clock.complete_to);
    let Some(window) = window(snapshot, index, &request.query) else {
        let mut response = StatusCode::NO_CONTENT.into_response();
        app.set_data_headers(&mut response, snapshot, as_of, None);
        return Ok(response);
    };
    let mut response = summed(app, (snapshot, seen), (index, metric, window), request, headers)?;
    app.set_data_headers(&mut response, snapshot, as_of, Some(window));
    Ok(response)
}

/// A tile of what the grid has of a layer in a window.
pub(super) fn summed(
    app: &App,
    (snapshot, seen): (&GridSnapshot, &Permission),
    (index, metric, window): (LayerIndex, Metric, Span),
    request: &TileRequest,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let resolution = resolution_for_zoom(request.tile.z(), snapshot.resolution);
    let set = app
        .tiles
        .set((snapshot, seen), index, metric, window, resolution)
        .map_err(|error| Problem::internal(&*error))?;
    let response = send(tile_of(app, &set, request), headers)?;
    let revision = || app.tiles.revision((snapshot, seen), index, metric, window);
    Ok(is_still(response, &request.query, revision))
}

/// The tile of a set that is asked for; none where nothing meets it.
pub(super) fn tile_of(app: &App, set: &TileSet, request: &TileRequest) -> Option<Tile> {
    let (z, x, y) = (request.tile.z(), request.tile.x(), request.tile.y());
    set.tile(z, x, y, app.tiles.geometry())
}

/// A tile as an answer: with its tag, packed where that is liked and worth it, or that it is known already.
pub(super) fn send(tile: Option<Tile>, headers: &HeaderMap) -> Result<Response, Problem> {
    let accepts_gzip = prefers_gzip(
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok()),
    );
    let mut response = match tile {
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
    Ok(response)
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
