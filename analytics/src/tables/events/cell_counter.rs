//! Counts cells in any order: an id's last digits are its place in a page of counts, so that only pages are hashed.

use h3o::Resolution;
use hashbrown::HashMap;

/// Bits of an H3 id that are the place in a page: three digits.
const BITS_OF_A_PAGE: u32 = 9;
const PLACES_OF_A_PAGE: usize = 1 << BITS_OF_A_PAGE;

/// How often each cell of one resolution came.
#[derive(Debug)]
pub(super) struct CellCounter {
    /// Bits of the digits that the resolution does not use; all are set.
    shift: u32,
    pages: HashMap<u64, usize>,
    counts: Vec<[i64; PLACES_OF_A_PAGE]>,
    /// Ids that are no cells of the resolution.
    others: HashMap<u64, i64>,
}

impl CellCounter {
    pub(super) fn new(resolution: Resolution) -> Self {
        Self {
            shift: 3 * (15 - u32::from(u8::from(resolution))),
            pages: HashMap::new(),
            counts: Vec::new(),
            others: HashMap::new(),
        }
    }

    /// Counts each of `cells` once more.
    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = u64>) {
        let unused = (1 << self.shift) - 1;
        for cell in cells {
            if cell & unused != unused {
                *self.others.entry(cell).or_insert(0) += 1;
                continue;
            }
            let index = cell >> self.shift;
            let page = *self.pages.entry(index >> BITS_OF_A_PAGE).or_insert_with(|| {
                self.counts.push([0; PLACES_OF_A_PAGE]);
                self.counts.len() - 1
            });
            let place = index as usize % PLACES_OF_A_PAGE;
            if let Some(count) = self.counts.get_mut(page).and_then(|page| page.get_mut(place)) {
                *count += 1;
            }
        }
    }

    /// The cells that came, in no order, and how often.
    pub(super) fn counts(&self) -> (Vec<u64>, Vec<i64>) {
        let unused = (1 << self.shift) - 1;
        let of_pages = self.pages.iter().flat_map(|(page, number)| {
            let counts = self.counts.get(*number).map_or(&[][..], |counts| counts);
            let came = (0..).zip(counts).filter(|(_, count)| **count > 0);
            came.map(move |(place, count)| ((page << BITS_OF_A_PAGE | place) << self.shift | unused, *count))
        });
        let others = self.others.iter().map(|(cell, count)| (*cell, *count));
        of_pages.chain(others).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn ids_are_counted_as_a_map_counts_them(
            ids in prop::collection::vec(
                prop_oneof![any::<u64>(), (0..1500_u64).prop_map(|index| index << 18 | 0x3_FFFF), 0..9_u64],
                0..300,
            ),
        ) {
            let mut counter = CellCounter::new(Resolution::Nine);
            let mut expected: BTreeMap<u64, i64> = BTreeMap::new();
            let (first, second) = ids.split_at(ids.len() / 2);
            for ids in [first, second] {
                counter.add(ids.iter().copied());
                for id in ids {
                    *expected.entry(*id).or_default() += 1;
                }
            }
            let (cells, counts) = counter.counts();
            prop_assert_eq!(cells.len(), expected.len());
            prop_assert_eq!(cells.into_iter().zip(counts).collect::<BTreeMap<_, _>>(), expected);
        }
    }
}
