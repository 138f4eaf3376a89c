//! The hotline: cases, what happens to them by itself, and their events on the way into the log.

use std::path::Path;
use std::sync::Arc;

use riskgrid_analytics::hotline::duty::Order;
use riskgrid_analytics::hotline::moves::Limits;

use super::state::State;
use super::{StartError, Started};
use crate::alerts::Alerting;
use crate::app::App;
use crate::config::{Checked, DutyOrder};
use crate::hotline::contacts::Contacts;
use crate::hotline::desk::{CaseLayers, Desk, Settings};
use crate::hotline::key_lines::KeyLines;
use crate::hotline::sweep::{keep_freezing, sweep};

/// How long answers to idempotency keys are kept, in microseconds.
const KEYS_KEPT: i64 = 7 * riskgrid_ingest::DAY;

/// Opens it. `folder` is what relative paths begin from.
pub(super) async fn open(
    checked: &Checked,
    folder: &Path,
    state: &State,
    alerting: &Arc<Alerting>,
    started: &mut Started,
) -> Result<Arc<Desk>, StartError> {
    let config = &checked.config;
    let data_dir = &config.storage.data_dir;
    let key_file = match &config.hotline.contact_key_file {
        Some(path) => folder.join(path),
        None => data_dir.join("contact.key"),
    };
    let contacts = Contacts::open(data_dir, &key_file).await?;
    let rating_file = match &config.hotline.rating_key_file {
        Some(path) => folder.join(path),
        None => data_dir.join("rating.key"),
    };
    let rating_keys = KeyLines::read_or_make(&rating_file)?;
    let layers = CaseLayers::new(&config.layers, &config.risk.groups);
    let desk = Desk::open(
        Arc::clone(alerting),
        settings(checked),
        layers,
        Arc::clone(&checked.places),
        state.edge.source_key,
        contacts,
        rating_keys,
    )
    .await?;
    let ending = Arc::clone(&desk);
    started.push("contacts", async move {
        ending.contacts.close().await;
        Ok(())
    });
    desk.forget_contacts_of_no_case().await?;
    Ok(desk)
}

fn settings(checked: &Checked) -> Settings {
    let (config, hotline) = (&checked.config, &checked.config.hotline);
    Settings {
        rules: hotline.rules.clone(),
        own_office: hotline.own_office.clone(),
        duty_calendar: hotline.duty_calendar.clone(),
        zone: checked.grid.calendar.zone(),
        resolution: checked.resolution,
        bounds: config.edge.bounds,
        event_horizon: config.edge.dedup_horizon.micros(),
        limits: Limits {
            redos: hotline.max_redos,
            window: hotline.redo_window.micros(),
            calls: hotline.max_calls,
        },
        max_returns: hotline.max_returns,
        order: match hotline.order {
            DutyOrder::Duty => Order::Duty,
            DutyOrder::Area => Order::Area,
        },
        call_back: hotline.call_back.clone(),
        longest_pause: hotline.longest_pause.micros(),
        supervision_after: hotline.supervision_after,
        risk_window: hotline.risk_window.micros(),
        rating_link: hotline.rating_link.micros(),
        erase_after: hotline.erase_after.micros(),
        is_open311_public: config.open311.public,
        jurisdictions: config.open311.jurisdictions.clone(),
        keys_kept: KEYS_KEPT,
        freeze_on: hotline.freeze_on,
        gazetteer: Arc::clone(&checked.gazetteer),
    }
}

/// Does what is due from now on, and puts events of cases into the log.
pub(super) fn follow(app: &Arc<App>, started: &mut Started) {
    started.push_task("sweep of clocks", tokio::spawn(sweep(Arc::clone(&app.desk))));
    let freezing = keep_freezing(Arc::clone(&app.desk));
    started.push_task("months of cases", tokio::spawn(freezing));
    let taking = Arc::clone(&app.desk).keep_taking_alerts(Arc::clone(&app.alerting));
    started.push_task("cases of alerts", tokio::spawn(taking));
    let putting = Arc::clone(&app.desk).keep_putting_events();
    started.push_task("events of cases", tokio::spawn(putting));
}
