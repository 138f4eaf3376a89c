//! Open311 GeoReport v2: how apps and sites of others bring reports here, and read what became of them. Never what people said,
//! nor whom to call.

mod answers;
mod asked;
mod discovery;
mod format;
mod requests;
mod routes;
mod services;
mod updates;

pub use routes::routes;
