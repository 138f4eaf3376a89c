//! The parts of an incident: its active alerts that hang together by being near, numbered so that a number stays with its
//! alerts as they merge and split.

use std::collections::BTreeSet;
use std::sync::Arc;

use riskgrid_ingest::EventTime;

use super::changes::{Lineage, LineageKind};
use super::cover::Cover;
use super::group::Group;
use super::places::MemberKey;

/// An alert that was of a part before it came to a place that may be of another.
pub(super) struct Mover<'a> {
    pub(super) cover: &'a Cover,
    pub(super) part: u32,
}

/// Places that hang together.
struct Component {
    oldest: MemberKey,
    covers: Vec<Cover>,
}

impl Group {
    /// Numbers the parts of an incident anew.
    pub(super) fn number_parts(&mut self, incident: &Arc<str>, at: EventTime, mover: Option<&Mover<'_>>) {
        let mut taken = BTreeSet::new();
        for component in self.components_of(incident) {
            let parts = component
                .covers
                .iter()
                .filter_map(|cover| self.places.get(cover)?.part);
            let mut old: BTreeSet<u32> = parts.collect();
            if let Some(mover) = mover.filter(|mover| component.covers.contains(mover.cover)) {
                old.insert(mover.part);
            }
            let free = old.iter().find(|part| !taken.contains(*part)).copied();
            let part = free.unwrap_or_else(|| self.next_part_of(incident));
            taken.insert(part);
            for cover in &component.covers {
                self.set_part(cover, part);
            }
            let kind = match (old.len(), free) {
                (2.., _) => Some(LineageKind::Merge),
                (1, None) => Some(LineageKind::Split),
                _ => None,
            };
            if let Some(kind) = kind {
                self.changes.lineage.push(Lineage {
                    incident: Arc::clone(incident),
                    at,
                    kind,
                    part: Some(part),
                    of: old.into_iter().collect(),
                    about: None,
                });
            }
        }
    }

    /// The components of an incident's places, in the order of their oldest alerts.
    fn components_of(&self, incident: &str) -> Vec<Component> {
        let covers = self.places.of_incident(incident);
        let mut left: BTreeSet<Cover> = covers.iter().cloned().collect();
        let mut components = Vec::new();
        for first in covers {
            if !left.remove(&first) {
                continue;
            }
            let (mut found, mut to_follow) = (Vec::new(), vec![first]);
            while let Some(cover) = to_follow.pop() {
                for near in self.places.near(&cover, self.reach.distance) {
                    if left.remove(&near) {
                        to_follow.push(near);
                    }
                }
                found.push(cover);
            }
            let members = found
                .iter()
                .filter_map(|cover| self.places.get(cover)?.members.first());
            if let Some(oldest) = members.min().cloned() {
                components.push(Component {
                    oldest,
                    covers: found,
                });
            }
        }
        components.sort_by(|a, b| a.oldest.cmp(&b.oldest));
        components
    }

    fn set_part(&mut self, cover: &Cover, part: u32) {
        let Some(place) = self.places.get_mut(cover) else {
            return;
        };
        if place.part != Some(part) {
            place.part = Some(part);
            for (_, alert) in &place.members {
                self.changes.parts.insert(Arc::clone(alert), Some(part));
            }
        }
    }

    fn next_part_of(&mut self, incident: &Arc<str>) -> u32 {
        let Some(incident_state) = self.incidents.get_mut(incident) else {
            return 0;
        };
        let part = incident_state.next_part;
        incident_state.next_part += 1;
        self.changes.next_parts.insert(Arc::clone(incident), part + 1);
        part
    }
}
