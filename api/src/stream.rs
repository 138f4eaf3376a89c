//! What pages are told as it happens: which layers changed, how far time has come, and that alerts changed; each of what its
//! reader may see.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use riskgrid_analytics::permission::{Class, Permission, Role};
use riskgrid_analytics::rules::Audience;
use riskgrid_analytics::tables::visible_layers;
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Version};
use serde_json::json;
use tokio::sync::broadcast;

use crate::alerts::Alerting;
use crate::alerts::store::{Alert, PublicAlert};
use crate::hotline::desk::{CaseChange, Desk};

/// Changes that a slow page may be behind; one further behind is told to look at everything again.
const CHANGES_KEPT: usize = 256;
/// How often the grid is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The source of `GET /v1/stream`.
#[derive(Clone)]
pub struct Changes {
    to_pages: broadcast::Sender<Arc<Change>>,
    /// The rights of those who follow the grid.
    followed: Arc<Mutex<HashMap<Class, Weak<Permission>>>>,
    /// Changes that pages were too slow to be told.
    missed: Arc<AtomicU64>,
}

struct Change {
    name: &'static str,
    data: String,
    of: Of,
}

/// Whom a change concerns.
enum Of {
    /// Those whose rights are these.
    Class(Class),
    /// Those who are not the public, and see this layer and the centre of this cell.
    Place {
        layer: Option<String>,
        cell: Option<u64>,
    },
    /// Those who see this layer and what lies there.
    Position {
        layer: String,
        position: Option<[f64; 2]>,
    },
    /// The public.
    Public,
    /// Everybody.
    All,
}

impl Change {
    fn event(&self) -> Event {
        Event::default().event(self.name).data(&self.data)
    }

    fn concerns(&self, seen: &Permission) -> bool {
        match &self.of {
            Of::Class(class) => *class == seen.class(),
            Of::Place { layer, cell } => {
                seen.role() != Role::Public
                    && seen.admits_layer(layer.as_deref())
                    && seen.admits_centre_of(*cell)
            }
            Of::Position { layer, position } => {
                seen.role() != Role::Public && seen.admits_layer(Some(layer)) && seen.admits_place(*position)
            }
            Of::Public => seen.role() == Role::Public,
            Of::All => true,
        }
    }

    fn of_case(change: &CaseChange) -> Self {
        Self {
            name: change.name,
            data: change.data.to_string(),
            of: Of::Position {
                layer: change.layer.clone(),
                position: change.position,
            },
        }
    }

    /// What is told of an alert: all to those who see it, and a little to the public, if it is for that.
    fn of_alert(alert: &Alert) -> Vec<Self> {
        let staff = Self {
            name: "alert",
            data: serde_json::to_string(alert).unwrap_or_default(),
            of: Of::Place {
                layer: alert.layer.clone(),
                cell: alert.cell,
            },
        };
        let public = (alert.audience == Audience::Public).then(|| Self {
            name: "alert",
            data: serde_json::to_string(&PublicAlert::from(alert)).unwrap_or_default(),
            of: Of::Public,
        });
        std::iter::once(staff).chain(public).collect()
    }
}

impl Changes {
    /// Changes that pages were too slow to be told, one by one.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Follows the grid and the alerts until the runtime ends.
    pub fn follow(reader: GridReader, alerting: &Alerting, desk: &Desk) -> Self {
        let (sender, _) = broadcast::channel(CHANGES_KEPT);
        let changes = Self {
            to_pages: sender,
            followed: Arc::default(),
            missed: Arc::default(),
        };
        let follower = changes.clone();
        // Followed from the start, so that an admin's page is told what changes and not first what there is.
        let admin = follower.listens(&Arc::new(Permission::admin()));
        tokio::spawn(async move {
            let _admin = admin;
            let mut known: HashMap<Class, Known> = HashMap::new();
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let snapshot = reader.snapshot();
                let followed = follower.followed();
                known.retain(|class, _| followed.iter().any(|seen| seen.class() == *class));
                for seen in followed {
                    let of_class = known.entry(seen.class()).or_default();
                    for change in of_class.differences(&snapshot, &seen) {
                        // An error means that no page listens.
                        let _ = follower.to_pages.send(Arc::new(change));
                    }
                }
            }
        });
        let mut alerts = alerting.changes.subscribe();
        let to_pages = changes.to_pages.clone();
        tokio::spawn(async move {
            loop {
                let changes = match alerts.recv().await {
                    Ok(alert) => Change::of_alert(&alert),
                    Err(broadcast::error::RecvError::Lagged(_)) => vec![Change {
                        name: "alert",
                        data: "{}".to_owned(),
                        of: Of::All,
                    }],
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                for change in changes {
                    let _ = to_pages.send(Arc::new(change));
                }
            }
        });
        let mut cases = desk.changes.subscribe();
        let to_pages = changes.to_pages.clone();
        tokio::spawn(async move {
            loop {
                let change = match cases.recv().await {
                    Ok(change) => Change::of_case(&change),
                    Err(broadcast::error::RecvError::Lagged(_)) => Change {
                        name: "case",
                        data: "{}".to_owned(),
                        of: Of::All,
                    },
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                let _ = to_pages.send(Arc::new(change));
            }
        });
        changes
    }

    /// Tells the public that something was published of these layers.
    pub fn published(&self, layers: &[String]) {
        let change = Change {
            name: "tiles",
            data: json!({ "layers": layers }).to_string(),
            of: Of::Class(Permission::public().class()),
        };
        // An error means that no page listens.
        let _ = self.to_pages.send(Arc::new(change));
    }

    /// Somebody with these rights listens, as long as they hold what this gives: all who have the same share one copy.
    fn listens(&self, seen: &Arc<Permission>) -> Arc<Permission> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let same = followed.get(&seen.class()).and_then(Weak::upgrade);
        let seen = same.unwrap_or_else(|| Arc::clone(seen));
        followed.insert(seen.class(), Arc::downgrade(&seen));
        seen
    }

    /// The rights of those who listen.
    fn followed(&self) -> Vec<Arc<Permission>> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|_, seen| seen.strong_count() > 0);
        followed.values().filter_map(Weak::upgrade).collect()
    }

    /// A page's own stream, of what `seen` shows. One that fell behind gets the event `missed` in the place of what it was not
    /// told: that may have changed anything, so everything is to be looked at again. For those that do not know `missed`, the
    /// events of each kind follow that name nothing.
    pub fn subscribe(
        &self,
        seen: &Arc<Permission>,
    ) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let receiver = self.to_pages.subscribe();
        let missed = Arc::clone(&self.missed);
        let state = (receiver, missed, self.listens(seen));
        let events = futures::stream::unfold(state, |(mut receiver, missed, seen)| async {
            let events = match receiver.recv().await {
                Ok(change) if change.concerns(&seen) => vec![change.event()],
                Ok(_) => Vec::new(),
                Err(broadcast::error::RecvError::Lagged(changes)) => {
                    missed.fetch_add(changes, Ordering::Relaxed);
                    // Their number counts what others are told, too.
                    let changes = if seen.role() == Role::Admin {
                        json!({ "changes": changes })
                    } else {
                        json!({})
                    };
                    let changes = Event::default().event("missed").data(changes.to_string());
                    let unnamed = [("tiles", "{\"layers\":null}"), ("alert", "{}"), ("case", "{}")];
                    let unnamed = unnamed.map(|(name, data)| Event::default().event(name).data(data));
                    std::iter::once(changes).chain(unnamed).collect()
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((
                futures::stream::iter(events.into_iter().map(Ok)),
                (receiver, missed, seen),
            ))
        })
        .flatten();
        Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10)))
    }
}

/// What pages of one class were told last.
#[derive(Default)]
struct Known {
    version: Version,
    counts: BTreeMap<String, u64>,
    complete_to: BTreeMap<Arc<str>, i64>,
}

impl Known {
    fn differences(&mut self, snapshot: &GridSnapshot, seen: &Permission) -> Vec<Change> {
        let mut changes = Vec::new();
        let of = || Of::Class(seen.class());
        let is_new = std::mem::replace(&mut self.version, snapshot.version) != snapshot.version;
        let mut changed = Vec::new();
        let mut domains = Vec::new();
        for (index, layer) in visible_layers(snapshot, seen) {
            domains.push(layer.domain.as_str());
            if !is_new {
                continue;
            }
            let totals = snapshot.totals_within(index, seen.cells());
            let count = totals.map_or(0, |totals| totals.count);
            if self.counts.insert(layer.id.clone(), count) != Some(count) {
                changed.push(layer.id.clone());
            }
        }
        if !changed.is_empty() {
            changes.push(Change {
                name: "tiles",
                data: json!({ "layers": changed }).to_string(),
                of: of(),
            });
        }
        // A clock is moved by all layers of its domain, and the public sees some of them only by what was published.
        if seen.role() == Role::Public {
            return changes;
        }
        let sees_all = seen.is_whole();
        for clock in &snapshot.domains {
            let is_seen = sees_all || domains.iter().any(|domain| **domain == *clock.domain);
            let Some(complete_to) = clock.complete_to.filter(|_| is_seen) else {
                continue;
            };
            let at = complete_to.micros();
            if self.complete_to.insert(Arc::clone(&clock.domain), at) != Some(at) {
                let data = json!({ "as_of": complete_to.to_string(), "domain": &*clock.domain }).to_string();
                changes.push(Change {
                    name: "watermark",
                    data,
                    of: of(),
                });
            }
        }
        changes
    }
}
