//! What a row needs to know beside its hazard: who tells of it round the cell, who and what is there, who can help.

use h3o::{CellIndex, LatLng};
use hashbrown::HashMap;
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::places::{Places, great_circle_metres};
use riskgrid_ingest::{EventTime, MINUTE};

use super::channels::Channels;
use super::combination::Reference;
use super::corroboration::{CLASSES, Corroboration, Device, corroborate};
use super::exposure::{of_density, of_facilities};
use super::model::{Help, RiskModel};
use super::reference::ReferenceCells;
use super::scoring::Surroundings;
use super::spread::{CellGraph, Place};
use super::surface::RowFacts;
use super::vulnerability::{lack_at, weighted_mean};

/// A position older than this does not say where a unit is.
const POSITION_HOLDS: i64 = 15 * MINUTE;

/// What does not change about a cell, but for the units that come and go.
#[derive(Clone, Debug)]
pub(super) struct StaticFacts {
    facts: RowFacts,
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
    pub(super) facts: &'a mut HashMap<u64, RowFacts>,
}

impl Surroundings for Around<'_> {
    fn corroboration(&mut self, cell: u64) -> Corroboration {
        let heard = self
            .near
            .place(cell)
            .map_or([0.0; CLASSES], |place| self.channels.heard_at(self.near, place));
        let devices = self.devices.get(&cell).map(Vec::as_slice).unwrap_or_default();
        corroborate(&heard, self.reliabilities, devices)
    }

    fn facts(&mut self, cell: u64) -> RowFacts {
        if let Some(facts) = self.facts.get(&cell) {
            return *facts;
        }
        let Some(place) = self.near.place(cell) else {
            return RowFacts::default();
        };
        let facts = self.facts_of(cell, place);
        self.facts.insert(cell, facts);
        facts
    }
}

impl Around<'_> {
    fn facts_of(&mut self, cell: u64, place: Place) -> RowFacts {
        let place = place as usize;
        if self.static_facts.len() <= place {
            self.static_facts.resize(place + 1, None);
        }
        if self.static_facts.get(place).is_none_or(Option::is_none)
            && let Some(found) = static_facts(self.model, self.places, self.reference, cell)
            && let Some(slot) = self.static_facts.get_mut(place)
        {
            *slot = Some(found);
        }
        let Some(Some(known)) = self.static_facts.get(place) else {
            return RowFacts::default();
        };
        let mut facts = known.facts;
        let lacks = self.model.coping.iter().enumerate().map(|(position, coping)| {
            let of_facilities = known.lacks.get(position).copied().flatten();
            let lack = of_facilities.unwrap_or_else(|| {
                let units = self.units.get(position).map(Vec::as_slice).unwrap_or_default();
                let distances = units
                    .iter()
                    .map(|unit| great_circle_metres(known.centre, *unit) / 1000.0);
                lack_at(distances.reduce(f64::min), coping.half_way)
            });
            (lack, coping.weight)
        });
        facts.reference.lack_of_coping = weighted_mean(lacks);
        facts
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
    Some(StaticFacts {
        facts: RowFacts {
            population: known.population,
            facilities,
            infrastructure,
            reference: Reference {
                population: known
                    .population
                    .map(|people| of_density(people / index.area_km2())),
                facilities: facilities.map(of_facilities),
                infrastructure: infrastructure.map(of_facilities),
                susceptibility: known.susceptibility,
                lack_of_coping: None,
            },
        },
        lacks: lacks.collect(),
        centre,
    })
}
