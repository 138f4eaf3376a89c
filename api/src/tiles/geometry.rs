//! A hexagon in one tile: whether it meets the tile, and its outline as a feature's geometry in wire form.
//!
//! A hexagon is in every tile whose square it shares an area with, and its outline is cut to the tile and a buffer around
//! it; a hexagon that only meets the buffer is not in the tile. A cell over the antimeridian is drawn on both sides.

use h3o::CellIndex;

use super::clip::{Box2, Clipper, Point, Rings};
use super::outline::OutlineMaker;
use super::protobuf::{Wire, put_bytes_field, put_varint, put_varint_field, zigzag};
use super::ring::{Corner, RoundedRings};
use super::tile_id::TileId;

/// Units along a side of a tile.
pub(crate) const EXTENT: u32 = 4096;

/// Units around the tile to which outlines are drawn, so that strokes do not show its border.
pub(crate) const BUFFER: u32 = 64;

const TILE: Box2 = Box2 {
    min_x: 0.0,
    min_y: 0.0,
    max_x: EXTENT as f64,
    max_y: EXTENT as f64,
};
const TILE_AND_BUFFER: Box2 = Box2 {
    min_x: -(BUFFER as f64),
    min_y: -(BUFFER as f64),
    max_x: (EXTENT + BUFFER) as f64,
    max_y: (EXTENT + BUFFER) as f64,
};

/// Feature fields of the vector tile format 2.1.
const FEATURE_TYPE: u32 = 3;
const FEATURE_GEOMETRY: u32 = 4;
const TYPE_POLYGON: u64 = 3;

const MOVE_TO_ONE: u64 = 1 | 1 << 3;
const LINE_TO: u64 = 2;
const CLOSE_PATH: u64 = 7 | 1 << 3;

/// Encodes hexagons, keeping its working memory between them.
#[derive(Default)]
pub(crate) struct HexagonEncoder {
    outlines: OutlineMaker,
    clipper: Clipper,
    tile_clipper: Clipper,
    in_tile_units: Rings,
    drawn: Rings,
    rounded: RoundedRings,
    commands: Vec<u8>,
}

impl HexagonEncoder {
    /// Appends the cell's type and geometry fields to `out`, as they stand in a feature; nothing, when the cell is not in
    /// the tile.
    pub(crate) fn append(&mut self, cell: CellIndex, tile: TileId, out: &mut Vec<u8>) {
        let outline = self.outlines.outline(cell);
        let around = Box2::around(outline.points());
        let scale = tile.tiles_across();
        let (column, row) = (f64::from(tile.x()), f64::from(tile.y()));
        let unit = f64::from(EXTENT);

        self.commands.clear();
        let mut pen = (0, 0);
        // The outline starts in the unit square's width, so only a lap to the west of it can matter too.
        for lap in [-1.0, 0.0] {
            let to_tile = |x: f64, y: f64| Point {
                x: ((x + lap) * scale - column) * unit,
                y: (y * scale - row) * unit,
            };
            let north_west = to_tile(around.min_x, around.min_y);
            let south_east = to_tile(around.max_x, around.max_y);
            let limits = Box2 {
                min_x: north_west.x,
                min_y: north_west.y,
                max_x: south_east.x,
                max_y: south_east.y,
            };
            if !limits.touches(&TILE) {
                continue;
            }
            self.in_tile_units.clear();
            for ring in outline.iter() {
                self.in_tile_units
                    .push(ring.iter().map(|point| to_tile(point.x, point.y)));
            }
            let drawn = if TILE.contains(&limits) {
                &self.in_tile_units
            } else {
                let in_buffer = if TILE_AND_BUFFER.contains(&limits) {
                    &self.in_tile_units
                } else {
                    self.clipper.clip(self.in_tile_units.iter(), &TILE_AND_BUFFER)
                };
                self.drawn.clear();
                for ring in in_buffer.iter() {
                    if self.tile_clipper.clip([ring], &TILE).area() > 0.0 {
                        self.drawn.push(ring.iter().copied());
                    }
                }
                &self.drawn
            };
            for ring in self.rounded.of(drawn, EXTENT as i32) {
                put_ring(ring, &mut pen, &mut self.commands);
            }
        }
        if !self.commands.is_empty() {
            put_varint_field(FEATURE_TYPE, TYPE_POLYGON, out);
            put_bytes_field(FEATURE_GEOMETRY, &self.commands, out);
        }
    }
}

/// Writes one exterior ring from where the pen stands, and leaves the pen on its last corner.
fn put_ring(ring: &[Corner], pen: &mut Corner, commands: &mut Wire) {
    let mut put_step = |to: Corner, commands: &mut Wire| {
        put_varint(zigzag(i64::from(to.0 - pen.0)), commands);
        put_varint(zigzag(i64::from(to.1 - pen.1)), commands);
        *pen = to;
    };
    let Some((first, others)) = ring.split_first() else {
        return;
    };
    put_varint(MOVE_TO_ONE, commands);
    put_step(*first, commands);
    put_varint(LINE_TO | (others.len() as u64) << 3, commands);
    for corner in others {
        put_step(*corner, commands);
    }
    put_varint(CLOSE_PATH, commands);
}
