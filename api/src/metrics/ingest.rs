//! Events from their sources to the grid, and what is kept of them on the disk.

use riskgrid_ingest::{RefusalReason, Writer};

use super::reading::{Reading, by, count, counter, gauge, one, size};

pub(super) const READINGS: &[Reading] = &[
    counter(
        "riskgrid_events_total",
        "events read, by what became of them",
        &["result"],
        |seen| {
            let counts = seen.snapshot.counts();
            by([
                ("accepted", counts.accepted),
                ("duplicate", counts.duplicate),
                ("refused", counts.refused_total()),
            ])
        },
    ),
    counter(
        "riskgrid_refused_total",
        "events refused, by reason",
        &["reason"],
        |seen| {
            let counts = seen.snapshot.counts();
            by(RefusalReason::ALL.map(|reason| (reason.as_str(), counts.refused_for(reason))))
        },
    ),
    counter(
        "riskgrid_poisoned_total",
        "events that are not counted because applying them failed twice by a defect; each is a dead letter `poison`",
        &[],
        |seen| count(seen.snapshot.counts().refused_for(RefusalReason::Poison)),
    ),
    gauge(
        "riskgrid_partitions_mending",
        "partitions that are read again from their checkpoint, because a defect may have left their state half changed",
        &[],
        |seen| size(seen.app.pipeline.mending().len()),
    ),
    counter(
        "riskgrid_http_events_total",
        "events of the HTTP intake",
        &["result"],
        |seen| {
            let intake = &seen.app.intake;
            by([("accepted", intake.accepted()), ("refused", intake.refused())])
        },
    ),
    gauge(
        "riskgrid_ingest_waiting_batches",
        "batches that a worker has not applied yet; at five its sources wait",
        &["worker"],
        |seen| {
            let waiting = seen.app.pipeline.waiting().into_iter().enumerate();
            waiting
                .map(|(worker, batches)| (vec![worker.to_string()], batches as f64))
                .collect()
        },
    ),
    gauge(
        "riskgrid_ingest_waiting_bytes",
        "bytes of these batches; at 32 MiB of a worker its sources wait",
        &[],
        |seen| size(seen.app.pipeline.waiting_bytes().into_iter().sum()),
    ),
    gauge(
        "riskgrid_checkpoint_age_seconds",
        "age of the newest checkpoint; NaN before this run has written one",
        &[],
        |seen| one(seen.app.checkpoint_age().unwrap_or(f64::NAN)),
    ),
    counter(
        "riskgrid_checkpoint_failures_total",
        "checkpoints that could not be written and were tried again; the log says why",
        &[],
        |seen| count(seen.app.pipeline.failed_checkpoints()),
    ),
    counter(
        "riskgrid_writes_without_room_total",
        "writes that were not begun because the disk had less left than storage.min_free keeps from this writer",
        &["writer"],
        |seen| {
            let room = seen.app.dead_letters.room();
            by(Writer::ALL.map(|writer| (writer.name(), room.refused(writer))))
        },
    ),
    gauge(
        "riskgrid_journal_room_bytes",
        "room of the journal above its reserve",
        &[],
        |seen| count(seen.app.intake.room()),
    ),
    counter(
        "riskgrid_dead_letters_dropped_total",
        "dead letters that were dropped for their age (30 days), their number (1 000 000) or their bytes (4 GiB)",
        &[],
        |seen| count(seen.app.dead_letters.dropped()),
    ),
    counter(
        "riskgrid_dead_letter_lists_refused_total",
        "lists of dead letters that were not made because as many were being made as may be at once",
        &[],
        |seen| count(seen.app.dead_letter_lists.refused()),
    ),
];
