//! `/metrics`: what the state of the process says when it is asked, in Prometheus' text format. Each subject is a table of
//! readings; what has to be counted as it happens (HTTP, durations) is counted where it does.

mod alerts;
mod grid;
mod hotline;
mod ingest;
mod kafka;
mod publication;
mod reading;
mod risk;
mod sql;

use std::sync::Arc;

use prometheus::{Encoder, Registry, TextEncoder};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;

use self::reading::{Reading, Subject};
use crate::alerts::store::Held;
use crate::app::App;

/// What all readings of one page are read from.
struct Seen<'a> {
    app: &'a App,
    snapshot: Arc<GridSnapshot>,
    held: &'a Held,
    now: EventTime,
}

/// The subjects.
const SUBJECTS: [&[Reading]; 8] = [
    ingest::READINGS,
    grid::READINGS,
    kafka::READINGS,
    sql::READINGS,
    risk::READINGS,
    publication::READINGS,
    alerts::READINGS,
    hotline::READINGS,
];

/// The page as text.
///
/// # Errors
/// When a name or label is not valid, which is a defect.
pub fn render(app: &App, held: &Held, now: EventTime) -> prometheus::Result<String> {
    let seen = Seen {
        app,
        snapshot: app.reader.snapshot(),
        held,
        now,
    };
    let registry = Registry::new();
    for readings in SUBJECTS {
        registry.register(Box::new(Subject::read(readings, &seen)?))?;
    }
    app.http_counters.register(&registry, app.body_budget.used())?;
    app.durations.register(&registry)?;
    app.alerting.deliveries.register(&registry)?;
    app.access.register(&registry)?;
    let mut page = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
