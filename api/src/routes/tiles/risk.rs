//! Tiles of the risk surface, of one layer or of all together (`*`).

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use h3o::CellIndex;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::risk::Surface;
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;

use super::{send, tile_of};
use crate::app::App;
use crate::problem::Problem;
use crate::tiles::{
    ALL_LAYERS, Extent, RiskMetric, TileJson, TileMetric, TileRequest, resolution_for_zoom, tilejson,
};

/// The metric that is asked for. All layers together have only those of the surface, and show their risk unless asked
/// otherwise.
///
/// # Errors
/// A metric that all layers together do not have.
pub(super) fn asked(layer: &str, metric: TileMetric, query: Option<&str>) -> Result<TileMetric, Problem> {
    if layer != ALL_LAYERS {
        return Ok(metric);
    }
    let names_one =
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == "metric");
    match metric {
        TileMetric::Risk(of_surface) if of_surface.is_of_all() => Ok(metric),
        TileMetric::Cells(_) if !names_one => Ok(TileMetric::Risk(RiskMetric::Risk)),
        TileMetric::Cells(_) | TileMetric::Risk(_) => Err(of_all_only()),
    }
}

fn of_all_only() -> Problem {
    Problem::bad_request("all layers together have the metrics risk and risk_if_true")
}

/// Whether the layer is on what is seen of the surface.
///
/// # Errors
/// 404 for one that is not.
fn on_surface(surface: &Surface, seen: &Permission, layer: &str) -> Result<(), Problem> {
    let layers = surface.model.layers.iter();
    let layers: Vec<_> = layers
        .filter(|model| seen.admits_layer(Some(&model.id)))
        .collect();
    if layer == ALL_LAYERS && !layers.is_empty() || layers.iter().any(|model| model.id == layer) {
        return Ok(());
    }
    let known: Vec<&str> = layers.iter().map(|model| model.id.as_str()).collect();
    let known = if known.is_empty() {
        "none is".to_owned()
    } else {
        format!("{} are", known.join(", "))
    };
    let shown: String = layer.chars().take(64).collect();
    Err(Problem::not_found(format!(
        "`{shown}` is not on the risk surface; {known}: see [risk.layers] in the configuration"
    )))
}

/// Up to when the surface is complete: as its clock is.
fn as_of(surface: &Surface, snapshot: &GridSnapshot, seen: &Permission, layer: &str) -> Option<EventTime> {
    let of_layers = surface.layers.iter().filter(|of_layer| {
        let model = surface.model_of(of_layer);
        model.is_some_and(|model| {
            (layer == ALL_LAYERS || layer == model.id) && seen.admits_layer(Some(&model.id))
        })
    });
    of_layers
        .filter_map(|of_layer| snapshot.domain(&of_layer.clock)?.complete_to)
        .min()
}

/// The document that describes the tiles.
pub(super) fn describe(
    (app, snapshot, seen): (&App, &GridSnapshot, &Permission),
    layer: &str,
    metric: RiskMetric,
    query: Option<&str>,
    base: &str,
) -> Result<Response, Problem> {
    let surface = app.surfaces.seen_by(seen);
    on_surface(&surface, seen, layer)?;
    let known = snapshot
        .layers
        .find(layer)
        .and_then(|index| snapshot.layers.get(index));
    let label = match known {
        Some(known) => known.label.clone(),
        None if layer == ALL_LAYERS => "All layers".to_owned(),
        None => layer.to_owned(),
    };
    let suffix = query.map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("{base}/v1/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt{suffix}");
    let here = surface.all.iter().flat_map(|all| &all.rows);
    let newest = Extent::of(here.filter_map(|row| CellIndex::try_from(row.cell).ok()));
    let body = tilejson(&TileJson {
        layer,
        label: &label,
        metric: metric.as_str(),
        unit: "",
        tiles: &url,
        base: snapshot.resolution,
        bounds: None,
        newest,
        legend: Some(metric.legend()),
    });
    let mut response = axum::Json(body).into_response();
    let at = as_of(&surface, snapshot, seen, layer);
    app.set_data_headers(&mut response, snapshot, at, None);
    Ok(response)
}

/// The tile.
pub(super) fn answer(
    (app, snapshot, seen): (&App, &GridSnapshot, &Permission),
    layer: &str,
    metric: RiskMetric,
    request: &TileRequest,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let surface = app.surfaces.newest();
    on_surface(&surface, seen, layer)?;
    let resolution = resolution_for_zoom(request.tile.z(), snapshot.resolution);
    let set = app
        .tiles
        .risk(
            (surface.number, seen.class()),
            || app.surfaces.seen_by(seen),
            layer,
            metric,
            resolution,
        )
        .map_err(|error| Problem::internal(&error))?;
    let mut response = match set {
        Some(set) => send(tile_of(app, &set, request), headers)?,
        None => StatusCode::NO_CONTENT.into_response(),
    };
    let at = as_of(&surface, snapshot, seen, layer);
    app.set_data_headers(&mut response, snapshot, at, None);
    Ok(response)
}
