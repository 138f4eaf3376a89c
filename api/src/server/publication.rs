//! The publication: what is complete is published, look by look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riskgrid_ingest::VisibleToPublic;
use tokio::runtime::Handle;

use super::state::State;
use super::{StartError, Started, waiting, wall_clock};
use crate::app::App;
use crate::config::{Checked, ConfigError, layer_rule};
use crate::database::Standing;
use crate::publication::{PagePlace, PublicationError, Publisher, PublisherSettings};

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
    let are_shared = !config.storage.checkpoints.is_empty();
    let place = PagePlace::of(files, are_shared, state.decisions.database(), Handle::current());
    let calendar = checked.grid.calendar;
    waiting(move || Ok(Publisher::open(place, &key, settings, &calendar, wall_clock())?)).await
}

/// Publishes as the grid grows, while all its partitions are there and no other node does.
pub(super) async fn follow(mut publisher: Publisher, app: &Arc<App>, started: &mut Started) {
    let app = Arc::clone(app);
    let database = app.alerting.decisions.database();
    let (standing, keeping) = database.keep_lease("publication", || wall_clock().micros()).await;
    if let Some(keeping) = keeping {
        started.push_task("lease of the publication", keeping);
    }
    let task = tokio::spawn(async move {
        let begun = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let snapshot = app.reader.snapshot();
            let standing = *standing.borrow();
            let has_all = app.is_caught_up(&snapshot);
            if !has_all {
                publisher.has_not_all();
            }
            // What another node has published meanwhile is served by this one, too.
            if !has_all || standing == Standing::Waiting {
                let work = move || {
                    let read = publisher.follow();
                    (publisher, read)
                };
                let Ok((back, read)) = tokio::task::spawn_blocking(work).await else {
                    return;
                };
                publisher = back;
                tell(&app, read);
                continue;
            }
            publisher.stand(standing);
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
            tell(&app, published);
        }
    });
    started.push_task("publication", task);
}

/// Tells the public's pages what was published.
fn tell(app: &App, published: Result<Vec<String>, PublicationError>) {
    match published {
        Ok(layers) if layers.is_empty() => {}
        Ok(layers) => app.changes.published(&layers),
        Err(error) => {
            tracing::error!(%error, "what is complete could not be published; it is tried again");
        }
    }
}
