//! Entity tags change exactly when what a tile shows does.

use proptest::prelude::*;

use super::super::{GeometryCache, Tile, TileSet};
use super::*;

fn tile_of(values: CellValues, metric: &str) -> Tile {
    let set = TileSet::new("noise", metric, values).expect("valid");
    let cache = GeometryCache::new(1 << 20);
    let tile = set.tile(0, 0, 0, &cache).expect("a tile");
    assert_eq!(set.etag(0, 0, 0, &cache), Some(tile.etag));
    tile
}

fn disk(k: u32) -> CellValues {
    numbered(cell_at(22.5, 114.0, 7).grid_disk::<Vec<_>>(k), 7)
}

fn permuted(values: &CellValues, order: &[usize]) -> CellValues {
    CellValues {
        cells: order.iter().map(|i| values.cells[*i]).collect(),
        counts: order.iter().map(|i| values.counts[*i]).collect(),
        values: order.iter().map(|i| values.values[*i]).collect(),
        ..values.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_the_input_does_not_matter(order in Just((0..37).collect::<Vec<usize>>()).prop_shuffle()) {
        let values = disk(3);
        prop_assert_eq!(tile_of(permuted(&values, &order), "sum"), tile_of(values, "sum"));
    }

    #[test]
    fn equal_tags_mean_equal_bytes_and_equal_numbers(
        first in prop::collection::vec((0..3_u64, 0..3_i32), 7),
        second in prop::collection::vec((0..3_u64, 0..3_i32), 7),
    ) {
        let with = |numbers: &[(u64, i32)]| CellValues {
            counts: numbers.iter().map(|(count, _)| *count).collect(),
            values: numbers.iter().map(|(_, value)| f64::from(*value) / 2.0).collect(),
            ..disk(1)
        };
        let (one, other) = (tile_of(with(&first), "sum"), tile_of(with(&second), "sum"));
        prop_assert_eq!(first == second, one.etag == other.etag);
        prop_assert_eq!(first == second, one.bytes == other.bytes);
    }
}

#[test]
fn one_number_of_one_cell_is_enough() {
    let before = tile_of(disk(3), "sum").etag;
    let mut count = disk(3);
    count.counts[20] += 1;
    let mut value = disk(3);
    value.values[20] += 1e-9;
    let mut gone = disk(3);
    gone.values[20] = f64::NAN;
    for changed in [count, value, gone] {
        assert_ne!(tile_of(changed, "sum").etag, before);
    }
}

#[test]
fn what_is_not_shown_does_not_count() {
    let before = tile_of(disk(3), "count");
    let mut other_values = disk(3);
    other_values.values[20] = 99.0;
    assert_eq!(tile_of(other_values, "count"), before);

    let zero = CellValues {
        values: vec![0.0; 37],
        ..disk(3)
    };
    let minus_zero = CellValues {
        values: vec![-0.0; 37],
        ..disk(3)
    };
    assert_eq!(tile_of(zero, "sum"), tile_of(minus_zero, "sum"));
}

#[test]
fn cells_outside_the_tile_do_not_change_its_tag() {
    let cache = GeometryCache::new(1 << 20);
    let here = tile_at(22.5, 114.0, 10);
    let set = |values| TileSet::new("noise", "sum", values).expect("valid");
    let alone = set(CellValues {
        values: vec![1.5],
        counts: vec![2],
        ..numbered([cell_at(22.5, 114.0, 7)], 7)
    });
    let mut both = numbered([cell_at(22.5, 114.0, 7), cell_at(50.0, 10.0, 7)], 7);
    let position = both
        .cells
        .iter()
        .position(|cell| *cell == u64::from(cell_at(22.5, 114.0, 7)))
        .expect("there");
    (both.counts[position], both.values[position]) = (2, 1.5);
    let tag = |set: &TileSet| set.etag(here.z(), here.x(), here.y(), &cache);
    assert_eq!(tag(&alone), tag(&set(both)));
}
