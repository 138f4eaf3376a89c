//! What the fuzz targets do with their bytes. An ordinary test does the same with every seed, and with every find that was
//! kept as one, in `api/tests/it/seeds.rs`.

use axum::http::HeaderValue;
use chrono::TimeDelta;
use riskgrid_api::http::authority::Authority;
use riskgrid_api::http::event_headers::decode;
use riskgrid_api::routes::sql::{are_parameters, is_accepted};
use riskgrid_api::tiles::TileRequest;

/// A target: the name of its binary and of the folder of its seeds, and what it does with some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("accept", accept),
    ("event_header", event_header),
    ("host", host),
    ("sql_parameters", sql_parameters),
    ("tile_address", tile_address),
];

/// The header `Accept` of a question.
pub fn accept(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        is_accepted(value);
    }
}

/// A `ce-` header of an event in binary mode.
pub fn event_header(bytes: &[u8]) {
    if let Ok(text) = decode(bytes) {
        assert!(text.len() <= bytes.len());
    }
}

/// The header `Host`. What is read has one form, which is read alike.
pub fn host(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(authority) = Authority::parse(text)
    {
        assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
    }
}

/// What follows the `?` of a question.
pub fn sql_parameters(bytes: &[u8]) {
    are_parameters(&String::from_utf8_lossy(bytes));
}

/// What follows the layer in the address of a tile. One that is a tile has an address of its own, which is that tile.
pub fn tile_address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    let mut parts = path.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default();
    let (z, x, y) = (next(), next(), next());
    let longest = TimeDelta::days(900);
    if let Ok(request) = TileRequest::parse(z, x, y, query, longest) {
        assert!(request.query.window > TimeDelta::zero() && request.query.window <= longest);
        let again = TileRequest::parse(z, x, y, "", longest).map(|again| again.tile);
        assert_eq!(again, Ok(request.tile));
    }
}
