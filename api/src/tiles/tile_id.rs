//! Which tile: zoom, column and row of the web map's square pyramid.

/// The deepest zoom that is served; maps draw deeper ones from its tiles.
pub const MAX_ZOOM: u8 = 14;

/// One tile of the XYZ scheme: zoom 0 is the whole world, row 0 is in the north. A value that exists is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    z: u8,
    x: u32,
    y: u32,
}

/// There is no such tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tile {z}/{x}/{y}: zooms are 0 to {MAX_ZOOM}, columns and rows 0 to 2^zoom - 1")]
pub struct NoSuchTile {
    /// The zoom asked for.
    pub z: u8,
    /// The column asked for.
    pub x: u32,
    /// The row asked for.
    pub y: u32,
}

impl TileId {
    /// # Errors
    /// [`NoSuchTile`] when the zoom is above [`MAX_ZOOM`], or the column or row is outside of it.
    pub const fn new(z: u8, x: u32, y: u32) -> Result<Self, NoSuchTile> {
        if z > MAX_ZOOM || x >> z != 0 || y >> z != 0 {
            return Err(NoSuchTile { z, x, y });
        }
        Ok(Self { z, x, y })
    }

    /// Zoom, 0 to [`MAX_ZOOM`].
    pub const fn z(self) -> u8 {
        self.z
    }

    /// Column, counted from the antimeridian eastwards.
    pub const fn x(self) -> u32 {
        self.x
    }

    /// Row, counted from the north.
    pub const fn y(self) -> u32 {
        self.y
    }

    /// Tiles along one side of the world at this zoom.
    pub(crate) fn tiles_across(self) -> f64 {
        f64::from(1_u32 << self.z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_outside_the_pyramid_do_not_exist() {
        assert!(TileId::new(0, 0, 0).is_ok());
        assert!(TileId::new(14, 16_383, 16_383).is_ok());
        for (z, x, y) in [
            (0, 1, 0),
            (0, 0, 1),
            (3, 8, 0),
            (3, 0, 8),
            (14, 16_384, 0),
            (15, 0, 0),
            (255, 0, 0),
        ] {
            assert_eq!(TileId::new(z, x, y), Err(NoSuchTile { z, x, y }));
        }
    }
}
