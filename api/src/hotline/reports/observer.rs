//! Cases of reports, on the thread that applies events: what is to become of them is stored before a checkpoint covers it.

use std::error::Error;
use std::sync::Arc;

use riskgrid_ingest::grid::PartitionId;
use riskgrid_ingest::observer::{EventObserver, Step};
use riskgrid_ingest::{Event, EventTime, Layer, ReportOp};
use tokio::runtime::Handle;

use super::into_log::NotStored;
use crate::hotline::desk::{Desk, is_posted};
use crate::hotline::report::ReportSeen;

/// Reports that are stored in one transaction: others can write between two.
const STORED_AT_ONCE: usize = 200;
/// Reports that wait while the database cannot be written. Beyond them the worker waits for the database.
const WAITING: usize = 10_000;

/// The observer of one worker: cases beside what another observer does.
pub struct CaseObserver {
    beside: Box<dyn EventObserver>,
    desk: Arc<Desk>,
    runtime: Handle,
    waiting: Vec<ReportSeen>,
}

impl CaseObserver {
    /// Stores by way of `runtime`, on which it must not itself run.
    pub fn new(beside: Box<dyn EventObserver>, desk: Arc<Desk>, runtime: Handle) -> Self {
        Self {
            beside,
            desk,
            runtime,
            waiting: Vec::new(),
        }
    }

    fn store(&mut self) -> Result<(), NotStored> {
        while !self.waiting.is_empty() {
            let piece = self.waiting.len().min(STORED_AT_ONCE);
            let reports = self.waiting.get(..piece).unwrap_or_default();
            let stored = self.runtime.block_on(self.desk.take_reports(reports));
            stored.map_err(|problem| format!("cases of reports: {}", problem.detail()))?;
            self.waiting.drain(..piece);
        }
        Ok(())
    }
}

impl EventObserver for CaseObserver {
    fn newest_reading(&mut self, partition: &PartitionId, event: &Event<'_>, layer: &Layer, value: f64) {
        self.beside.newest_reading(partition, event, layer, value);
    }

    fn accepted_report(&mut self, partition: &PartitionId, event: &Event<'_>, layer: Option<&Layer>) {
        self.beside.accepted_report(partition, event, layer);
        // Those of our own cases are there already.
        if self.desk.layers.is_empty() || is_posted(&event.source) {
            return;
        }
        let layer = layer
            .and_then(|layer| self.desk.layers.get(&layer.id))
            .map(|layer| (layer.id.clone(), layer.cases));
        if event.op == ReportOp::Update || layer.is_none() && event.op == ReportOp::Open {
            return;
        }
        self.waiting.push(ReportSeen {
            source: event.source.to_string(),
            report: event.entity.to_string(),
            op: event.op,
            time: event.time.micros(),
            hash: event.hash,
            layer,
            severity: event.severity,
            channel: event.channel,
            position: event.position.map(|position| [position.lon, position.lat]),
            cell: event.position.map(|position| position.cell.into()),
            areas: event
                .areas
                .iter()
                .flat_map(|areas| areas.iter().map(ToString::to_string))
                .collect(),
            mirrored: event.mirrored.clone(),
        });
    }

    fn advance(&mut self, partition: &PartitionId, domain: &str, now: EventTime) {
        self.beside.advance(partition, domain, now);
        if let Err(error) = self.store() {
            tracing::error!(%error, "cases of reports are not stored yet; they are tried again");
            while self.waiting.len() > WAITING && self.store().is_err() {
                std::thread::park_timeout(std::time::Duration::from_millis(500));
            }
        }
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.beside.flush()?;
        self.store()
    }

    fn save(&mut self, partition: &PartitionId, step: Step) -> Vec<u8> {
        self.beside.save(partition, step)
    }

    fn restore(&mut self, partition: &PartitionId, steps: &[(u64, Vec<u8>)]) {
        self.beside.restore(partition, steps);
    }

    fn forget(&mut self, partition: &PartitionId) {
        self.beside.forget(partition);
    }
}
