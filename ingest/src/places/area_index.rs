//! All areas: by id, by name, and by place.

use std::sync::{Arc, OnceLock};

use arrow::array::{BinaryArray, BinaryBuilder};
use hashbrown::HashMap;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::area::Area;
use crate::globe::normalized;
use crate::words::{AreaIds, LonLat};

/// The box of one polygon, the area that it is of (by position), and its number in the area.
type PartBox = GeomWithData<Rectangle<[f64; 2]>, (u32, u32)>;

/// Areas do not change while the program runs.
///
/// Which areas hold a point is asked in two steps: an R-tree of the boxes of polygons gives candidates, and the exact
/// predicate of [`Shape`](crate::globe::Shape) decides.
#[derive(Debug, Default)]
pub struct AreaIndex {
    /// Ascending by id.
    areas: Vec<Area>,
    by_id: HashMap<Arc<str>, u32>,
    by_name: HashMap<String, Vec<u32>>,
    tree: RTree<PartBox>,
    well_known_binary: OnceLock<BinaryArray>,
}

/// Two areas have one id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the id `{id}` is that of {} `{}` and of {} `{}`; ids are unique over all levels: name a field that differs in `id`, or put \
     a constant before it, as in id = [{{ const = \"district\" }}, \"code\"]",
    .areas[0].0, .areas[0].1, .areas[1].0, .areas[1].1
)]
pub struct SameId {
    /// The id.
    pub id: Arc<str>,
    /// Level and name of both.
    pub areas: [(Arc<str>, String); 2],
}

/// Why no area is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSuchArea {
    /// No areas were loaded.
    NoneLoaded,
    /// None has this id or name.
    Unknown,
    /// Several have this name: their ids, ascending.
    Ambiguous(Vec<Arc<str>>),
}

impl AreaIndex {
    /// # Errors
    /// When two areas have one id.
    pub fn new(mut areas: Vec<Area>) -> Result<Self, SameId> {
        areas.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some([one, other]) = areas.array_windows().find(|[one, other]| one.id == other.id) {
            return Err(SameId {
                id: Arc::clone(&one.id),
                areas: [one, other].map(|area| (Arc::clone(&area.level), area.name.clone())),
            });
        }
        let (mut by_id, mut by_name, mut boxes) =
            (HashMap::new(), HashMap::<String, Vec<u32>>::new(), Vec::new());
        for (position, area) in (0_u32..).zip(&areas) {
            by_id.insert(Arc::clone(&area.id), position);
            by_name.entry_ref(area.name.as_str()).or_default().push(position);
            boxes.extend(
                (0_u32..)
                    .zip(area.shape.boxes())
                    .map(|(part, [west, south, east, north])| {
                        let rectangle = Rectangle::from_corners([west, south], [east, north]);
                        PartBox::new(rectangle, (position, part))
                    }),
            );
        }
        Ok(Self {
            areas,
            by_id,
            by_name,
            tree: RTree::bulk_load(boxes),
            well_known_binary: OnceLock::new(),
        })
    }

    /// All areas, ascending by id.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// The area with this id.
    pub fn get(&self, id: &str) -> Option<&Area> {
        self.by_id.get(id).and_then(|position| self.at(*position))
    }

    /// The area that a person means by `text`: its id, else a name that no other area has.
    ///
    /// # Errors
    /// [`NoSuchArea`], with what might be meant.
    pub fn find(&self, text: &str) -> Result<&Area, NoSuchArea> {
        if let Some(area) = self.get(text) {
            return Ok(area);
        }
        match self.by_name.get(text).map(Vec::as_slice) {
            Some([position]) => self.at(*position).ok_or(NoSuchArea::NoneLoaded),
            Some(positions) => Err(NoSuchArea::Ambiguous(
                positions
                    .iter()
                    .filter_map(|position| self.at(*position))
                    .map(|area| Arc::clone(&area.id))
                    .collect(),
            )),
            None if self.is_empty() => Err(NoSuchArea::NoneLoaded),
            None => Err(NoSuchArea::Unknown),
        }
    }

    fn at(&self, position: u32) -> Option<&Area> {
        self.areas.get(position as usize)
    }

    /// The areas that hold a point, ascending by id. See [`Shape`](crate::globe::Shape) for points on borders.
    pub fn areas_of(&self, place: LonLat) -> Vec<&Area> {
        let point = normalized(place);
        let mut found: Vec<u32> = self
            .tree
            .locate_in_envelope_intersecting(&AABB::from_point(point))
            .map(|candidate| candidate.data)
            .filter(|(position, part)| {
                self.at(*position)
                    .is_some_and(|area| area.shape.part_contains(*part as usize, point))
            })
            .map(|(position, _)| position)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .filter_map(|position| self.at(position))
            .collect()
    }

    /// The ids of the areas that hold a point, ascending.
    pub fn ids_of(&self, place: LonLat) -> AreaIds {
        self.areas_of(place)
            .into_iter()
            .map(|area| Arc::clone(&area.id))
            .collect()
    }

    /// The shapes as multi-polygons in well-known binary, in the order of [`Self::areas`]; made when first asked for.
    pub fn well_known_binary(&self) -> &BinaryArray {
        self.well_known_binary.get_or_init(|| {
            let mut shapes = BinaryBuilder::new();
            let mut bytes = Vec::new();
            for area in &self.areas {
                bytes.clear();
                let options = wkb::writer::WriteOptions::default();
                match wkb::writer::write_multi_polygon(&mut bytes, area.shape.geometry(), &options) {
                    Ok(()) => shapes.append_value(&bytes),
                    // A Vec takes all bytes, so this is a defect of the writer's.
                    Err(error) => {
                        tracing::error!(%error, area = &*area.id, "an area cannot be written as WKB");
                        shapes.append_null();
                    }
                }
            }
            shapes.finish()
        })
    }

    /// Sets what is only known once all areas are: the parent and the population of each.
    pub(super) fn complete(&mut self, mut with: impl FnMut(&Self, &Area) -> (Option<Arc<str>>, Option<u64>)) {
        let completed: Vec<_> = self.areas.iter().map(|area| with(self, area)).collect();
        for (area, (parent, population)) in self.areas.iter_mut().zip(completed) {
            (area.parent, area.population) = (parent, population);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globe::Shape;
    use proptest::prelude::*;

    fn area(id: &str, name: &str, polygons: Vec<Vec<[f64; 2]>>) -> Option<Area> {
        Some(Area {
            id: id.into(),
            name: name.to_owned(),
            level: "district".into(),
            parent: None,
            population: None,
            shape: Shape::new(polygons.into_iter().map(|ring| vec![ring]).collect()).ok()?,
        })
    }

    fn square(west: f64) -> Vec<Vec<[f64; 2]>> {
        let east = west + 1.0;
        vec![vec![
            [west, 0.0],
            [east, 0.0],
            [east, 1.0],
            [west, 1.0],
            [west, 0.0],
        ]]
    }

    fn closed(corners: Vec<(i32, i32)>) -> Vec<[f64; 2]> {
        let mut ring: Vec<[f64; 2]> = corners
            .into_iter()
            .map(|(lon, lat)| [f64::from(lon), f64::from(lat)])
            .collect();
        ring.extend(ring.first().copied());
        ring
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_look_at_every_area_finds(
            shapes in prop::collection::vec(
                prop::collection::vec(prop::collection::vec((-180..=180_i32, -90..=90_i32), 3..5), 1..3), 0..30),
            points in prop::collection::vec((-180..=180_i32, -90..=90_i32), 1..50),
        ) {
            let areas: Vec<Area> = shapes
                .into_iter()
                .enumerate()
                .filter_map(|(number, rings)| {
                    area(&format!("{number:02}"), "", rings.into_iter().map(closed).collect())
                })
                .collect();
            let index = AreaIndex::new(areas.clone()).unwrap();
            // Corners are points that matter, too.
            let corners = areas.iter().flat_map(|area| area.shape.geometry().0.iter().flat_map(|part| part.exterior().0.clone()));
            let corners: Vec<_> = corners.map(|corner| (corner.x, corner.y)).collect();
            let points = points.into_iter().map(|(lon, lat)| (f64::from(lon), f64::from(lat)));
            for (lon, lat) in points.chain(corners) {
                let slow: Vec<&str> =
                    areas.iter().filter(|area| area.shape.contains([lon, lat])).map(|area| &*area.id).collect();
                let ids = index.ids_of([lon, lat]);
                prop_assert_eq!(ids.iter().map(|id| &**id).collect::<Vec<_>>(), slow);
            }
        }
    }

    #[test]
    fn an_area_is_meant_by_its_id_or_by_a_name_of_its_own() {
        let areas = [
            ("a", "Downtown"),
            ("b", "Downtown"),
            ("c", "罗湖"),
            ("Downtown 2", "b"),
        ];
        let areas = areas
            .iter()
            .zip(0..)
            .map(|((id, name), at)| area(id, name, square(f64::from(at))).unwrap());
        let index = AreaIndex::new(areas.collect()).unwrap();
        assert_eq!(&*index.find("罗湖").unwrap().id, "c");
        // An id goes before a name.
        assert_eq!(&*index.find("b").unwrap().id, "b");
        assert_eq!(
            index.find("Downtown").unwrap_err(),
            NoSuchArea::Ambiguous(vec!["a".into(), "b".into()])
        );
        assert_eq!(index.find("Uptown").unwrap_err(), NoSuchArea::Unknown);
        assert_eq!(
            AreaIndex::default().find("a").unwrap_err(),
            NoSuchArea::NoneLoaded
        );
    }

    #[test]
    fn an_id_may_be_there_once() {
        let areas = ["One", "Other"].map(|name| area("a", name, square(0.0)).unwrap());
        let said = AreaIndex::new(areas.into()).unwrap_err().to_string();
        assert!(
            said.starts_with("the id `a` is that of district `One` and of district `Other`; ids are unique"),
            "{said}"
        );
    }

    #[test]
    fn the_binary_form_is_read_back_by_its_own_reader() {
        use geo_traits::{GeometryTrait as _, GeometryType, MultiPolygonTrait as _};
        let index = AreaIndex::new(vec![area("a", "A", square(3.0)).unwrap()]).unwrap();
        let shape = wkb::reader::read_wkb(index.well_known_binary().value(0)).unwrap();
        let GeometryType::MultiPolygon(polygons) = shape.as_type() else {
            panic!("{shape:?}");
        };
        assert_eq!(polygons.num_polygons(), 1);
    }
}
