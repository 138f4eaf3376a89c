//! Cases: all from the first scrape on.

use std::sync::atomic::Ordering;

use super::reading::{Reading, by, count, counter, gauge};

pub(super) const READINGS: &[Reading] = &[
    counter(
        "riskgrid_case_moves_total",
        "rows of moves of cases, the first of each too",
        &[],
        |seen| count(seen.app.desk.counts.moves.load(Ordering::Relaxed)),
    ),
    counter(
        "riskgrid_case_cards_total",
        "cards of clocks that turned",
        &["card"],
        |seen| {
            let counts = &seen.app.desk.counts;
            by([
                ("yellow", counts.yellow.load(Ordering::Relaxed)),
                ("red", counts.red.load(Ordering::Relaxed)),
            ])
        },
    ),
    gauge(
        "riskgrid_case_events_waiting",
        "events of cases that the log had not yet at the last look",
        &[],
        |seen| count(seen.app.desk.counts.events_waiting.load(Ordering::Relaxed)),
    ),
];
