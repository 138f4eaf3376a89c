//! What is answered from the coarsest slices that cover a window is what its buckets come to.

use std::collections::HashSet;
use std::sync::Arc;

use chrono_tz::Tz;
use h3o::{LatLng, Resolution};
use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime, MINUTE};
use serde_json::json;

use crate::made::{Made, START, block_on, events, grid, grid_in, rows};

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
        zone in prop::sample::select(vec![Tz::UTC, Tz::Asia__Kolkata, Tz::America__New_York]),
    ) {
        let snapshot = grid_in(zone, &Arc::default(), &events);
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
            let of_a_parent = format!("h3_parent(cell, {parent})");
            for group in [
                "cell",
                "layer, cell",
                "layer",
                &of_a_parent,
                "date_trunc('hour', bucket), cell",
                "layer, date_trunc('day', bucket)",
                "date_part('hour', bucket)",
                "CAST(bucket AS DATE), layer",
                &format!("date_bin(INTERVAL '6 hours', bucket), {of_a_parent}"),
                "date_trunc('minute', bucket), cell",
            ] {
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

#[test]
fn shares_of_cells_are_not_brought_together_again_unless_they_must() {
    let disk = |lon: f64, steps: u32| -> Vec<u64> {
        let centre = LatLng::new(22.53, lon).unwrap().to_cell(Resolution::Nine);
        centre
            .grid_disk::<Vec<_>>(steps)
            .into_iter()
            .map(u64::from)
            .collect()
    };
    // Each layer has rows for two threads, and is cut at another cell than the other.
    let (noise, flooding) = (disk(113.93, 148), disk(114.1, 105));
    let events: Vec<Made> = noise
        .iter()
        .map(|cell| Made::at_cell("noise", 0, *cell))
        .chain((0..2).flat_map(|minute| {
            flooding
                .iter()
                .map(move |cell| Made::at_cell("flooding", minute * MINUTE, *cell))
        }))
        .collect();
    let snapshot = grid(&events);
    let of = |layer: &str| {
        format!("SELECT cell, sum(count) AS n FROM cells WHERE layer = '{layer}' GROUP BY cell")
    };
    let shown = |sql: &str| format!("{:?}", block_on(rows(&snapshot, &format!("EXPLAIN {sql}"))));

    let plan = shown(&of("noise"));
    assert!(
        plan.contains("SinglePartitioned") && !plan.contains("RepartitionExec"),
        "{plan}"
    );
    let totals = format!(
        "SELECT count(*), count(DISTINCT cell), sum(n), max(n) FROM ({})",
        of("flooding")
    );
    let (cells, both) = (flooding.len(), 2 * flooding.len());
    assert_eq!(
        block_on(rows(&snapshot, &totals)),
        [[json!(cells), json!(cells), json!(both), json!(2)]]
    );

    let joined = format!(
        "SELECT count(*), sum(a.n + b.n) FROM ({}) a JOIN ({}) b ON a.cell = b.cell",
        of("noise"),
        of("flooding")
    );
    let noise: HashSet<u64> = noise.into_iter().collect();
    let common = flooding.iter().filter(|cell| noise.contains(cell)).count();
    assert!(common > 1000 && common < cells, "{common} of {cells}");
    assert_eq!(
        block_on(rows(&snapshot, &joined)),
        [[json!(common), json!(3 * common)]]
    );
}
