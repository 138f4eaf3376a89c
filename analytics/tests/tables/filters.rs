//! What a filter keeps is what a plain look at the events keeps, whatever is pushed into the scan.

use std::collections::BTreeMap;

use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime, MINUTE};
use serde_json::json;

use crate::made::{LAYERS, Made, START, block_on, events, grid, rows};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cells_conserve_the_events_and_filters_keep_what_matches(
        events in events(DAY), layer in 0usize..3, from in 0..DAY, length in 0..DAY / 2, of in any::<prop::sample::Index>(),
    ) {
        let snapshot = grid(&events);
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &events {
            *counted.entry(event.layer).or_default() += 1;
        }
        let expected: Vec<_> = counted.iter().map(|(layer, count)| vec![json!(layer), json!(count)]).collect();
        for sql in [
            "SELECT layer, sum(count) FROM cells GROUP BY layer ORDER BY layer",
            "SELECT layer, count FROM layers WHERE count > 0 ORDER BY layer",
            "SELECT layer, count(*) FROM events GROUP BY layer ORDER BY layer",
        ] {
            prop_assert_eq!(&block_on(rows(&snapshot, sql)), &expected, "{}", sql);
        }
        let repeated = "SELECT layer, cell, bucket FROM cells GROUP BY layer, cell, bucket HAVING count(*) > 1";
        prop_assert!(block_on(rows(&snapshot, repeated)).is_empty());

        let layer = LAYERS[layer];
        let cell = of.get(&events).cell();
        let text = h3o::CellIndex::try_from(cell).unwrap().to_string();
        let (from, to) = (START + from, START + from + length);
        let time = |micros| EventTime::from_micros(micros).to_string();
        let bucket = |event: &Made| (START + event.micros).div_euclid(MINUTE) * MINUTE;
        let start = EventTime::from_micros(from).floor(MINUTE).micros();
        let count = |keep: &dyn Fn(&Made) -> bool| events.iter().filter(|event| keep(event)).count();
        let cases: Vec<(String, usize)> = vec![
            (format!("layer = '{layer}'"), count(&|e| e.layer == layer)),
            (format!("layer <> '{layer}'"), count(&|e| e.layer != layer)),
            (format!("layer IN ('{layer}', 'noise')"), count(&|e| e.layer == layer || e.layer == "noise")),
            (format!("bucket >= TIMESTAMP '{}'", time(from)), count(&|e| bucket(e) >= from)),
            (format!("bucket > TIMESTAMP '{}'", time(start)), count(&|e| bucket(e) > start)),
            (format!("bucket = TIMESTAMP '{}'", time(start)), count(&|e| bucket(e) == start)),
            (format!("TIMESTAMP '{}' > bucket", time(to)), count(&|e| bucket(e) < to)),
            (
                format!("layer = '{layer}' AND bucket BETWEEN TIMESTAMP '{}' AND TIMESTAMP '{}'", time(from), time(to)),
                count(&|e| e.layer == layer && from <= bucket(e) && bucket(e) <= to),
            ),
            (
                format!("layer = '{layer}' OR bucket < TIMESTAMP '{}'", time(from)),
                count(&|e| e.layer == layer || bucket(e) < from),
            ),
            (format!("cell = '{text}'"), count(&|e| e.cell() == cell)),
            (format!("cell <> '{text}'"), count(&|e| e.cell() != cell)),
            (format!("cell >= '{text}' AND layer = '{layer}'"), count(&|e| e.cell() >= cell && e.layer == layer)),
            (format!("cell IN ('{text}')"), count(&|e| e.cell() == cell)),
            (format!("NOT (cell = '{text}' OR layer = '{layer}')"), count(&|e| e.cell() != cell && e.layer != layer)),
        ];
        for (filter, expected) in cases {
            let sql = format!("SELECT coalesce(sum(count), 0) FROM cells WHERE {filter}");
            prop_assert_eq!(block_on(rows(&snapshot, &sql)), [[json!(expected)]], "{}", sql);
        }
        let sql = format!(
            "SELECT count(*) FROM events WHERE time >= TIMESTAMP '{}' AND time < TIMESTAMP '{}'", time(from), time(to)
        );
        let within = count(&|e| from <= START + e.micros && START + e.micros < to);
        prop_assert_eq!(block_on(rows(&snapshot, &sql)), [[json!(within)]]);

        // Values: exact sums of quarters, in the layer's unit.
        let water: Vec<f64> = events.iter().filter(|e| e.layer == "water").map(|e| e.value).collect();
        let sql = "SELECT coalesce(sum(sum), 0), coalesce(sum(sum_squares), 0) FROM cells WHERE layer = 'water'";
        let answer = block_on(rows(&snapshot, sql));
        let sums: (f64, f64) = (water.iter().sum(), water.iter().map(|value| value * value).sum());
        prop_assert!((answer[0][0].as_f64().unwrap() - sums.0).abs() < 1e-9);
        prop_assert!((answer[0][1].as_f64().unwrap() - sums.1).abs() < 1e-9);
    }

    #[test]
    fn a_box_of_sensors_is_what_a_plain_look_finds(
        events in events(DAY), west in -0.005..0.02_f64, south in -0.005..0.02_f64, width in 0.0..0.02_f64, height in 0.0..0.02_f64,
    ) {
        let snapshot = grid(&events);
        let (west, south) = (113.93 + west, 22.53 + south);
        let (east, north) = (west + width, south + height);
        let inside = |e: &&Made| {
            e.layer == "water" && (west..=east).contains(&e.lon) && (south..=north).contains(&e.lat)
        };
        let mut expected: Vec<f64> = events.iter().filter(inside).map(|e| e.value).collect();
        expected.sort_by(f64::total_cmp);
        for filter in [
            format!("lon >= {west:?} AND lon <= {east:?} AND lat >= {south:?} AND lat <= {north:?}"),
            format!("lon BETWEEN {west:?} AND {east:?} AND {north:?} >= lat AND lat >= {south:?} AND layer = 'water'"),
        ] {
            let sql = format!("SELECT value FROM sensors WHERE {filter} ORDER BY value");
            let found: Vec<f64> =
                block_on(rows(&snapshot, &sql)).iter().map(|row| row[0].as_f64().unwrap()).collect();
            prop_assert_eq!(&found, &expected, "{}", sql);
        }
    }

    #[test]
    fn filters_of_events_keep_what_a_plain_look_keeps(
        events in events(DAY), from in 0..DAY, length in 0..DAY / 2, west in -0.005..0.02_f64, of in any::<prop::sample::Index>(),
        limit in 0usize..70,
    ) {
        let snapshot = grid(&events);
        let (from, to) = (START + from, START + from + length);
        let west = 113.93 + west;
        let cell = of.get(&events).cell();
        let text = h3o::CellIndex::try_from(cell).unwrap().to_string();
        let time = |micros| EventTime::from_micros(micros).to_string();
        let at = |event: &Made| START + event.micros;
        let count = |keep: &dyn Fn(&Made) -> bool| events.iter().filter(|event| keep(event)).count();
        let cases: Vec<(String, usize)> = vec![
            (format!("time > TIMESTAMP '{}'", time(from)), count(&|e| at(e) > from)),
            (
                format!("time BETWEEN TIMESTAMP '{}' AND TIMESTAMP '{}' AND lon > {west:?}", time(from), time(to)),
                count(&|e| from <= at(e) && at(e) <= to && e.lon > west),
            ),
            (format!("time = TIMESTAMP '{}' OR layer = 'water'", time(from)), count(&|e| at(e) == from || e.layer == "water")),
            (format!("cell = '{text}' AND layer <> 'water'"), count(&|e| e.cell() == cell && e.layer != "water")),
            (format!("lon < {west:?} AND time < TIMESTAMP '{}'", time(to)), count(&|e| e.lon < west && at(e) < to)),
            ("lon > 10 AND lon < 5".to_owned(), 0),
            ("layer LIKE 'no%' AND type = 'riskgrid.report.v1'".to_owned(), count(&|e| e.layer == "noise")),
        ];
        for (filter, expected) in cases {
            let sql = format!("SELECT count(*) FROM events WHERE {filter}");
            prop_assert_eq!(block_on(rows(&snapshot, &sql)), [[json!(expected)]], "{}", sql);
            let sql = format!("SELECT id FROM events WHERE {filter} LIMIT {limit}");
            prop_assert_eq!(block_on(rows(&snapshot, &sql)).len(), expected.min(limit), "{}", sql);
        }
    }

    #[test]
    fn rows_come_in_the_order_that_the_scan_declares(events in events(DAY), layer in 0usize..3) {
        let snapshot = grid(&events);
        let layer = LAYERS[layer];
        for (filter, order) in [
            ("TRUE".to_owned(), "layer, bucket, cell"),
            (format!("layer = '{layer}'"), "bucket, cell"),
            (format!("layer = '{layer}' AND bucket = TIMESTAMP '{}'", EventTime::from_micros(START)), "cell"),
        ] {
            let sql = format!("SELECT layer, bucket, cell, count FROM cells WHERE {filter}");
            let mut expected = block_on(rows(&snapshot, &sql));
            expected.sort_by_key(|row| row[..3].iter().map(ToString::to_string).collect::<Vec<_>>());
            let sql = format!("{sql} ORDER BY {order}");
            prop_assert_eq!(block_on(rows(&snapshot, &sql)), expected, "{}", sql);
            let plan = block_on(rows(&snapshot, &format!("EXPLAIN {sql}"))).concat();
            let plan: String = plan.iter().map(|text| text.as_str().unwrap()).collect();
            prop_assert!(!plan.contains("SortExec") && !plan.contains("FilterExec"), "{}\n{}", sql, plan);
        }
    }
}

/// What EXPLAIN shows of a query.
fn plan(events: &[Made], sql: &str) -> String {
    let shown = block_on(rows(&grid(events), &format!("EXPLAIN FORMAT INDENT {sql}")));
    let lines = shown.iter().map(|row| row[1].as_str().unwrap().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn explain_shows_what_is_left_out() {
    let cell = 0x0891_41ca_1b67_ffff;
    let events: Vec<Made> = (0..60)
        .flat_map(|minute| {
            [
                Made::at_cell("noise", minute * MINUTE, cell),
                Made::at_cell("water", minute * MINUTE, cell),
            ]
        })
        .collect();
    let shown = plan(
        &events,
        "SELECT cell, count FROM cells WHERE layer = 'noise' AND bucket >= TIMESTAMP '2026-11-22T08:50:00Z'",
    );
    assert!(
        shown.contains("SnapshotScan: cells, layers=1 of 3, slices=10, rows=10 of 10"),
        "{shown}"
    );
    assert!(!shown.contains("FilterExec"), "{shown}");
    let shown = plan(
        &events,
        "SELECT h3_parent(cell, 7), sum(count) FROM cells WHERE layer = 'noise' AND bucket < TIMESTAMP '2026-11-22T08:30:00Z' GROUP BY 1",
    );
    assert!(
        shown.contains("window=2026-11-22T08:00:00Z/2026-11-22T08:30:00Z, summed by cell of resolution 7"),
        "{shown}"
    );
    let shown = plan(
        &events,
        "SELECT date_trunc('hour', bucket), sum(count) FROM cells WHERE layer = 'noise' GROUP BY 1",
    );
    // The minutes of the open hour: those of a closed one are one slice.
    assert!(
        shown.contains("slices=60, rows=60 of 60, window=2026-11-22T08:00:00Z/2026-11-22T09:00:00Z, summed by cell of resolution 0 and hour"),
        "{shown}"
    );
    let shown = plan(
        &events,
        "SELECT id FROM events WHERE time > TIMESTAMP '2027-01-01T00:00:00Z'",
    );
    assert!(
        shown.contains("events, rows=0 of ") && !shown.contains("FilterExec"),
        "{shown}"
    );
    let shown = plan(
        &events,
        "SELECT cell, count FROM cells WHERE layer = 'noise' AND bucket >= now() + INTERVAL '50 minutes'",
    );
    assert!(
        shown.contains("rows=10 of 10") && !shown.contains("FilterExec"),
        "{shown}"
    );
    // How many rows there are is known without a look at them.
    let shown = plan(
        &events,
        "SELECT count(*) FROM cells WHERE layer = 'noise' AND bucket >= TIMESTAMP '2026-11-22T08:50:00Z'",
    );
    assert!(
        shown.contains("10 as count(*)") && !shown.contains("SnapshotScan"),
        "{shown}"
    );
}
