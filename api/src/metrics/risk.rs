//! The risk surface.

use super::reading::{Reading, count, counter, gauge, one, size};

pub(super) const READINGS: &[Reading] = &[
    counter(
        "riskgrid_risk_surfaces_total",
        "risk surfaces made",
        &[],
        |seen| count(seen.app.surfaces.made()),
    ),
    gauge(
        "riskgrid_risk_surface_seconds",
        "how long the newest risk surface took to make",
        &[],
        |seen| one(seen.app.surfaces.took().as_secs_f64()),
    ),
    gauge(
        "riskgrid_risk_rows",
        "rows of the newest risk surface",
        &[],
        |seen| size(seen.app.surfaces.newest().rows()),
    ),
    gauge(
        "riskgrid_risk_surface_bytes",
        "bytes of the newest risk surface",
        &[],
        |seen| size(seen.app.surfaces.newest().bytes()),
    ),
    gauge(
        "riskgrid_risk_state_cells",
        "cells of all layers that something is kept of between risk surfaces",
        &[],
        |seen| count(seen.app.surfaces.state().0),
    ),
    gauge(
        "riskgrid_risk_state_bytes",
        "bytes of what is kept of them; it follows from the grid, and grid.memory bounds the cells that there can be",
        &[],
        |seen| count(seen.app.surfaces.state().1),
    ),
];
