//! What the benches share: a day of generated events, the grid that they make, and how a time is taken.
//!
//! Each bench checks its totals before it believes a time, and prints the median of its runs with the least and the greatest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use h3o::Resolution;
use riskgrid_fixtures::load;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::{Edge, FeedRules, PlaceCache};
use riskgrid_ingest::grid::{
    Calendar, EventLogLimits, GridPublisher, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
    Retention,
};
use riskgrid_ingest::{DAY, EventTime, LIVE_DOMAIN, LayerTable, MINUTE, SourceKey};

/// Runs of one measurement.
const RUNS: usize = 7;

/// Generated events, one structured CloudEvent a line.
pub fn lines(count: u64, sensors: usize) -> Vec<String> {
    let options = load::Options {
        lines: count,
        sensors,
        ..load::Options::default()
    };
    load::generate(&options).map(|line| line.json).collect()
}

/// The settings that a server has by default; `keep_events` keeps raw events too.
pub fn settings(keep_events: bool) -> GridSettings {
    GridSettings {
        calendar: Calendar::new(MINUTE, chrono_tz::Tz::UTC),
        allowed_lateness: 2 * MINUTE,
        retention: Retention {
            buckets: 2 * DAY,
            hours: 90 * DAY,
            days: 1095 * DAY,
        },
        dedup_horizon: DAY,
        dedup_bytes: 1 << 30,
        events: EventLogLimits {
            age: DAY,
            bytes: if keep_events { 1 << 30 } else { 0 },
        },
    }
}

/// Decodes, judges and applies all lines, as one partition, and publishes. Returns the snapshot and how many counted.
pub fn grid_of(lines: &[String], keep_events: bool) -> (Arc<GridSnapshot>, u64) {
    let edge = Edge {
        resolution: Resolution::Nine,
        future_skew: i64::MAX / 4,
        bounds: None,
        source_key: SourceKey([7; 16]),
    };
    let rules = FeedRules {
        domain: LIVE_DOMAIN.to_owned(),
        ..FeedRules::default()
    };
    let id = PartitionId {
        topic: "bench".into(),
        partition: 0,
    };
    let settings = settings(keep_events);
    let mut layers = Arc::new(LayerTable::new(&[], 1024).unwrap_or_default());
    let mut partition = Partition::new(id, LIVE_DOMAIN.into(), settings, 0);
    let mut places = PlaceCache::new(Resolution::Nine);
    let received = EventTime::from_micros(i64::MAX / 4);
    for line in lines {
        let Ok(candidate) = decode_structured(line.as_bytes()) else {
            continue;
        };
        let judged = edge.judge(
            candidate,
            received,
            &rules,
            partition.clock(),
            &layers,
            &mut places,
        );
        let Ok(mut judged) = judged else { continue };
        if let Some(layer) = judged.new_layer.take() {
            let mut table = (*layers).clone();
            judged.event.layer = table.insert(layer);
            layers = Arc::new(table);
        }
        partition.apply(&judged.event, &layers);
    }
    let heard = Heard {
        view: partition.view(&settings.calendar),
        heard: None,
    };
    let mut publisher = GridPublisher::new(
        settings.calendar,
        Resolution::Nine,
        Arc::clone(&layers),
        30_000_000,
    );
    let snapshot = publisher.publish(vec![heard], layers, received);
    let counted = snapshot.counts().accepted;
    (snapshot, counted)
}

/// Times `work` and prints one line: the name, the median, the least and the greatest, and what `show` makes of the median.
pub fn measure<T>(name: &str, mut work: impl FnMut() -> T, show: impl Fn(Duration) -> String) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(work());
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let (least, median, greatest) = (times[0], times[RUNS / 2], times[RUNS - 1]);
    println!(
        "{name:<44} median {median:>12.3?}  least {least:>12.3?}  greatest {greatest:>12.3?}  {}",
        show(median)
    );
    median
}
