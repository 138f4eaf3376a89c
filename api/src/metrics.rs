//! `/metrics`: what the state of the process says when it is asked, in Prometheus' text format.

use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector};
use prometheus::{Gauge, IntCounterVec};
use riskgrid_ingest::grid::{GridSnapshot, PartitionView, Step};
use riskgrid_ingest::source::Progress;
use riskgrid_ingest::{EventTime, RefusalReason, Writer};

use crate::alerts::store::Held;
use crate::app::App;

mod alerting;
mod risk;

/// The page as text.
///
/// # Errors
/// When a name or label is not valid, which is a defect.
pub fn render(app: &App, held: &Held, now: EventTime) -> prometheus::Result<String> {
    let registry = Registry::new();
    let snapshot = app.reader.snapshot();
    let counts = snapshot.counts();
    let events = counter(
        &registry,
        "riskgrid_events_total",
        "events read, by what became of them",
        &["result"],
    )?;
    events.with_label_values(&["accepted"]).inc_by(counts.accepted);
    events.with_label_values(&["duplicate"]).inc_by(counts.duplicate);
    events
        .with_label_values(&["refused"])
        .inc_by(counts.refused_total());
    let refused = counter(
        &registry,
        "riskgrid_refused_total",
        "events refused, by reason",
        &["reason"],
    )?;
    for reason in RefusalReason::ALL {
        refused
            .with_label_values(&[reason.as_str()])
            .inc_by(counts.refused_for(reason));
    }
    let poisoned = counter(
        &registry,
        "riskgrid_poisoned_total",
        "events that are not counted because applying them failed twice by a defect; each is a dead letter `poison`",
        &[],
    )?;
    poisoned
        .with_label_values::<&str>(&[])
        .inc_by(counts.refused_for(RefusalReason::Poison));
    gauge(
        &registry,
        "riskgrid_partitions_mending",
        "partitions that are read again from their checkpoint, because a defect may have left their state half changed",
        app.pipeline.mending().len() as f64,
    )?;
    let http = counter(
        &registry,
        "riskgrid_http_events_total",
        "events of the HTTP intake",
        &["result"],
    )?;
    http.with_label_values(&["accepted"])
        .inc_by(app.intake.accepted());
    http.with_label_values(&["refused"]).inc_by(app.intake.refused());
    let lag = IntGaugeVec::new(
        Opts::new("riskgrid_kafka_lag", "records that a partition is behind its end"),
        &["topic", "partition"],
    )?;
    registry.register(Box::new(lag.clone()))?;
    for (id, behind) in app.kafka.as_ref().map(|kafka| kafka.lag()).unwrap_or_default() {
        lag.with_label_values(&[&*id.topic, &id.partition.to_string()])
            .set(behind);
    }
    let stalls = counter(
        &registry,
        "riskgrid_kafka_stalls_total",
        "how often a partition had records to be read and none came for kafka.stalled_after",
        &["topic", "partition"],
    )?;
    for (id, times) in app.kafka.as_ref().map(|kafka| kafka.stalls()).unwrap_or_default() {
        stalls
            .with_label_values(&[&*id.topic, &id.partition.to_string()])
            .inc_by(times);
    }
    let made_anew = counter(
        &registry,
        "riskgrid_kafka_consumers_made_anew_total",
        "how often the Kafka consumer was made anew because it stood still; the log says why",
        &[],
    )?;
    let times = app.kafka.as_ref().map_or(0, |kafka| kafka.made_anew());
    made_anew.with_label_values::<&str>(&[]).inc_by(times);
    if let Some(kafka) = &app.kafka {
        gauge(
            &registry,
            "riskgrid_kafka_connected",
            "1 while a broker answers",
            f64::from(u8::from(kafka.is_connected())),
        )?;
    }
    let dedup = IntGaugeVec::new(
        Opts::new(
            "riskgrid_dedup_bytes",
            "bytes of event hashes kept to tell duplicates",
        ),
        &["topic", "partition"],
    )?;
    registry.register(Box::new(dedup.clone()))?;
    for partition in &snapshot.partitions {
        dedup
            .with_label_values(&[&*partition.id.topic, &partition.id.partition.to_string()])
            .set(i64::try_from(partition.dedup_bytes).unwrap_or(i64::MAX));
    }
    gauge(
        &registry,
        "riskgrid_grid_bytes",
        "bytes of the aggregates, sealed and open; grid.memory bounds them",
        snapshot
            .partitions
            .iter()
            .map(|partition| partition.slice_bytes)
            .sum::<usize>() as f64,
    )?;
    let given_up = counter(
        &registry,
        "riskgrid_grid_given_up_slices_total",
        "slices that were dropped before their retention ended, because the grid was over grid.memory",
        &["step"],
    )?;
    for step in Step::ALL {
        let slices = snapshot.partitions.iter();
        let sum = slices
            .map(|partition| partition.given_up.slices[step.index()])
            .sum();
        given_up.with_label_values(&[step.name()]).inc_by(sum);
    }
    let dropped = counter(
        &registry,
        "riskgrid_reports_dropped_total",
        "reports that were dropped because a partition had more than grid.max_reports",
        &[],
    )?;
    let reports = snapshot.partitions.iter();
    dropped
        .with_label_values::<&str>(&[])
        .inc_by(reports.map(|partition| partition.given_up.reports).sum());
    tables(&registry, &snapshot)?;
    let letters = counter(
        &registry,
        "riskgrid_dead_letters_dropped_total",
        "dead letters that were dropped for their age (30 days), their number (1 000 000) or their bytes (4 GiB)",
        &[],
    )?;
    letters
        .with_label_values::<&str>(&[])
        .inc_by(app.dead_letters.dropped());
    let (have, total) = app.partitions();
    gauge(
        &registry,
        "riskgrid_partitions",
        "partitions of the log that this node shows",
        have as f64,
    )?;
    gauge(
        &registry,
        "riskgrid_partitions_known",
        "partitions that the log has",
        total as f64,
    )?;
    let progress = app.progress(&snapshot);
    gauge(
        &registry,
        "riskgrid_loaded_percent",
        "how much is read of what the log held when its partitions were taken up",
        progress.map_or(0.0, Progress::percent),
    )?;
    gauge(
        &registry,
        "riskgrid_caught_up",
        "1 once all of that is read",
        f64::from(u8::from(progress.is_some_and(Progress::is_caught_up))),
    )?;
    let queues = IntGaugeVec::new(
        Opts::new(
            "riskgrid_ingest_waiting_batches",
            "batches that a worker has not applied yet; at five its sources wait",
        ),
        &["worker"],
    )?;
    registry.register(Box::new(queues.clone()))?;
    for (worker, waiting) in app.pipeline.waiting().into_iter().enumerate() {
        queues
            .with_label_values(&[&worker.to_string()])
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
    gauge(
        &registry,
        "riskgrid_ingest_waiting_bytes",
        "bytes of these batches; at 32 MiB of a worker its sources wait",
        app.pipeline.waiting_bytes().into_iter().sum::<usize>() as f64,
    )?;
    gauge(
        &registry,
        "riskgrid_watermark_age_seconds",
        "age of the live domain's complete_to; NaN before its first event",
        watermark_age(&snapshot, now).unwrap_or(f64::NAN),
    )?;
    gauge(
        &registry,
        "riskgrid_checkpoint_age_seconds",
        "age of the newest checkpoint; NaN before this run has written one",
        app.checkpoint_age().unwrap_or(f64::NAN),
    )?;
    gauge(
        &registry,
        "riskgrid_snapshot_age_seconds",
        "age of what readers see: since the newest snapshot was made, or since the oldest change that it does not show came",
        app.pipeline.snapshot_age().as_secs_f64(),
    )?;
    let without_room = counter(
        &registry,
        "riskgrid_writes_without_room_total",
        "writes that were not begun because the disk had less left than storage.min_free keeps from this writer",
        &["writer"],
    )?;
    for writer in Writer::ALL {
        without_room
            .with_label_values(&[writer.name()])
            .inc_by(app.dead_letters.room().refused(writer));
    }
    let failed = counter(
        &registry,
        "riskgrid_checkpoint_failures_total",
        "checkpoints that could not be written and were tried again; the log says why",
        &[],
    )?;
    failed
        .with_label_values::<&str>(&[])
        .inc_by(app.pipeline.failed_checkpoints());
    gauge(
        &registry,
        "riskgrid_layers",
        "layers known",
        snapshot.layers.len() as f64,
    )?;
    gauge(
        &registry,
        "riskgrid_sql_queries",
        "queries that run",
        app.sql.running().len() as f64,
    )?;
    gauge(
        &registry,
        "riskgrid_sql_queries_waiting",
        "queries that wait for their turn",
        app.sql.queue().1 as f64,
    )?;
    let failed = counter(
        &registry,
        "riskgrid_sql_internal_errors_total",
        "statements that failed by a fault of riskgrid's; the log says why under their query_id",
        &[],
    )?;
    failed
        .with_label_values::<&str>(&[])
        .inc_by(app.sql.internal_errors());
    gauge(
        &registry,
        "riskgrid_sql_memory_bytes",
        "memory that queries hold",
        app.sql.memory_bytes() as f64,
    )?;
    let ended = counter(
        &registry,
        "riskgrid_sql_ended_for_memory_total",
        "queries that were ended because the process grew by more than sql.memory and sql.memory_margin",
        &[],
    )?;
    ended
        .with_label_values::<&str>(&[])
        .inc_by(app.sql.ended_for_memory());
    gauge(
        &registry,
        "riskgrid_journal_room_bytes",
        "room of the journal above its reserve",
        app.intake.room() as f64,
    )?;
    risk::register_all(&registry, &app.surfaces)?;
    alerting::register_all(&registry, &app.alerting, held, now)?;
    let missed = counter(
        &registry,
        "riskgrid_stream_missed_total",
        "changes that pages were too slow to be told one by one; they were told to look at everything",
        &[],
    )?;
    missed.with_label_values::<&str>(&[]).inc_by(app.changes.missed());
    let lists = counter(
        &registry,
        "riskgrid_dead_letter_lists_refused_total",
        "lists of dead letters that were not made because as many were being made as may be at once",
        &[],
    )?;
    lists
        .with_label_values::<&str>(&[])
        .inc_by(app.dead_letter_lists.refused());
    app.http_counters.register(&registry, app.body_budget.used())?;
    app.access.register(&registry)?;

    let mut page = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The rows that a table has of a partition.
type Rows = fn(&PartitionView) -> usize;

/// What the tables of entities and of raw events hold, and what their limits took.
fn tables(registry: &Registry, snapshot: &GridSnapshot) -> prometheus::Result<()> {
    let dropped = |name, help, of: fn(&PartitionView) -> u64| -> prometheus::Result<()> {
        let counter = counter(registry, name, help, &[])?;
        let partitions = snapshot.partitions.iter();
        counter
            .with_label_values::<&str>(&[])
            .inc_by(partitions.map(of).sum());
        Ok(())
    };
    dropped(
        "riskgrid_sensors_dropped_total",
        "sensors that were dropped because a partition had more than grid.max_sensors",
        |partition| partition.forgotten.sensors,
    )?;
    dropped(
        "riskgrid_units_dropped_total",
        "response units that were dropped because a partition had more than grid.max_units",
        |partition| partition.forgotten.units,
    )?;
    let rows = IntGaugeVec::new(
        Opts::new(
            "riskgrid_entities",
            "rows of the tables of entities, of all partitions",
        ),
        &["table"],
    )?;
    registry.register(Box::new(rows.clone()))?;
    let all: [(&str, Rows); 3] = [
        ("sensors", |partition| partition.sensors.len()),
        ("reports", |partition| partition.reports.len()),
        ("units", |partition| partition.units.len()),
    ];
    for (table, of) in all {
        let sum: usize = snapshot.partitions.iter().map(of).sum();
        rows.with_label_values(&[table])
            .set(i64::try_from(sum).unwrap_or(i64::MAX));
    }
    gauge(
        registry,
        "riskgrid_raw_events_bytes",
        "bytes of raw events; grid.events_bytes bounds those of each partition",
        snapshot
            .partitions
            .iter()
            .map(|partition| partition.event_bytes)
            .sum::<usize>() as f64,
    )
}

fn watermark_age(snapshot: &GridSnapshot, now: EventTime) -> Option<f64> {
    let complete_to = snapshot.domain(riskgrid_ingest::LIVE_DOMAIN)?.complete_to?;
    Some(now.since(complete_to) as f64 / 1e6)
}

fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
    register(registry, counter.clone())?;
    Ok(counter)
}

fn gauge(registry: &Registry, name: &str, help: &str, value: f64) -> prometheus::Result<()> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    register(registry, gauge)
}

fn register(registry: &Registry, collector: impl Collector + 'static) -> prometheus::Result<()> {
    registry.register(Box::new(collector))
}
