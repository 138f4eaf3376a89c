//! The risk surface in numbers: all from the first scrape on.

use prometheus::Registry;

use super::{counter, gauge};
use crate::risk::Surfaces;

/// Puts them into the registry.
pub(super) fn register_all(registry: &Registry, surfaces: &Surfaces) -> prometheus::Result<()> {
    let surface = surfaces.newest();
    let (cells, bytes) = surfaces.state();
    counter(
        registry,
        "riskgrid_risk_surfaces_total",
        "risk surfaces made",
        &[],
    )?
    .with_label_values::<&str>(&[])
    .inc_by(surfaces.made());
    gauge(
        registry,
        "riskgrid_risk_surface_seconds",
        "how long the newest risk surface took to make",
        surfaces.took().as_secs_f64(),
    )?;
    gauge(
        registry,
        "riskgrid_risk_rows",
        "rows of the newest risk surface",
        surface.rows() as f64,
    )?;
    gauge(
        registry,
        "riskgrid_risk_surface_bytes",
        "bytes of the newest risk surface",
        surface.bytes() as f64,
    )?;
    gauge(
        registry,
        "riskgrid_risk_state_cells",
        "cells of all layers that something is kept of between risk surfaces",
        cells as f64,
    )?;
    gauge(
        registry,
        "riskgrid_risk_state_bytes",
        "bytes of what is kept of them; it follows from the grid, and grid.memory bounds the cells that there can be",
        bytes as f64,
    )
}
