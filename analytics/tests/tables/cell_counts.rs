//! Events that a scan counts by cell are as many as the events themselves.

use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime};
use serde_json::json;

use crate::made::{START, block_on, events, grid, rows};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn events_counted_by_the_scan_are_as_many_as_there_are(events in events(DAY), from in 0..DAY, parent in 3u8..10) {
        let snapshot = grid(&events);
        let from = EventTime::from_micros(START + from).to_string();
        let above = format!("h3_parent(cell, {parent})");
        for filter in [
            "TRUE".to_owned(),
            "layer = 'noise'".to_owned(),
            format!("layer <> 'noise' AND time >= TIMESTAMP '{from}'"),
            format!("lon < 113.94 AND time < TIMESTAMP '{from}'"),
        ] {
            for group in ["cell", &above, &format!("cell, {above}")] {
                let question = |events: &str| {
                    format!("SELECT {group}, count(*) AS number, count(1) FROM {events} AS e GROUP BY {group} HAVING count(*) > 1 ORDER BY {group}, number")
                };
                let counted = question(&format!("(SELECT * FROM events WHERE {filter})"));
                // A limit below keeps the aggregate from being answered from anything but events.
                let plain = question(&format!("(SELECT * FROM events WHERE {filter} LIMIT 100000)"));
                prop_assert_eq!(block_on(rows(&snapshot, &counted)), block_on(rows(&snapshot, &plain)), "{}", counted);
                let plan = |sql: &str| format!("{:?}", block_on(rows(&snapshot, &format!("EXPLAIN {sql}"))));
                prop_assert!(plan(&counted).contains("counted by cell"), "{}", plan(&counted));
                prop_assert!(!plan(&plain).contains("counted by cell"));
                let as_asked = format!("SELECT {group}, count(*) AS number, count(1) FROM events WHERE {filter} GROUP BY {group} ORDER BY {group}, number");
                let counted = block_on(rows(&snapshot, &as_asked));
                let all: u64 = counted.iter().filter_map(|row| row[row.len() - 1].as_u64()).sum();
                let expected = block_on(rows(&snapshot, &format!("SELECT count(*) FROM events WHERE {filter}")));
                prop_assert_eq!(json!(all), expected[0][0].clone(), "{}", as_asked);
            }
        }
        // What needs more of an event than its cell is counted by DataFusion.
        for other in [
            "SELECT cell, count(*) FROM events WHERE value > 3 GROUP BY cell ORDER BY cell",
            "SELECT cell, count(value) FROM events GROUP BY cell ORDER BY cell",
            "SELECT cell, layer, count(*) FROM events GROUP BY cell, layer ORDER BY cell, layer",
            "SELECT cell, count(*) FILTER (WHERE cell > 5) FROM events GROUP BY cell ORDER BY cell",
        ] {
            let plan = format!("{:?}", block_on(rows(&snapshot, &format!("EXPLAIN {other}"))));
            prop_assert!(!plan.contains("counted by cell"), "{}", plan);
        }
    }
}
