//! Troubled load for a topic, and what it must come to.

use std::hash::{DefaultHasher, Hash, Hasher};

use riskgrid_fixtures::load::{Options, Truth, generate};

use crate::topic::PARTITIONS;

/// So many lines that end about now, each with its partition: equal lines stay in one.
pub(crate) fn troubled(lines: u64, lines_per_second: f64) -> (Vec<(i32, String)>, Truth) {
    let mut lines = generate(&Options {
        lines,
        sensors: 300,
        start_micros: chrono::Utc::now().timestamp_micros() - 600_000_000,
        lines_per_second,
        ..Options::troubled()
    });
    let records = lines.by_ref().map(|line| {
        let mut hasher = DefaultHasher::new();
        line.json.hash(&mut hasher);
        let partition = hasher.finish() % u64::from(PARTITIONS.unsigned_abs());
        (partition as i32, line.json)
    });
    (records.collect(), lines.into_truth())
}
