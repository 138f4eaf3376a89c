//! The open incidents of one group, and what alerts that fire, move and end make of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use riskgrid_ingest::EventTime;

use super::changes::{Changes, Lineage, LineageKind};
use super::cover::Cover;
use super::parts::Mover;
use super::places::{MemberKey, Places};
use crate::derived_id::derived_id;

/// How far apart alerts of one incident may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Breadth-first rings of cells.
    pub distance: u32,
    /// How long after its end an alert still counts.
    pub gap: Duration,
}

/// What opens an incident.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The group of its alerts.
    pub group: &'a str,
    /// Its first alert.
    pub alert: &'a str,
}

impl Opening<'_> {
    /// The id of the incident.
    pub fn incident_id(self) -> String {
        format!(
            "inc_{}",
            derived_id(&[self.group.as_bytes(), self.alert.as_bytes()])
        )
    }
}

/// An open incident as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIncident {
    /// Its id.
    pub id: String,
    /// When it opened.
    pub opened_at: EventTime,
    /// The part number that is next.
    pub next_part: u32,
}

/// An alert of an open incident as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub alert: String,
    /// Of its incident.
    pub incident: String,
    /// When it began.
    pub fired_at: EventTime,
    /// When it ended.
    pub ended_at: Option<EventTime>,
    /// Where it lies.
    pub cover: Cover,
    /// The part that it is of.
    pub part: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Incident {
    opened_at: EventTime,
    pub(super) next_part: u32,
    /// Alerts that are active.
    active: u64,
}

#[derive(Clone, Debug)]
struct Member {
    incident: Arc<str>,
    fired_at: EventTime,
    ended_at: Option<EventTime>,
    cover: Cover,
}

/// The open incidents of one group. Times are event times; what it is told of comes in the order in which it is stored.
#[derive(Clone, Debug)]
pub struct Group {
    name: String,
    pub(super) reach: Reach,
    gap: i64,
    /// The latest time that it was told of: what was over then stays over.
    clock: EventTime,
    pub(super) incidents: BTreeMap<Arc<str>, Incident>,
    /// The active alerts.
    members: HashMap<Arc<str>, Member>,
    pub(super) places: Places,
    /// When alerts that have ended stop being active.
    due: BTreeSet<MemberKey>,
    pub(super) changes: Changes,
}

impl Group {
    /// Without incidents.
    pub fn new(name: &str, reach: Reach) -> Self {
        Self {
            name: name.to_owned(),
            reach,
            gap: i64::try_from(reach.gap.as_micros()).unwrap_or(i64::MAX),
            clock: EventTime::from_micros(i64::MIN),
            incidents: BTreeMap::new(),
            members: HashMap::new(),
            places: Places::default(),
            due: BTreeSet::new(),
            changes: Changes::default(),
        }
    }

    /// As it was when it was stored at `clock`: the open incidents, and their alerts that were active then.
    pub fn restore(
        name: &str,
        reach: Reach,
        clock: EventTime,
        incidents: impl IntoIterator<Item = StoredIncident>,
        members: impl IntoIterator<Item = StoredMember>,
    ) -> Self {
        let mut group = Self::new(name, reach);
        group.clock = clock;
        for stored in incidents {
            let incident = Incident {
                opened_at: stored.opened_at,
                next_part: stored.next_part,
                active: 0,
            };
            group.incidents.insert(stored.id.into(), incident);
        }
        for stored in members {
            let (alert, incident): (Arc<str>, Arc<str>) = (stored.alert.into(), stored.incident.into());
            let Some(of) = group.incidents.get_mut(&incident) else {
                continue;
            };
            of.active += 1;
            let key = (stored.fired_at, Arc::clone(&alert));
            group.places.put(&stored.cover, key, &incident, stored.part);
            if let Some(ended_at) = stored.ended_at {
                group.due.insert((ended_at.plus(group.gap), Arc::clone(&alert)));
            }
            let member = Member {
                incident,
                fired_at: stored.fired_at,
                ended_at: stored.ended_at,
                cover: stored.cover,
            };
            group.members.insert(alert, member);
        }
        group
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The latest time that it was told of.
    pub fn clock(&self) -> EventTime {
        self.clock
    }

    /// Whether nothing in it is open.
    pub fn is_empty(&self) -> bool {
        self.incidents.is_empty()
    }

    /// When the next alert that has ended stops being active.
    pub fn next_due(&self) -> Option<EventTime> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The incident of an active alert.
    pub fn incident_of(&self, alert: &str) -> Option<&str> {
        self.members.get(alert).map(|member| &*member.incident)
    }

    /// What has to be stored since this was asked last.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// An alert begins. One that is known stays where it is.
    pub fn fire(&mut self, alert: &str, at: EventTime, fired_at: EventTime, cover: &Cover) {
        self.advance(at);
        if self.members.contains_key(alert) {
            return;
        }
        let alert: Arc<str> = alert.into();
        let (incidents, part) = self.near(cover);
        let incident = match incidents.first() {
            Some(oldest) => Arc::clone(oldest),
            None => self.open(&alert, at),
        };
        self.tell(&incident, at, LineageKind::Join, Some(&alert));
        if let Some(incident_state) = self.incidents.get_mut(&incident) {
            incident_state.active += 1;
        }
        self.touch(&incident);
        let is_simple = incidents.len() == 1 && part.is_some();
        let key = (fired_at, Arc::clone(&alert));
        self.places.put(cover, key, &incident, part.filter(|_| is_simple));
        // It may have come to a place that is there already.
        let part = self.places.get(cover).and_then(|place| place.part);
        self.changes.parts.insert(Arc::clone(&alert), part);
        let member = Member {
            incident: Arc::clone(&incident),
            fired_at,
            ended_at: None,
            cover: cover.clone(),
        };
        self.members.insert(alert, member);
        self.absorb(&incident, incidents.get(1..).unwrap_or_default(), at);
        if !is_simple {
            self.number_parts(&incident, at, None);
        }
    }

    /// An open alert lies elsewhere now.
    pub fn move_to(&mut self, alert: &str, at: EventTime, cover: &Cover) {
        self.advance(at);
        let Some((alert, member)) = self.members.get_key_value(alert) else {
            return;
        };
        if member.cover == *cover {
            return;
        }
        let (alert, own, fired_at) = (Arc::clone(alert), Arc::clone(&member.incident), member.fired_at);
        let (left, key) = (member.cover.clone(), (fired_at, Arc::clone(&alert)));
        let part = self.places.get(&left).and_then(|place| place.part);
        self.places.take(&left, &key);
        let (mut incidents, _) = self.near(cover);
        if !incidents.contains(&own) {
            incidents.push(Arc::clone(&own));
            incidents.sort_by_key(|id| self.age_of(id));
        }
        let incident = incidents.first().map_or_else(|| Arc::clone(&own), Arc::clone);
        if let Some(member) = self.members.get_mut(&alert) {
            member.cover = cover.clone();
        }
        self.places.put(cover, key, &own, None);
        self.touch(&incident);
        let part = part.filter(|_| incident == own);
        let others: Vec<Arc<str>> = incidents.into_iter().filter(|other| *other != incident).collect();
        self.absorb(&incident, &others, at);
        if let Some(member) = self.members.get_mut(&alert) {
            member.incident = Arc::clone(&incident);
        }
        let mover = part.map(|part| Mover { cover, part });
        self.number_parts(&incident, at, mover.as_ref());
        let part = self.places.get(cover).and_then(|place| place.part);
        self.changes.parts.insert(alert, part);
    }

    /// An alert ends. It counts until its gap is over.
    pub fn end(&mut self, alert: &str, at: EventTime) {
        self.advance(at);
        let Some((alert, _)) = self.members.get_key_value(alert) else {
            return;
        };
        let alert = Arc::clone(alert);
        if let Some(member) = self.members.get_mut(&alert)
            && member.ended_at.is_none()
        {
            member.ended_at = Some(at);
            let incident = Arc::clone(&member.incident);
            self.touch(&incident);
            self.due.insert((at.plus(self.gap), alert));
            // An end that is told late may be over already.
            self.advance(self.clock);
        }
    }

    /// Lets alerts stop being active, and incidents close, each at its own time, up to `now`.
    pub fn advance(&mut self, now: EventTime) {
        self.clock = self.clock.max(now);
        while let Some(at) = self.next_due().filter(|at| *at <= self.clock) {
            let mut left: BTreeMap<Arc<str>, bool> = BTreeMap::new();
            while let Some((_, alert)) = self.due.first().filter(|(due, _)| *due == at).cloned() {
                self.due.pop_first();
                if let Some(member) = self.members.remove(&alert) {
                    let is_place_gone = self.places.take(&member.cover, &(member.fired_at, alert));
                    if let Some(incident) = self.incidents.get_mut(&member.incident) {
                        incident.active = incident.active.saturating_sub(1);
                    }
                    *left.entry(member.incident).or_default() |= is_place_gone;
                }
            }
            for (incident, is_place_gone) in left {
                let is_active = self
                    .incidents
                    .get(&incident)
                    .is_some_and(|state| state.active > 0);
                if !is_active {
                    self.incidents.remove(&incident);
                    self.touch(&incident);
                    self.tell(&incident, at, LineageKind::Close, None);
                } else if is_place_gone {
                    self.number_parts(&incident, at, None);
                }
            }
        }
    }

    /// The open incidents with an active alert near a cover, the oldest first; and the part that all of these alerts are of.
    fn near(&self, cover: &Cover) -> (Vec<Arc<str>>, Option<u32>) {
        let mut incidents: Vec<Arc<str>> = Vec::new();
        let mut parts: BTreeSet<Option<u32>> = BTreeSet::new();
        for near in self.places.near(cover, self.reach.distance) {
            let Some(place) = self.places.get(&near) else {
                continue;
            };
            parts.insert(place.part);
            if !incidents.contains(&place.incident) {
                incidents.push(Arc::clone(&place.incident));
            }
        }
        incidents.sort_by_key(|id| self.age_of(id));
        let only = parts.first().copied().flatten().filter(|_| parts.len() == 1);
        (incidents, only)
    }

    fn age_of(&self, incident: &Arc<str>) -> (EventTime, Arc<str>) {
        let opened_at = self.incidents.get(incident).map(|state| state.opened_at);
        (
            opened_at.unwrap_or(EventTime::from_micros(i64::MAX)),
            Arc::clone(incident),
        )
    }

    fn open(&mut self, alert: &Arc<str>, at: EventTime) -> Arc<str> {
        let id: Arc<str> = Opening {
            group: &self.name,
            alert,
        }
        .incident_id()
        .into();
        let incident = Incident {
            opened_at: at,
            next_part: 1,
            active: 0,
        };
        self.incidents.insert(Arc::clone(&id), incident);
        self.changes.next_parts.insert(Arc::clone(&id), 1);
        self.tell(&id, at, LineageKind::Open, Some(alert));
        id
    }

    /// Makes other incidents part of one; their alerts are of no part of it yet.
    fn absorb(&mut self, incident: &Arc<str>, others: &[Arc<str>], at: EventTime) {
        for other in others {
            let Some(gone) = self.incidents.remove(other) else {
                continue;
            };
            if let Some(state) = self.incidents.get_mut(incident) {
                state.active += gone.active;
            }
            for cover in self.places.of_incident(other) {
                let Some(place) = self.places.get_mut(&cover) else {
                    continue;
                };
                place.incident = Arc::clone(incident);
                place.part = None;
                for (_, alert) in &place.members {
                    self.changes.parts.insert(Arc::clone(alert), None);
                    if let Some(member) = self.members.get_mut(alert) {
                        member.incident = Arc::clone(incident);
                    }
                }
            }
            self.touch(incident);
            self.tell(incident, at, LineageKind::Absorb, Some(other));
        }
    }

    fn touch(&mut self, incident: &Arc<str>) {
        self.changes.touched.insert(Arc::clone(incident));
    }

    fn tell(&mut self, incident: &Arc<str>, at: EventTime, kind: LineageKind, about: Option<&Arc<str>>) {
        self.changes.lineage.push(Lineage {
            incident: Arc::clone(incident),
            at,
            kind,
            part: None,
            of: Vec::new(),
            about: about.map(Arc::clone),
        });
    }
}
