//! The ids of cells: four bits say the resolution, seven the base cell, then come three for the digit of each resolution. Digits
//! that a cell has not are seven.

use std::ops::Range;

use h3o::{CellIndex, Resolution};

/// Where the resolution sits in an id.
pub(super) const RESOLUTION_SHIFT: u32 = 52;
const RESOLUTION: u64 = 15 << RESOLUTION_SHIFT;
const BITS_OF_A_DIGIT: u64 = 3;
const DIGITS: u64 = 15;

/// How many bits of the ids of a resolution are below those that tell its cells apart. All of them are set.
#[inline]
pub fn unused_bits(resolution: Resolution) -> u32 {
    (BITS_OF_A_DIGIT * (DIGITS - u64::from(u8::from(resolution)))) as u32
}

fn unused(resolution: Resolution) -> u64 {
    (1 << unused_bits(resolution)) - 1
}

/// The ids from a cell's own to the next one that a cell of its resolution may have.
pub fn own_range(cell: u64, resolution: Resolution) -> Range<u64> {
    cell..cell + (1 << unused_bits(resolution))
}

/// Every cell's id is in it.
pub const ALL_CELLS: Range<u64> = 0..u64::MAX;

/// The parent of `cell` at `resolution`, by the bits of the index: the mode and base cell stay, the resolution is
/// replaced, the digits past it become 7. A cell that is coarser already is returned as it is.
#[inline]
pub fn parent_of(cell: u64, resolution: Resolution) -> u64 {
    let from = (cell & RESOLUTION) >> RESOLUTION_SHIFT;
    let to = u64::from(u8::from(resolution));
    if from <= to {
        return cell;
    }
    (cell & !RESOLUTION) | (to << RESOLUTION_SHIFT) | unused(resolution)
}

/// The ids of the children of `parent` at `resolution`, as one half-open range.
pub fn children_range(parent: CellIndex, resolution: Resolution) -> Range<u64> {
    let id = u64::from(parent);
    let (from, to) = (
        u64::from(u8::from(parent.resolution())),
        u64::from(u8::from(resolution)),
    );
    if from >= to {
        return id..id + 1;
    }
    let own_unused = unused(parent.resolution());
    let base = (id & !RESOLUTION & !own_unused) | (to << RESOLUTION_SHIFT) | unused(resolution);
    // The greatest child has digit 6 at every level in between.
    let mut greatest = base;
    for level in from + 1..=to {
        greatest |= 6 << (BITS_OF_A_DIGIT * (DIGITS - level));
    }
    base..greatest + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use h3o::LatLng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parent_and_children_by_bits_agree_with_h3(lat in -90.0..90.0_f64, lon in -180.0..180.0_f64, fine in 0u8..=15, coarse in 0u8..=15) {
            let (fine, coarse) = (Resolution::try_from(fine.max(coarse)).unwrap(), Resolution::try_from(fine.min(coarse)).unwrap());
            let cell = LatLng::new(lat, lon).unwrap().to_cell(fine);
            let parent = cell.parent(coarse).unwrap();
            prop_assert_eq!(parent_of(cell.into(), coarse), u64::from(parent));
            prop_assert!(children_range(parent, fine).contains(&u64::from(cell)));
            if u8::from(fine) - u8::from(coarse) <= 4 {
                let children: Vec<u64> = parent.children(fine).map(u64::from).collect();
                let range = children_range(parent, fine);
                prop_assert_eq!(range.start, *children.iter().min().unwrap());
                prop_assert_eq!(range.end, children.iter().max().unwrap() + 1);
            }
        }
    }
}
