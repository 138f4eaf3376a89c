//! What is answered from the coarsest slices that cover a window is what its buckets come to.

use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime};

use crate::made::{Made, START, block_on, events, grid, rows};

/// Events of three days, in the order of time or not.
fn in_or_out_of_order() -> impl Strategy<Value = Vec<Made>> {
    (events(3 * DAY), any::<bool>()).prop_map(|(mut events, sorted)| {
        if sorted {
            events.sort_by_key(|event| event.micros);
        }
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_summed_window_is_what_its_buckets_come_to(
        events in in_or_out_of_order(), from in -DAY / 2..3 * DAY, length in 0..3 * DAY, parent in 3u8..9, of in any::<prop::sample::Index>(),
    ) {
        let snapshot = grid(&events);
        let time = |micros: i64| EventTime::from_micros(START + micros).to_string();
        let cell = h3o::CellIndex::try_from(of.get(&events).cell()).unwrap();
        let above = cell.parent(h3o::Resolution::try_from(parent).unwrap()).unwrap();
        let window = format!("bucket >= TIMESTAMP '{}' AND bucket < TIMESTAMP '{}'", time(from), time(from + length));
        let filters = [
            "TRUE".to_owned(),
            window.clone(),
            format!("layer = 'water' AND {window}"),
            format!("layer LIKE '%o%' AND bucket > TIMESTAMP '{}'", time(from)),
            format!("h3_parent(cell, {parent}) = '{above}' AND {window}"),
            format!("cell IN ('{cell}', '8928308280fffff') AND {window}"),
            format!("h3_resolution(cell) = 9 AND {window}"),
            // No window: what starts in the morning.
            format!("extract(hour FROM bucket) < 12 AND {window}"),
        ];
        let aggregates = "sum(count), sum(weight), min(min), max(max), bit_or(sources), max(last_time), \
                          round(sum(sum), 6), round(sum(sum_squares), 6), min(cell), count(DISTINCT cell)";
        for filter in &filters {
            for group in ["cell", "layer, cell", "layer", &format!("h3_parent(cell, {parent})")] {
                let order = group;
                let summed = format!("SELECT {group}, {aggregates} FROM cells WHERE {filter} GROUP BY {group} ORDER BY {order}");
                // A limit below keeps its aggregate from being answered from anything but buckets.
                let plain = format!(
                    "SELECT {group}, {aggregates} FROM (SELECT * FROM cells WHERE {filter} LIMIT 100000) GROUP BY {group} ORDER BY {order}"
                );
                prop_assert_eq!(block_on(rows(&snapshot, &summed)), block_on(rows(&snapshot, &plain)), "{}", summed);
            }
        }
        // Rows of buckets are counted as they are.
        let counted = format!("SELECT cell, count(*) FROM cells WHERE {window} GROUP BY cell ORDER BY cell");
        let plain = format!("SELECT cell, count(*) FROM (SELECT * FROM cells WHERE {window} LIMIT 100000) GROUP BY cell ORDER BY cell");
        prop_assert_eq!(block_on(rows(&snapshot, &counted)), block_on(rows(&snapshot, &plain)));
    }
}
