//! What the benches share: generated events, the grid that they make, the real server as a process, a real Kafka, and how
//! a time is taken.
//!
//! Each bench checks its totals before it believes a time, and prints the median of its runs with the least and the greatest.

pub mod broker;
#[path = "../../fixtures/grid_rig.rs"]
mod grid_rig;
pub mod in_process;
pub mod server;
mod times;

use std::error::Error;
use std::sync::Arc;

use h3o::Resolution;
use riskgrid_fixtures::load;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::{Edge, PlaceCache};
use riskgrid_ingest::grid::{
    EventLogLimits, GridPublisher, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
};
use riskgrid_ingest::{DAY, EventTime, LIVE_DOMAIN, LayerTable};

use self::grid_rig::{EDGE, SETTINGS, live_rules};

pub use times::{measure, print_latencies, print_rates, print_times, times_of};

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a bench does, or why it could not.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Generated events, one structured CloudEvent a line.
pub fn lines(count: u64, sensors: usize) -> Vec<String> {
    lines_of(&load::Options {
        lines: count,
        sensors,
        ..load::Options::default()
    })
}

/// The events that the options ask for.
pub fn lines_of(options: &load::Options) -> Vec<String> {
    load::generate(options).map(|line| line.json).collect()
}

/// So many events, spread evenly over 24 hours.
pub fn over_a_day(count: u64, sensors: usize) -> load::Options {
    load::Options {
        lines: count,
        sensors,
        lines_per_second: count as f64 / 86_400.0,
        ..load::Options::default()
    }
}

/// How many events a bench takes: `RISKGRID_BENCH_EVENTS`, else `default`.
pub fn events_wanted(default: u64) -> Outcome<u64> {
    match std::env::var("RISKGRID_BENCH_EVENTS") {
        Ok(text) => Ok(text
            .trim()
            .parse()
            .map_err(|error| format!("RISKGRID_BENCH_EVENTS is `{text}`: {error}"))?),
        Err(_) => Ok(default),
    }
}

/// The settings that a server has by default; `keep_events` keeps raw events too.
pub fn settings(keep_events: bool) -> GridSettings {
    let bytes = if keep_events { 1 << 30 } else { 0 };
    GridSettings {
        events: EventLogLimits { age: DAY, bytes },
        ..SETTINGS
    }
}

/// Decodes, judges and applies all lines, as one partition, and publishes. Returns the snapshot and how many counted.
pub fn grid_of(lines: &[String], keep_events: bool) -> (Arc<GridSnapshot>, u64) {
    grid_with(lines.iter(), settings(keep_events))
}

/// [`grid_of`] with settings of its own; a line is gone once it is applied.
pub fn grid_with(
    lines: impl Iterator<Item = impl AsRef<[u8]>>,
    settings: GridSettings,
) -> (Arc<GridSnapshot>, u64) {
    let edge = Edge {
        future_skew: i64::MAX / 4,
        ..EDGE
    };
    let rules = live_rules();
    let id = PartitionId {
        topic: "bench".into(),
        partition: 0,
    };
    let mut layers = Arc::new(LayerTable::new(&[], 1024).unwrap_or_default());
    let mut partition = Partition::new(id, LIVE_DOMAIN.into(), settings, 0);
    let mut places = PlaceCache::new(Resolution::Nine);
    let received = EventTime::from_micros(i64::MAX / 4);
    for line in lines {
        let Ok(candidate) = decode_structured(line.as_ref()) else {
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
    let snapshot = publisher.publish(vec![heard], layers, std::time::Instant::now());
    let counted = snapshot.counts().accepted;
    (snapshot, counted)
}
