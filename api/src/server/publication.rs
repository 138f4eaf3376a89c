//! The publication: what is complete is published, look by look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riskgrid_ingest::VisibleToPublic;

use super::state::State;
use super::{StartError, Started, waiting, wall_clock};
use crate::app::App;
use crate::config::{Checked, ConfigError, layer_rule};
use crate::publication::{Publisher, PublisherSettings};

/// How often it is looked whether a step is complete.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after the start the first risk surface is waited for.
const LONGEST_WAIT_FOR_RISK: Duration = Duration::from_mins(1);

/// Reads what was published.
pub(super) async fn open(checked: &Checked, state: &State) -> Result<Publisher, StartError> {
    let config = &checked.config;
    let shown = config
        .layers
        .iter()
        .filter(|layer| layer.public == VisibleToPublic::Suppressed);
    let rules: Result<BTreeMap<_, _>, ConfigError> = shown
        .map(|layer| Ok((layer.id.clone(), layer_rule(layer, config)?)))
        .collect();
    let settings = PublisherSettings {
        layers: rules?,
        delay: config.access.public.delay.micros(),
        keep: checked.grid.retention.days,
    };
    let (files, key) = (state.shared_files.clone(), state.reporter_key.clone());
    let calendar = checked.grid.calendar;
    waiting(move || Ok(Publisher::open(files, &key, settings, &calendar, wall_clock())?)).await
}

/// Publishes as the grid grows, while all its partitions are there.
pub(super) fn follow(mut publisher: Publisher, app: &Arc<App>, started: &mut Started) {
    let app = Arc::clone(app);
    let task = tokio::spawn(async move {
        let begun = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let snapshot = app.reader.snapshot();
            if !app.is_caught_up(&snapshot) {
                publisher.has_not_all();
                continue;
            }
            let surface = app.surfaces.newest();
            let is_first_awaited = surface.number == 0 && !surface.model.layers.is_empty();
            if is_first_awaited && begun.elapsed() < LONGEST_WAIT_FOR_RISK {
                continue;
            }
            let work = move || {
                let published = publisher.publish(&snapshot, &surface);
                (publisher, published)
            };
            let Ok((back, published)) = tokio::task::spawn_blocking(work).await else {
                return;
            };
            publisher = back;
            match published {
                Ok(layers) if layers.is_empty() => {}
                Ok(layers) => app.changes.published(&layers),
                Err(error) => {
                    tracing::error!(%error, "what is complete could not be published; it is tried again");
                }
            }
        }
    });
    started.push_task("publication", task);
}
