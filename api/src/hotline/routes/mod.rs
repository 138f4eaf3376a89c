//! HTTP of the hotline.

mod asked;
mod cases;
mod contact;
mod data;
mod geocode;
mod moves;
mod rating;

use std::sync::Arc;

use axum::Router;

use crate::hotline::desk::Desk;

/// All routes.
pub fn all(desk: &Arc<Desk>) -> Router {
    Router::new()
        .merge(cases::routes(Arc::clone(desk)))
        .merge(moves::routes(Arc::clone(desk)))
        .merge(contact::routes(Arc::clone(desk)))
        .merge(data::routes(Arc::clone(desk)))
        .merge(geocode::routes(Arc::clone(desk)))
        .merge(rating::routes(Arc::clone(desk)))
}
