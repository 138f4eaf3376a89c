//! The grid and the tables beside it: what they hold, and what their limits took.

use riskgrid_ingest::LIVE_DOMAIN;
use riskgrid_ingest::grid::{PartitionView, Step};

use super::Seen;
use super::kafka::{PARTITION, by_partition};
use super::reading::{Reading, by, count, counter, gauge, one, size};

pub(super) const READINGS: &[Reading] = &[
    gauge(
        "riskgrid_dedup_bytes",
        "bytes of event hashes kept to tell duplicates",
        PARTITION,
        |seen| {
            let partitions = seen.snapshot.partitions.iter();
            by_partition(partitions.map(|partition| (partition.id.clone(), partition.dedup_bytes as f64)))
        },
    ),
    gauge(
        "riskgrid_grid_bytes",
        "bytes of the aggregates, sealed and open; grid.memory bounds them",
        &[],
        |seen| size(bytes(seen, |partition| partition.slice_bytes)),
    ),
    gauge(
        "riskgrid_raw_events_bytes",
        "bytes of raw events; grid.events_bytes bounds those of each partition",
        &[],
        |seen| size(bytes(seen, |partition| partition.event_bytes)),
    ),
    counter(
        "riskgrid_grid_given_up_slices_total",
        "slices that were dropped before their retention ended, because the grid was over grid.memory",
        &["step"],
        |seen| {
            by(Step::ALL.map(|step| {
                let slices = seen.snapshot.partitions.iter();
                let sum = slices
                    .map(|partition| partition.given_up.slices[step.index()])
                    .sum();
                (step.name(), sum)
            }))
        },
    ),
    counter(
        "riskgrid_reports_dropped_total",
        "reports that were dropped because a partition had more than grid.max_reports",
        &[],
        |seen| count(sum(seen, |partition| partition.given_up.reports)),
    ),
    counter(
        "riskgrid_sensors_dropped_total",
        "sensors that were dropped because a partition had more than grid.max_sensors",
        &[],
        |seen| count(sum(seen, |partition| partition.forgotten.sensors)),
    ),
    counter(
        "riskgrid_units_dropped_total",
        "response units that were dropped because a partition had more than grid.max_units",
        &[],
        |seen| count(sum(seen, |partition| partition.forgotten.units)),
    ),
    gauge(
        "riskgrid_entities",
        "rows of the tables of entities, of all partitions",
        &["table"],
        |seen| {
            by([
                ("sensors", sum(seen, |partition| partition.sensors.len() as u64)),
                ("reports", sum(seen, |partition| partition.reports.len() as u64)),
                ("units", sum(seen, |partition| partition.units.len() as u64)),
            ])
        },
    ),
    gauge("riskgrid_layers", "layers known", &[], |seen| {
        size(seen.snapshot.layers.len())
    }),
    gauge(
        "riskgrid_watermark_age_seconds",
        "age of the live domain's complete_to; NaN before its first event",
        &[],
        |seen| one(watermark_age(seen).unwrap_or(f64::NAN)),
    ),
    gauge(
        "riskgrid_snapshot_age_seconds",
        "age of what readers see: since the newest snapshot was made, or since the oldest change that it does not show came",
        &[],
        |seen| one(seen.app.pipeline.snapshot_age().as_secs_f64()),
    ),
    counter(
        "riskgrid_stream_missed_total",
        "changes that pages were too slow to be told one by one; they were told to look at everything",
        &[],
        |seen| count(seen.app.changes.missed()),
    ),
];

fn sum(seen: &Seen<'_>, of: fn(&PartitionView) -> u64) -> u64 {
    seen.snapshot.partitions.iter().map(of).sum()
}

fn bytes(seen: &Seen<'_>, of: fn(&PartitionView) -> usize) -> usize {
    seen.snapshot.partitions.iter().map(of).sum()
}

fn watermark_age(seen: &Seen<'_>) -> Option<f64> {
    let complete_to = seen.snapshot.domain(LIVE_DOMAIN)?.complete_to?;
    Some(seen.now.since(complete_to) as f64 / 1e6)
}
