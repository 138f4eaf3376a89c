//! A place for each cell that occurs in some ascending lists, found by the bits of its id: nothing is compared with its
//! neighbours, merged or hashed.

/// How many bits of an H3 id may tell the cells of a page apart: three, two, one or none of its digits.
const BITS_OF_PAGES: [u32; 4] = [9, 6, 3, 0];
/// Places for each row at most: sums have one for every id of a page, whether its cell occurs or not.
const PLACES_OF_A_ROW: usize = 4;

/// Ids in pages of such as follow each other. A page has a place for each of its ids, in their order.
#[derive(Debug)]
pub(crate) struct CellPlaces {
    /// Low bits that are set in every id, as the unused digits of H3 are: they tell nothing apart.
    shift: u32,
    /// Bits above them that tell the ids of a page apart.
    bits: u32,
    /// What the ids of a page begin with, ascending: only of pages that are needed.
    pages: Vec<u64>,
}

impl CellPlaces {
    /// Places for the cells of all `lists`, each ascending; a cell may be in one more than once.
    pub(crate) fn of<L: AsRef<[u64]>>(lists: &[L]) -> Self {
        let of_a_list = |list: &L| list.as_ref().iter().fold(u64::MAX, |all, cell| all & cell);
        let in_common = lists.iter().map(of_a_list).fold(u64::MAX, |all, list| all & list);
        let shift = in_common.trailing_ones().min(u64::BITS - BITS_OF_PAGES[0] - 1);
        let rows: usize = lists.iter().map(|list| list.as_ref().len()).sum();
        let mut places = Self {
            shift,
            bits: 0,
            pages: Vec::new(),
        };
        // The largest pages that are not nearly empty.
        for bits in BITS_OF_PAGES {
            places.bits = bits;
            places.pages = pages(lists, shift + bits);
            if places.number() <= rows * PLACES_OF_A_ROW {
                break;
            }
        }
        places
    }

    /// How many places there are.
    pub(crate) const fn number(&self) -> usize {
        self.pages.len() << self.bits
    }

    /// The places of some of the cells, ascending; each of them is marked in `taken`.
    pub(crate) fn places_of(&self, cells: &[u64], taken: &mut [bool]) -> Vec<u32> {
        let mut places = Vec::with_capacity(cells.len());
        let (mut at, mut rest) = (0, cells);
        while let Some(first) = rest.first() {
            let page = first >> self.shift >> self.bits;
            at += count_while(self.pages.get(at..).unwrap_or_default(), |known| known < page);
            let in_page = count_while(rest, |cell| cell >> self.shift >> self.bits == page);
            let (of_page, after) = rest.split_at(in_page);
            let start = at << self.bits;
            let taken = taken.get_mut(start..start + (1 << self.bits)).unwrap_or_default();
            places.extend(of_page.iter().map(|cell| {
                let within = (cell >> self.shift) as usize & ((1 << self.bits) - 1);
                if let Some(taken) = taken.get_mut(within) {
                    *taken = true;
                }
                (start | within) as u32
            }));
            rest = after;
        }
        places
    }

    /// The cell of a place.
    pub(crate) fn cell(&self, place: u32) -> u64 {
        let page = self
            .pages
            .get((place >> self.bits) as usize)
            .copied()
            .unwrap_or(0);
        let within = u64::from(place) & ((1 << self.bits) - 1);
        (page << self.bits | within) << self.shift | ((1 << self.shift) - 1)
    }
}

/// What the cells of all lists begin with, without their last bits; ascending, each once.
fn pages<L: AsRef<[u64]>>(lists: &[L], last_bits: u32) -> Vec<u64> {
    let mut pages = Vec::new();
    for list in lists {
        let mut rest = list.as_ref();
        while let Some(first) = rest.first() {
            let page = first >> last_bits;
            pages.push(page);
            let in_page = count_while(rest, |cell| cell >> last_bits == page);
            rest = rest.get(in_page..).unwrap_or_default();
        }
    }
    #[expect(
        clippy::stable_sort_primitive,
        reason = "made of ascending runs, one a list: the stable sort finds and merges them"
    )]
    pages.sort();
    pages.dedup();
    pages
}

/// How many of the first of an ascending list are as asked, which none is after one that is not. Looks near the start first.
fn count_while(sorted: &[u64], is_asked: impl Fn(u64) -> bool) -> usize {
    let (mut low, mut high, mut step) = (0, 0, 1);
    while sorted.get(high).is_some_and(|value| is_asked(*value)) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    let high = high.min(sorted.len());
    low + sorted
        .get(low..high)
        .map_or(0, |between| between.partition_point(|value| is_asked(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn every_cell_has_a_place_in_the_order_of_cells(
            lists in prop::collection::vec(
                prop::collection::btree_set(
                    prop_oneof![any::<u64>(), 0..2000_u64, (0..2000_u64).prop_map(|cell| cell << 20 | 0xF_FFFF)],
                    0..100,
                ),
                0..6,
            ),
            filled in any::<bool>(),
        ) {
            let lists: Vec<Vec<u64>> = lists
                .iter()
                .map(|list| list.iter().map(|cell| if filled { cell | 0xFF } else { *cell }).collect())
                .collect();
            let expected: Vec<u64> = lists.iter().flatten().collect::<BTreeSet<_>>().into_iter().copied().collect();
            let places = CellPlaces::of(&lists);
            let mut taken = vec![false; places.number()];
            for list in &lists {
                let found = places.places_of(list, &mut taken);
                prop_assert_eq!(&found.into_iter().map(|place| places.cell(place)).collect::<Vec<_>>(), list);
            }
            let all = (0..).zip(taken).filter(|(_, taken)| *taken);
            prop_assert_eq!(all.map(|(place, _)| places.cell(place)).collect::<Vec<_>>(), expected);
        }
    }
}
