//! What pages are told as it happens: which layers changed, how far time has come, and that alerts changed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Version};
use serde_json::json;
use tokio::sync::broadcast;

use crate::alerts::Alerting;

/// Changes that a slow page may be behind; one further behind is told to look at everything again.
const CHANGES_KEPT: usize = 256;
/// How often the grid is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The source of `GET /v1/stream`.
#[derive(Clone)]
pub struct Changes {
    to_pages: broadcast::Sender<Arc<Change>>,
    /// Changes that pages were too slow to be told.
    missed: Arc<AtomicU64>,
}

struct Change {
    name: &'static str,
    data: String,
}

impl Change {
    fn event(&self) -> Event {
        Event::default().event(self.name).data(&self.data)
    }
}

impl Changes {
    /// Changes that pages were too slow to be told, one by one.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Follows the grid and the alerts until the runtime ends.
    pub fn follow(reader: GridReader, alerting: &Alerting) -> Self {
        let (sender, _) = broadcast::channel(CHANGES_KEPT);
        let to_pages = sender.clone();
        tokio::spawn(async move {
            let mut known = Known::default();
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                for change in known.differences(&reader.snapshot()) {
                    // An error means that no page listens.
                    let _ = to_pages.send(Arc::new(change));
                }
            }
        });
        let mut alerts = alerting.changes.subscribe();
        let to_pages = sender.clone();
        tokio::spawn(async move {
            loop {
                let data = match alerts.recv().await {
                    Ok(alert) => serde_json::to_string(&*alert).unwrap_or_default(),
                    Err(broadcast::error::RecvError::Lagged(_)) => "{}".to_owned(),
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                let _ = to_pages.send(Arc::new(Change { name: "alert", data }));
            }
        });
        Self {
            to_pages: sender,
            missed: Arc::default(),
        }
    }

    /// A page's own stream. One that fell behind gets the event `missed` in the place of what it was not told: that may
    /// have changed anything, so everything is to be looked at again. For those that do not know `missed`, the events of
    /// each kind follow that name nothing.
    pub fn subscribe(&self) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let receiver = self.to_pages.subscribe();
        let missed = Arc::clone(&self.missed);
        let events = futures::stream::unfold((receiver, missed), |(mut receiver, missed)| async {
            let events = match receiver.recv().await {
                Ok(change) => vec![change.event()],
                Err(broadcast::error::RecvError::Lagged(changes)) => {
                    missed.fetch_add(changes, Ordering::Relaxed);
                    let changes = Change {
                        name: "missed",
                        data: json!({ "changes": changes }).to_string(),
                    };
                    let unnamed = [("tiles", "{\"layers\":null}"), ("alert", "{}")];
                    let unnamed = unnamed.map(|(name, data)| Event::default().event(name).data(data));
                    std::iter::once(changes.event()).chain(unnamed).collect()
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((
                futures::stream::iter(events.into_iter().map(Ok)),
                (receiver, missed),
            ))
        })
        .flatten();
        Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10)))
    }
}

/// What pages were told last.
#[derive(Default)]
struct Known {
    version: Version,
    counts: BTreeMap<String, u64>,
    complete_to: BTreeMap<Arc<str>, i64>,
}

impl Known {
    fn differences(&mut self, snapshot: &GridSnapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        if snapshot.version != self.version {
            self.version = snapshot.version;
            let mut changed = Vec::new();
            for (index, layer) in snapshot.layers.iter() {
                let count = snapshot.totals(index).map_or(0, |totals| totals.count);
                if self.counts.insert(layer.id.clone(), count) != Some(count) {
                    changed.push(layer.id.clone());
                }
            }
            if !changed.is_empty() {
                changes.push(Change {
                    name: "tiles",
                    data: json!({ "layers": changed }).to_string(),
                });
            }
        }
        for clock in &snapshot.domains {
            let Some(complete_to) = clock.complete_to else {
                continue;
            };
            if self
                .complete_to
                .insert(Arc::clone(&clock.domain), complete_to.micros())
                != Some(complete_to.micros())
            {
                let data = json!({ "as_of": complete_to.to_string(), "domain": &*clock.domain }).to_string();
                changes.push(Change {
                    name: "watermark",
                    data,
                });
            }
        }
        changes
    }
}
