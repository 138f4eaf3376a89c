//! The active alerts of a group by place: alerts with one cover are one place, so that a storm costs as much as its ground.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use riskgrid_ingest::EventTime;

use super::cover::{Cover, Spot};

/// An alert in the order of its beginning.
pub(super) type MemberKey = (EventTime, Arc<str>);

/// Alerts that have the same cover. They are near each other, so they are of one incident and of one part.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) incident: Arc<str>,
    /// Not given yet where its incident was just absorbed.
    pub(super) part: Option<u32>,
    pub(super) members: BTreeSet<MemberKey>,
}

/// All places of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    by_cover: BTreeMap<Cover, Place>,
    by_spot: HashMap<Spot, BTreeSet<Cover>>,
}

impl Places {
    pub(super) fn get(&self, cover: &Cover) -> Option<&Place> {
        self.by_cover.get(cover)
    }

    pub(super) fn get_mut(&mut self, cover: &Cover) -> Option<&mut Place> {
        self.by_cover.get_mut(cover)
    }

    /// The covers near a cover, itself among them if it is one.
    pub(super) fn near(&self, cover: &Cover, distance: u32) -> BTreeSet<Cover> {
        let mut near = BTreeSet::new();
        for spot in cover.spots() {
            for spot in spot.disk(distance) {
                if let Some(covers) = self.by_spot.get(&spot) {
                    near.extend(covers.iter().cloned());
                }
            }
        }
        near
    }

    /// Puts an alert to its place; a new place has the part that is said.
    pub(super) fn put(&mut self, cover: &Cover, key: MemberKey, incident: &Arc<str>, part: Option<u32>) {
        let place = self.by_cover.entry(cover.clone()).or_insert_with(|| Place {
            incident: Arc::clone(incident),
            part,
            members: BTreeSet::new(),
        });
        if place.members.is_empty() {
            for spot in cover.spots() {
                self.by_spot
                    .entry(spot.clone())
                    .or_default()
                    .insert(cover.clone());
            }
        }
        place.members.insert(key);
    }

    /// Takes an alert away; whether its place is gone with it.
    pub(super) fn take(&mut self, cover: &Cover, key: &MemberKey) -> bool {
        let Some(place) = self.by_cover.get_mut(cover) else {
            return false;
        };
        place.members.remove(key);
        if !place.members.is_empty() {
            return false;
        }
        self.by_cover.remove(cover);
        for spot in cover.spots() {
            if let Some(covers) = self.by_spot.get_mut(spot) {
                covers.remove(cover);
                if covers.is_empty() {
                    self.by_spot.remove(spot);
                }
            }
        }
        true
    }

    /// The covers of an incident's active alerts.
    pub(super) fn of_incident(&self, incident: &str) -> Vec<Cover> {
        let own = self
            .by_cover
            .iter()
            .filter(|(_, place)| &*place.incident == incident);
        own.map(|(cover, _)| cover.clone()).collect()
    }
}
