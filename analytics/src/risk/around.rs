//! What a row needs to know beside its hazard: who tells of it round the cell, who and what is there, who can help.

use h3o::{CellIndex, LatLng};
use hashbrown::HashMap;
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::places::{Places, great_circle_metres};
use riskgrid_ingest::{EventTime, MINUTE};

use super::channels::Channels;
use super::combination::{Reference, SharesOfStakes};
use super::corroboration::{CLASSES, Corroboration, Device, corroborate};
use super::exposure::{of_density, of_facilities};
use super::model::{Help, RiskModel};
use super::reference::ReferenceCells;
use super::spread::{CellGraph, Place, Walk};
use super::surface::RowFacts;
use super::vulnerability::{lack_at, weighted_mean};

/// A position older than this does not say where a unit is.
const POSITION_HOLDS: i64 = 15 * MINUTE;

/// What does not change about a cell, but for the units that come and go.
#[derive(Clone, Debug)]
pub(super) struct StaticFacts {
    facts: RowFacts,
    shares: SharesOfStakes,
    /// The surface whose units were looked at last.
    round: u64,
    /// q of each kind of facility, in the order of the model; none where units help.
    lacks: Box<[Option<f64>]>,
    centre: [f64; 2],
}

/// Where the units are that help: available ones with the skill, by the model's order of coping; none where facilities do.
pub(super) fn units_of(
    snapshot: &GridSnapshot,
    model: &RiskModel,
    at: Option<EventTime>,
) -> Vec<Vec<[f64; 2]>> {
    let Some(at) = at else {
        return Vec::new();
    };
    if !model
        .coping
        .iter()
        .any(|coping| matches!(coping.with, Help::Skill(_)))
    {
        return Vec::new();
    }
    let units = snapshot.units();
    let of = |skill: &str| {
        let helping = units.iter().filter_map(|(_, unit)| {
            let place = unit.place.as_ref()?;
            let is_available = unit
                .status
                .as_ref()
                .is_some_and(|status| status.value == "available");
            let has_skill = unit
                .skills
                .as_ref()
                .is_some_and(|skills| skills.value.iter().any(|known| known == skill));
            let is_known = at.since(place.time) <= POSITION_HOLDS;
            (is_available && has_skill && is_known).then_some([place.value.lon, place.value.lat])
        });
        helping.collect()
    };
    model
        .coping
        .iter()
        .map(|coping| match &coping.with {
            Help::Skill(skill) => of(skill),
            Help::Facility(_) => Vec::new(),
        })
        .collect()
}

/// What the rows of a group are made with.
pub(super) struct Around<'a> {
    pub(super) model: &'a RiskModel,
    pub(super) places: &'a Places,
    pub(super) reference: &'a ReferenceCells,
    pub(super) near: &'a mut CellGraph,
    pub(super) static_facts: &'a mut Vec<Option<StaticFacts>>,
    pub(super) channels: &'a Channels,
    pub(super) devices: &'a HashMap<u64, Vec<Device>>,
    pub(super) reliabilities: &'a [f64; CLASSES],
    pub(super) units: &'a [Vec<[f64; 2]>],
    /// Of this surface; units stand still while it is made.
    pub(super) round: u64,
}

impl Around<'_> {
    /// Begins a walk over cells that ascend.
    pub(super) fn walk(&mut self) -> Walk {
        self.near.walk()
    }

    /// Who tells of a hazard round a cell, and what is at stake there.
    pub(super) fn of(&mut self, walk: &mut Walk, cell: u64) -> (Corroboration, SharesOfStakes) {
        let place = self.near.next_place(walk, cell);
        let heard = place.map_or([0.0; CLASSES], |place| self.channels.heard_at(self.near, place));
        let devices = self.devices.get(&cell).map(Vec::as_slice).unwrap_or_default();
        let corroboration = corroborate(&heard, self.reliabilities, devices);
        let known = place.and_then(|place| self.known(cell, place));
        (corroboration, known.map(|known| known.shares).unwrap_or_default())
    }

    fn known(&mut self, cell: u64, place: Place) -> Option<&StaticFacts> {
        let place = place as usize;
        if self.static_facts.len() <= place {
            self.static_facts.resize(place + 1, None);
        }
        let slot = self.static_facts.get_mut(place)?;
        if slot.is_none() {
            *slot = static_facts(self.model, self.places, self.reference, cell);
        }
        let known = slot.as_mut()?;
        if known.round != self.round {
            known.round = self.round;
            known.look_for_help(self.model, self.units);
        }
        Some(known)
    }
}

impl StaticFacts {
    fn look_for_help(&mut self, model: &RiskModel, units: &[Vec<[f64; 2]>]) {
        let lacks = model.coping.iter().enumerate().map(|(position, coping)| {
            let of_facilities = self.lacks.get(position).copied().flatten();
            let lack = of_facilities.unwrap_or_else(|| {
                let units = units.get(position).map(Vec::as_slice).unwrap_or_default();
                let distances = units
                    .iter()
                    .map(|unit| great_circle_metres(self.centre, *unit) / 1000.0);
                lack_at(distances.reduce(f64::min), coping.half_way)
            });
            (lack, coping.weight)
        });
        let lack_of_coping = weighted_mean(lacks);
        // Where only facilities help it is the same each time.
        if self.facts.reference.lack_of_coping != lack_of_coping {
            self.facts.reference.lack_of_coping = lack_of_coping;
            self.shares = SharesOfStakes::of(&self.facts.reference);
        }
    }

    /// As they were when they were last asked for.
    pub(super) const fn facts(&self) -> RowFacts {
        self.facts
    }
}

fn static_facts(
    model: &RiskModel,
    places: &Places,
    reference: &ReferenceCells,
    cell: u64,
) -> Option<StaticFacts> {
    let index = CellIndex::try_from(cell).ok()?;
    let centre = LatLng::from(index);
    let centre = [centre.lng(), centre.lat()];
    let known = reference.of(cell);
    let facilities = (!model.facilities.is_empty()).then_some(known.facilities);
    let infrastructure = (!model.infrastructure.is_empty()).then_some(known.infrastructure);
    let lacks = model.coping.iter().map(|coping| match &coping.with {
        Help::Facility(kind) => {
            let nearest = places.facilities.nearest(centre, 1, Some(kind));
            let km = nearest.first().map(|near| near.metres / 1000.0);
            Some(lack_at(km, coping.half_way))
        }
        Help::Skill(_) => None,
    });
    let reference = Reference {
        population: known
            .population
            .map(|people| of_density(people / index.area_km2())),
        facilities: facilities.map(of_facilities),
        infrastructure: infrastructure.map(of_facilities),
        susceptibility: known.susceptibility,
        lack_of_coping: None,
    };
    Some(StaticFacts {
        facts: RowFacts {
            population: known.population,
            facilities,
            infrastructure,
            reference,
        },
        shares: SharesOfStakes::of(&reference),
        round: 0,
        lacks: lacks.collect(),
        centre,
    })
}
