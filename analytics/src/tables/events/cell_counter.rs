//! Counts cells in any order: an id's last digits are its place in a page of counts, so that only pages are hashed. Cells
//! that are far from all others have no page each: they are counted in a map.

use h3o::Resolution;
use hashbrown::HashMap;
use riskgrid_ingest::cells::unused_bits;

/// Bits of an H3 id that are the place in a page: three digits.
const BITS_OF_A_PAGE: u32 = 9;
const PLACES_OF_A_PAGE: usize = 1 << BITS_OF_A_PAGE;
/// Places of pages that there may be for each cell that came, beside the first.
const PLACES_OF_A_ROW: usize = 4;
const FIRST_PLACES: usize = 1 << 16;

/// Entries of the table in which a page is looked for first: more than the pages of a city, and small enough for the
/// processor's first cache.
const RECENT_PAGES: usize = 1 << RECENT_BITS;
const RECENT_BITS: u32 = 10;
/// No page: pages are what is left of an id of 64 bits without its place.
const NO_PAGE: u64 = u64::MAX;

/// How often each cell of one resolution came: at most `u32::MAX` cells in all.
#[derive(Debug)]
pub(super) struct CellCounter {
    /// Bits of the digits that the resolution does not use; all are set.
    shift: u32,
    pages: HashMap<u64, u32>,
    /// The page that was last looked up of all those that share an entry, and its number.
    recent: Box<[(u64, u32); RECENT_PAGES]>,
    counts: Vec<[u32; PLACES_OF_A_PAGE]>,
    /// Cells that came when there were too many pages for them to have one, and ids that are no cells of the resolution.
    others: HashMap<u64, u32>,
    /// How many came.
    rows: usize,
}

impl CellCounter {
    pub(super) fn new(resolution: Resolution) -> Self {
        Self {
            shift: unused_bits(resolution),
            pages: HashMap::new(),
            recent: Box::new([(NO_PAGE, 0); RECENT_PAGES]),
            counts: Vec::new(),
            others: HashMap::new(),
            rows: 0,
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.counts.len() * size_of::<[u32; PLACES_OF_A_PAGE]>()
            + self.others.len() * 2 * size_of::<(u64, u32)>()
    }

    /// How many cells came.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Counts each of `cells` once more.
    pub(super) fn add(&mut self, cells: &[u64]) {
        self.rows += cells.len();
        let unused = (1 << self.shift) - 1;
        for &cell in cells {
            let index = cell >> self.shift;
            let page = if cell & unused == unused {
                self.page(index >> BITS_OF_A_PAGE)
            } else {
                None
            };
            let place = index as usize % PLACES_OF_A_PAGE;
            match page.and_then(|page| self.counts.get_mut(page as usize)?.get_mut(place)) {
                Some(count) => *count += 1,
                None => *self.others.entry(cell).or_insert(0) += 1,
            }
        }
    }

    /// The number of a page, made first when there may be one more.
    #[inline]
    fn page(&mut self, page: u64) -> Option<u32> {
        // Multiplicative hashing (Knuth 1973), by the golden ratio.
        let entry = page.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - RECENT_BITS);
        let (recent, number) = self.recent[entry as usize % RECENT_PAGES];
        if recent == page {
            return Some(number);
        }
        let number = self.page_of_map(page)?;
        self.recent[entry as usize % RECENT_PAGES] = (page, number);
        Some(number)
    }

    #[cold]
    fn page_of_map(&mut self, page: u64) -> Option<u32> {
        if let Some(number) = self.pages.get(&page) {
            return Some(*number);
        }
        let number = self.counts.len();
        if (number + 1) * PLACES_OF_A_PAGE > self.rows * PLACES_OF_A_ROW + FIRST_PLACES {
            return None;
        }
        self.counts.push([0; PLACES_OF_A_PAGE]);
        self.pages.insert(page, number as u32);
        Some(number as u32)
    }

    /// The cells that came, in no order, and how often. A cell may be there twice: what came before and after it had a page.
    pub(super) fn counts(&self) -> (Vec<u64>, Vec<i64>) {
        let unused = (1 << self.shift) - 1;
        let of_pages = self.pages.iter().flat_map(|(page, number)| {
            let counts = self.counts.get(*number as usize).map_or(&[][..], |counts| counts);
            let came = (0..).zip(counts).filter(|(_, count)| **count > 0);
            came.map(move |(place, count)| {
                (
                    (page << BITS_OF_A_PAGE | place) << self.shift | unused,
                    i64::from(*count),
                )
            })
        });
        let others = self.others.iter().map(|(cell, count)| (*cell, i64::from(*count)));
        of_pages.chain(others).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn cells_far_apart_take_no_page_each() {
        let mut counter = CellCounter::new(Resolution::Nine);
        let far_apart: Vec<u64> = (0..20_000).map(|number| number << 40 | 0x3_FFFF).collect();
        counter.add(&far_apart);
        counter.add(&far_apart);
        assert!(counter.bytes() < 3 << 20, "{}", counter.bytes());
        let (cells, counts) = counter.counts();
        assert_eq!(counts.iter().sum::<i64>(), 40_000);
        assert!(cells.len() >= 20_000);
    }

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
                counter.add(ids);
                for id in ids {
                    *expected.entry(*id).or_default() += 1;
                }
            }
            let (cells, counts) = counter.counts();
            let mut counted: BTreeMap<u64, i64> = BTreeMap::new();
            for (cell, count) in cells.into_iter().zip(counts) {
                *counted.entry(cell).or_default() += count;
            }
            prop_assert_eq!(counted, expected);
        }
    }
}
