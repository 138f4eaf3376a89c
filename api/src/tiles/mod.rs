//! Heat tiles: the grid's numbers as Mapbox Vector Tiles.
//!
//! The way of a tile: [`TileRequest`] is read from the URL; the caller takes the layer's numbers in the window at the
//! zoom's resolution ([`resolution_for_zoom`]) from one snapshot as [`CellValues`], and makes a [`TileSet`] of them once a
//! snapshot; [`TileSet::tile`] finds the cells that meet the tile in the H3 hierarchy, joins their numbers to hexagons that
//! [`GeometryCache`] keeps encoded, and hashes what it shows into a [`ContentHash`].
//!
//! What holds: a hexagon is in every tile that it meets and in no other, with its whole numbers, so a sum over the tiles of
//! a zoom that counts each `cell` once is the sum over the grid. Nothing here reads a clock or a socket.

#![cfg_attr(
    test,
    allow(
        clippy::expect_used,
        clippy::panic,
        reason = "a test that fails here says why"
    )
)]

mod cache;
mod caches;
mod clip;
mod encode;
mod etag;
mod extent;
mod geometry;
mod index;
mod outline;
mod protobuf;
#[cfg(test)]
mod read_tile;
mod request;
mod resolution;
mod ring;
mod risk;
mod tile_id;
mod tile_set;
mod tilejson;
mod values;

#[cfg(test)]
mod tests;

pub use cache::GeometryCache;
pub use caches::TileCaches;
pub use etag::{ContentCoding, ContentHash};
pub use extent::Extent;
pub use request::{InvalidTileQuery, Revision, TileMetric, TileQuery, TileRequest, TileRequestError};
pub use resolution::{resolution_for_zoom, resolutions};
pub use risk::{ALL_LAYERS, RiskMetric};
pub use tile_id::{MAX_ZOOM, NoSuchTile, TileId};
pub use tile_set::{Tile, TileSet};
pub use tilejson::{TileJson, tilejson};
pub use values::{CellValues, InvalidCellValues};
