//! HTTP of the hotline.

mod asked;
mod assessment;
mod cases;
mod contact;
mod data;
mod geocode;
mod moves;
mod outcome;
mod rating;

use std::sync::Arc;

use axum::Router;
use riskgrid_ingest::grid::GridReader;

use super::desk::Desk;

/// All routes.
pub fn all(desk: &Arc<Desk>, reader: &GridReader) -> Router {
    Router::new()
        .merge(cases::routes(Arc::clone(desk)))
        .merge(moves::routes(Arc::clone(desk)))
        .merge(contact::routes(Arc::clone(desk)))
        .merge(data::routes(Arc::clone(desk)))
        .merge(outcome::routes(Arc::clone(desk), reader.clone()))
        .merge(assessment::routes(Arc::clone(desk)))
        .merge(geocode::routes(Arc::clone(desk)))
        .merge(rating::routes(Arc::clone(desk)))
}
