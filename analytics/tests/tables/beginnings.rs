//! A layer begins inside a bucket: the bucket is found by its start, which lies before the layer's first event.

use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime, HOUR, MINUTE, SECOND};
use serde_json::{Value, json};

use crate::made::{Made, START, block_on, grid, rows};

const CELL: u64 = 0x0891_41ca_1b67_ffff;

fn time(micros: i64) -> String {
    format!("TIMESTAMP '{}'", EventTime::from_micros(START + micros))
}

/// Conditions that keep the bucket which starts at `start`, and ones that do not.
fn conditions(start: i64, length: i64) -> (Vec<String>, Vec<String>) {
    let (at, next) = (time(start), time(start + length));
    let (before, after) = (time(start - 1), time(start + SECOND));
    let keep = vec![
        "TRUE".to_owned(),
        format!("bucket = {at}"),
        format!("bucket <= {at}"),
        format!("bucket < {after}"),
        format!("bucket BETWEEN {at} AND {at}"),
        format!("bucket BETWEEN {before} AND {after}"),
        format!("bucket >= {at} AND bucket < {next}"),
        format!("{at} >= bucket"),
        format!("bucket IN ({at}, {before})"),
        format!("bucket IS NOT DISTINCT FROM {at}"),
        "bucket IS DISTINCT FROM NULL".to_owned(),
        format!("NOT (bucket > {at})"),
    ];
    let leave = vec![
        format!("bucket < {at}"),
        format!("bucket <= {before}"),
        format!("bucket > {at}"),
        format!("bucket = {after}"),
        format!("bucket IS DISTINCT FROM {at}"),
        "bucket = NULL".to_owned(),
        "bucket BETWEEN NULL AND NULL".to_owned(),
    ];
    (keep, leave)
}

/// Each condition in each form: of buckets, of sums by cell, by hour, by day, of all.
fn counted(events: &[Made], condition: &str) -> Vec<Value> {
    let snapshot = grid(events);
    let forms = [
        "SELECT coalesce(sum(n), 0) FROM (SELECT count AS n, bucket FROM cells WHERE {} LIMIT 1000)",
        "SELECT coalesce(sum(count), 0) FROM cells WHERE {}",
        "SELECT coalesce(sum(n), 0) FROM (SELECT cell, sum(count) AS n FROM cells WHERE {} GROUP BY cell)",
        "SELECT coalesce(sum(n), 0) FROM (SELECT date_trunc('hour', bucket), sum(count) AS n FROM cells WHERE {} GROUP BY 1)",
        "SELECT coalesce(sum(n), 0) FROM (SELECT CAST(bucket AS DATE), sum(count) AS n FROM cells WHERE {} GROUP BY 1)",
        "WITH c AS (SELECT * FROM cells WHERE {}) SELECT coalesce(sum(count), 0) FROM c",
    ];
    let ask = |form: &str| block_on(rows(&snapshot, &form.replace("{}", condition)))[0][0].clone();
    forms.into_iter().map(ask).collect()
}

#[test]
fn the_minute_in_which_a_layer_begins_is_found_by_its_start() {
    let begins = 53 * MINUTE + 27 * SECOND;
    let events = [Made::at_cell("noise", begins, CELL)];
    let (keep, leave) = conditions(53 * MINUTE, MINUTE);
    for condition in keep {
        assert_eq!(counted(&events, &condition), vec![json!(1); 6], "{condition}");
    }
    for condition in leave {
        assert_eq!(counted(&events, &condition), vec![json!(0); 6], "{condition}");
    }
    let snapshot = grid(&events);
    let at = |micros: i64| EventTime::from_micros(START + micros).to_string();
    let of_events = format!(
        "SELECT count(*) FROM events WHERE time >= TIMESTAMP '{}' AND time < TIMESTAMP '{}'",
        at(53 * MINUTE),
        at(54 * MINUTE)
    );
    assert_eq!(block_on(rows(&snapshot, &of_events)), [[json!(1)]]);
    let of_a_minute = format!(
        "SELECT sum(value) FROM hotspots(layer => 'noise', window => INTERVAL '1 minute', at => TIMESTAMP '{}')",
        at(54 * MINUTE)
    );
    assert_eq!(block_on(rows(&snapshot, &of_a_minute)), [[json!(1.0)]]);
}

#[test]
fn the_hour_and_the_day_in_which_a_layer_begins_are_found_by_their_starts() {
    // Minutes are kept for two days here, hours for ninety.
    for (behind, step) in [(4 * DAY, HOUR), (100 * DAY, DAY)] {
        let begins = -8 * HOUR + 13 * HOUR + 7 * MINUTE;
        let start = EventTime::from_micros(START + begins).floor(step).micros() - START;
        let events = [
            Made::at_cell("noise", begins, CELL),
            Made::at_cell("flooding", begins + behind, CELL),
        ];
        let (keep, leave) = conditions(start, step);
        for condition in keep {
            let condition = format!("layer = 'noise' AND {condition}");
            assert_eq!(counted(&events, &condition), vec![json!(1); 6], "{condition}");
        }
        for condition in leave {
            let condition = format!("layer = 'noise' AND {condition}");
            assert_eq!(counted(&events, &condition), vec![json!(0); 6], "{condition}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn each_bucket_is_found_by_its_start(
        micros in prop::collection::vec(0..4 * DAY, 1..12),
    ) {
        let events: Vec<Made> = micros.iter().map(|at| Made::at_cell("noise", *at, CELL)).collect();
        let snapshot = grid(&events);
        let all = block_on(rows(&snapshot, "SELECT bucket, count FROM (SELECT * FROM cells LIMIT 1000) ORDER BY bucket"));
        for (number, row) in all.iter().enumerate() {
            let at = row[0].as_str().unwrap();
            for (condition, buckets) in [
                (format!("bucket = TIMESTAMP '{at}'"), 1),
                (format!("bucket <= TIMESTAMP '{at}'"), number + 1),
                (format!("bucket < TIMESTAMP '{at}'"), number),
                (format!("bucket >= TIMESTAMP '{at}'"), all.len() - number),
            ] {
                let sql = format!("SELECT count(*) FROM cells WHERE {condition}");
                prop_assert_eq!(block_on(rows(&snapshot, &sql)), [[json!(buckets)]], "{}", sql);
            }
        }
    }
}
