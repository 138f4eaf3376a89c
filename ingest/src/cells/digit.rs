//! Cells as members of families: the children of one cell, told apart by one digit.

use h3o::{CellIndex, Resolution};

use super::ids::{RESOLUTION_SHIFT, unused_bits};

/// Digits of a cell under its parent: 0 is the centre.
pub const DIGITS: usize = 7;
/// Where the base cell sits in an id.
const BASE_CELL_SHIFT: u32 = 45;

/// Where the digit of a resolution sits in an index.
#[derive(Clone, Copy, Debug)]
pub struct Digit {
    shift: u32,
}

impl Digit {
    /// That of a resolution.
    #[inline]
    pub fn of(resolution: Resolution) -> Self {
        let shift = match u8::from(resolution) {
            // A base cell is no child: bits that are 0 in every cell make it a family of its own.
            0 => 60,
            _ => unused_bits(resolution),
        };
        Self { shift }
    }

    /// The family of a cell (the index of its centre child) and the digit of the cell in it.
    #[inline]
    pub fn split(self, cell: CellIndex) -> (u64, u32) {
        self.split_index(cell.into())
    }

    /// The same of an id that is known to be one.
    #[inline]
    pub const fn split_index(self, index: u64) -> (u64, u32) {
        (index & !(7 << self.shift), (index >> self.shift & 7) as u32)
    }

    /// How many bits of a family's index are below those that tell families apart.
    #[inline]
    pub const fn bits_below_families(self) -> u32 {
        if self.shift + 3 < BASE_CELL_SHIFT {
            self.shift + 3
        } else {
            BASE_CELL_SHIFT
        }
    }

    /// The family with these bits above [`Digit::bits_below_families`].
    #[inline]
    pub const fn family(self, bits: u64) -> u64 {
        let below = self.bits_below_families();
        (bits << below | ((1 << below) - 1)) & !(7 << self.shift)
    }

    /// The centre child, at the resolution of this digit, of a cell one coarser.
    #[inline]
    pub const fn centre_child(self, parent: u64) -> u64 {
        // One more in the field of resolutions, and its digit is used: 0 instead of 7.
        (parent + (1 << RESOLUTION_SHIFT)) & !(7 << self.shift)
    }

    /// Index of the cell with this digit.
    #[inline]
    pub const fn join(self, family: u64, digit: u32) -> u64 {
        family | (digit as u64) << self.shift
    }
}
