//! Kafka, and how far the log is read.

use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::source::Progress;

use super::reading::{Reading, Samples, count, counter, gauge, one, size};

pub(super) const READINGS: &[Reading] = &[
    gauge(
        "riskgrid_kafka_lag",
        "records that a partition is behind its end",
        PARTITION,
        |seen| {
            let lag = seen.app.kafka.as_ref().map(|kafka| kafka.lag());
            by_partition(lag.into_iter().flatten().map(|(id, behind)| (id, behind as f64)))
        },
    ),
    counter(
        "riskgrid_kafka_stalls_total",
        "how often a partition had records to be read and none came for kafka.stalled_after",
        PARTITION,
        |seen| {
            let stalls = seen.app.kafka.as_ref().map(|kafka| kafka.stalls());
            by_partition(stalls.into_iter().flatten().map(|(id, times)| (id, times as f64)))
        },
    ),
    counter(
        "riskgrid_kafka_consumers_made_anew_total",
        "how often the Kafka consumer was made anew because it stood still; the log says why",
        &[],
        |seen| count(seen.app.kafka.as_ref().map_or(0, |kafka| kafka.made_anew())),
    ),
    gauge(
        "riskgrid_kafka_connected",
        "1 while a broker answers",
        &[],
        |seen| {
            let kafka = seen.app.kafka.as_ref();
            kafka.map_or_else(Vec::new, |kafka| one(f64::from(u8::from(kafka.is_connected()))))
        },
    ),
    gauge(
        "riskgrid_partitions",
        "partitions of the log that this node shows",
        &[],
        |seen| size(seen.app.partitions().0),
    ),
    gauge(
        "riskgrid_partitions_known",
        "partitions that the log has",
        &[],
        |seen| size(seen.app.partitions().1),
    ),
    gauge(
        "riskgrid_loaded_percent",
        "how much is read of what the log held when its partitions were taken up",
        &[],
        |seen| one(seen.app.progress(&seen.snapshot).map_or(0.0, Progress::percent)),
    ),
    gauge("riskgrid_caught_up", "1 once all of that is read", &[], |seen| {
        let progress = seen.app.progress(&seen.snapshot);
        one(f64::from(u8::from(progress.is_some_and(Progress::is_caught_up))))
    }),
];

/// The labels of a partition.
pub(super) const PARTITION: &[&str] = &["topic", "partition"];

/// Values by partition.
pub(super) fn by_partition(values: impl IntoIterator<Item = (PartitionId, f64)>) -> Samples {
    values
        .into_iter()
        .map(|(id, value)| (vec![id.topic.to_string(), id.partition.to_string()], value))
        .collect()
}
