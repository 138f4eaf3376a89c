//! Facilities, such as hospitals: the nearest ones to a place.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use rstar::RTree;
use rstar::primitives::GeomWithData;

use crate::globe::{metres_between, unit_vector};
use crate::words::LonLat;

/// A thing that stays at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Facility {
    /// Unique over all kinds.
    pub id: Arc<str>,
    /// For people.
    pub name: String,
    /// `hospital`, `fire_station`, …
    pub kind: Arc<str>,
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// What else its file says of it, as texts.
    pub properties: Vec<(Arc<str>, String)>,
}

/// Two facilities have one id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the id `{id}` is that of `{}` and of `{}`; ids are unique over all kinds: name a field that differs in `id`, or put a \
     constant before it, as in id = [{{ const = \"airport\" }}, \"code\"]",
    .names[0], .names[1]
)]
pub struct SameFacilityId {
    /// The id.
    pub id: Arc<str>,
    /// The name of both.
    pub names: [String; 2],
}

/// A facility, and how far away it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearFacility<'a> {
    /// Which.
    pub facility: &'a Facility,
    /// Along the great circle.
    pub metres: f64,
}

/// A place on the unit sphere and the position of the facility there.
type Placed = GeomWithData<[f64; 3], u32>;

/// Facilities do not change while the program runs. They lie in R-trees of points on the unit sphere, one of all and
/// one a kind, so that poles and the antimeridian are places like any other.
#[derive(Debug, Default)]
pub struct FacilityIndex {
    /// Ascending by id.
    facilities: Vec<Facility>,
    all: RTree<Placed>,
    by_kind: BTreeMap<Arc<str>, RTree<Placed>>,
}

impl FacilityIndex {
    /// # Errors
    /// When two facilities have one id.
    pub fn new(mut facilities: Vec<Facility>) -> Result<Self, SameFacilityId> {
        facilities.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some([one, other]) = facilities.array_windows().find(|[one, other]| one.id == other.id) {
            return Err(SameFacilityId {
                id: Arc::clone(&one.id),
                names: [one.name.clone(), other.name.clone()],
            });
        }
        let mut all = Vec::with_capacity(facilities.len());
        let mut by_kind: HashMap<Arc<str>, Vec<Placed>> = HashMap::new();
        for (position, facility) in (0_u32..).zip(&facilities) {
            let placed = Placed::new(unit_vector([facility.lon, facility.lat]), position);
            all.push(placed);
            by_kind
                .entry(Arc::clone(&facility.kind))
                .or_default()
                .push(placed);
        }
        Ok(Self {
            facilities,
            all: RTree::bulk_load(all),
            by_kind: by_kind
                .into_iter()
                .map(|(kind, placed)| (kind, RTree::bulk_load(placed)))
                .collect(),
        })
    }

    /// All facilities, ascending by id.
    pub fn facilities(&self) -> &[Facility] {
        &self.facilities
    }

    /// The kinds that there are, ascending.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_kind.keys()
    }

    /// The `most` nearest facilities to a place, the nearest first, of one kind or of any; of equally near ones those
    /// with the least id. None for a kind that there is not.
    pub fn nearest(&self, place: LonLat, most: usize, kind: Option<&str>) -> Vec<NearFacility<'_>> {
        let tree = match kind {
            None => Some(&self.all),
            Some(kind) => self.by_kind.get(kind),
        };
        let (Some(tree), true) = (tree, most > 0) else {
            return Vec::new();
        };
        let from = unit_vector(place);
        let mut found: Vec<(f64, &Placed)> = Vec::new();
        for (placed, distance) in tree.nearest_neighbor_iter_with_distance_2(&from) {
            // Past the last one that counts, equally near ones are still wanted.
            if found.len() >= most && found.last().is_some_and(|(last, _)| distance > *last) {
                break;
            }
            found.push((distance, placed));
        }
        // Positions ascend with ids.
        found.sort_by(|(a, one), (b, other)| a.total_cmp(b).then(one.data.cmp(&other.data)));
        let near = found.into_iter().take(most).filter_map(|(_, placed)| {
            Some(NearFacility {
                facility: self.facilities.get(placed.data as usize)?,
                metres: metres_between(from, *placed.geom()),
            })
        });
        near.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globe::great_circle_metres;
    use proptest::prelude::*;

    fn facility(id: usize, kind: &str, lon: f64, lat: f64) -> Facility {
        Facility {
            id: format!("f{id:03}").into(),
            name: format!("facility {id}"),
            kind: kind.into(),
            lon,
            lat,
            properties: Vec::new(),
        }
    }

    fn ids(near: &[NearFacility<'_>]) -> Vec<String> {
        near.iter().map(|near| near.facility.id.to_string()).collect()
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_loop(
            // On a coarse raster there are equal distances, poles and antimeridian included.
            places in prop::collection::vec((-12..=12_i32, -6..=6_i32, any::<bool>()), 0..60),
            from in (-12..=12_i32, -6..=6_i32),
            most in 0_usize..8,
            kind in prop::option::of(any::<bool>()),
        ) {
            let name = |is_hospital: bool| if is_hospital { "hospital" } else { "school" };
            let degrees = |number: i32| f64::from(number) * 15.0;
            let all: Vec<Facility> = places
                .iter()
                .enumerate()
                .map(|(id, (lon, lat, is_hospital))| facility(id, name(*is_hospital), degrees(*lon), degrees(*lat)))
                .collect();
            let index = FacilityIndex::new(all.clone()).unwrap();
            let (lon, lat) = (degrees(from.0), degrees(from.1));
            let near = index.nearest([lon, lat], most, kind.map(name));
            let mut slow: Vec<f64> = all
                .iter()
                .filter(|facility| kind.is_none_or(|kind| &*facility.kind == name(kind)))
                .map(|facility| great_circle_metres([lon, lat], [facility.lon, facility.lat]))
                .collect();
            slow.sort_by(f64::total_cmp);
            slow.truncate(most);
            prop_assert_eq!(near.len(), slow.len());
            for (near, slow) in near.iter().zip(slow) {
                // Places of equal distance differ by rounding: below a micrometre.
                prop_assert!((near.metres - slow).abs() < 1e-1, "{} {slow}", near.metres);
            }
        }
    }

    #[test]
    fn the_antimeridian_and_the_poles_are_places_like_any_other() {
        let index = FacilityIndex::new(vec![
            facility(1, "school", -179.9, 0.0),
            facility(2, "school", 179.0, 0.0),
            facility(3, "school", 0.0, 89.9),
        ])
        .unwrap();
        assert_eq!(ids(&index.nearest([179.9, 0.0], 2, None)), ["f001", "f002"]);
        let over_the_pole = index.nearest([180.0, 89.9], 1, Some("school"));
        assert_eq!(ids(&over_the_pole), ["f003"]);
        assert!((over_the_pole[0].metres - 22_239.0).abs() < 1.0);
    }

    #[test]
    fn of_equally_near_ones_the_least_ids_come() {
        let index =
            FacilityIndex::new((0..9).rev().map(|id| facility(id, "school", 7.0, 50.0)).collect()).unwrap();
        assert_eq!(
            ids(&index.nearest([8.0, 50.0], 3, None)),
            ["f000", "f001", "f002"]
        );
        assert!(index.nearest([8.0, 50.0], 3, Some("hospital")).is_empty());
    }

    #[test]
    fn an_id_may_be_there_once() {
        let error = FacilityIndex::new(vec![
            facility(1, "school", 0.0, 0.0),
            facility(1, "hospital", 1.0, 1.0),
        ]);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("the id `f001` is that of `facility 1`")
        );
    }
}
