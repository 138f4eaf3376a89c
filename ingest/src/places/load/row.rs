//! One row of a file, whatever the file's format.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use geo_traits::{
    CoordTrait, GeometryTrait, GeometryType, LineStringTrait, MultiPolygonTrait, PointTrait, PolygonTrait,
};

use super::error::PlaceProblem;
use crate::decode::feed::{FieldSpec, IdSettings};
use crate::globe::{Ring, Shape};
use crate::words::slug_or_hash;

/// Bytes of an id and of a name.
const LONGEST_ID: usize = 256;
const LONGEST_NAME: usize = 1024;
/// More people in one row are a mistake.
const MOST_PEOPLE: f64 = 1e10;

/// The fields of a row, by name.
pub(super) trait Fields {
    /// The text of a field; `None` when it is missing, null or empty.
    fn text(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Where a row is in its file, as its format counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowNumber {
    /// `feature`, `line` or `row`.
    pub(super) word: &'static str,
    /// From 1.
    pub(super) number: u64,
}

impl fmt::Display for RowNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.word, self.number)
    }
}

/// A feature or row: its fields and its geometry, if it has one.
pub(super) struct Row<'a> {
    pub(super) number: RowNumber,
    pub(super) fields: &'a dyn Fields,
    pub(super) geometry: Option<Geometry>,
}

/// The geometries that places have. Rings as they are written; nothing is checked yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Geometry {
    /// `[lon, lat]` in degrees.
    Point([f64; 2]),
    /// Of each polygon its outline, then its holes.
    Polygons(Vec<Vec<Ring>>),
}

impl Geometry {
    /// The geometry that another crate's reader gives.
    pub(super) fn read(geometry: &impl GeometryTrait<T = f64>) -> Result<Self, PlaceProblem> {
        match geometry.as_type() {
            GeometryType::Point(point) => {
                let position = point.coord().ok_or("its point is empty")?;
                Ok(Self::Point([position.x(), position.y()]))
            }
            GeometryType::Polygon(polygon) => Ok(Self::Polygons(vec![rings(polygon)])),
            GeometryType::MultiPolygon(polygons) => Ok(Self::Polygons(
                polygons.polygons().map(|polygon| rings(&polygon)).collect(),
            )),
            GeometryType::LineString(_) => Err(unusable("LineString")),
            GeometryType::MultiPoint(_) => Err(unusable("MultiPoint")),
            GeometryType::MultiLineString(_) => Err(unusable("MultiLineString")),
            GeometryType::GeometryCollection(_) => Err(unusable("GeometryCollection")),
            GeometryType::Rect(_) | GeometryType::Triangle(_) | GeometryType::Line(_) => {
                Err(unusable("shape of another kind"))
            }
        }
    }
}

/// What is said about a geometry that is neither point nor polygon.
pub(super) fn unusable(kind: &str) -> PlaceProblem {
    format!("its geometry is a {kind}; areas are a Polygon or MultiPolygon, facilities and people a Point")
        .into()
}

fn rings(polygon: &impl PolygonTrait<T = f64>) -> Vec<Ring> {
    fn positions(ring: &impl LineStringTrait<T = f64>) -> Ring {
        ring.coords()
            .map(|position| [position.x(), position.y()])
            .collect()
    }
    let outline = polygon.exterior().map(|ring| positions(&ring));
    outline
        .into_iter()
        .chain(polygon.interiors().map(|ring| positions(&ring)))
        .collect()
}

impl Row<'_> {
    /// The text of a field that may be missing; blanks around it do not count.
    pub(super) fn text(&self, spec: &FieldSpec) -> Option<String> {
        let text = spec.read(|name| self.fields.text(name))?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The text of a field that must be there.
    pub(super) fn needed(&self, key: &str, spec: &FieldSpec) -> Result<String, PlaceProblem> {
        self.text(spec).ok_or_else(|| missing(key, spec))
    }

    /// The number in a field that may be missing.
    pub(super) fn number(&self, key: &str, spec: &FieldSpec) -> Result<Option<f64>, PlaceProblem> {
        let Some(text) = self.text(spec) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{} is `{text}`; `{key}` must be a number", describe(spec)).into()),
        }
    }

    /// A number of people.
    pub(super) fn people(&self, key: &str, spec: &FieldSpec) -> Result<Option<f64>, PlaceProblem> {
        let number = self.number(key, spec)?;
        match number.filter(|people| !(0.0..=MOST_PEOPLE).contains(people)) {
            Some(people) => Err(format!(
                "{} is {people}; `{key}` is a number of people, from 0 to {MOST_PEOPLE}",
                describe(spec)
            )
            .into()),
            None => Ok(number),
        }
    }

    /// The texts of several fields, all of which must be there, joined by `:`.
    pub(super) fn joined(&self, key: &str, spec: &IdSettings) -> Result<String, PlaceProblem> {
        let IdSettings::Fields(fields) = spec else {
            return Err(
                format!("`{key}` must name fields: a hash of the row tells nobody what it is").into(),
            );
        };
        let parts = fields
            .iter()
            .map(|field| self.needed(key, field))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(parts.join(":"))
    }

    /// The name, and the id that `spec` makes; without one the slug of the name.
    pub(super) fn name_and_id(
        &self,
        name: &FieldSpec,
        spec: Option<&IdSettings>,
        nameless: &str,
    ) -> Result<(String, Arc<str>), PlaceProblem> {
        let name = self.needed("name", name)?;
        let id = match spec {
            Some(spec) => self.joined("id", spec)?,
            None => slug_or_hash(&name, nameless),
        };
        if id.len() > LONGEST_ID || name.len() > LONGEST_NAME {
            return Err(format!("id and name may have {LONGEST_ID} and {LONGEST_NAME} bytes").into());
        }
        Ok((name, id.into()))
    }

    /// The place: the two fields where they are given, else the geometry; of polygons a point inside.
    pub(super) fn place(
        &self,
        lon: Option<&FieldSpec>,
        lat: Option<&FieldSpec>,
    ) -> Result<[f64; 2], PlaceProblem> {
        let place = match (lon, lat, &self.geometry) {
            (Some(lon), Some(lat), _) => {
                let number = |key: &str, spec: &FieldSpec| {
                    let missing = || missing(key, spec);
                    self.number(key, spec)?.ok_or_else(missing)
                };
                [number("lon", lon)?, number("lat", lat)?]
            }
            (None, None, Some(Geometry::Point(place))) => *place,
            (None, None, Some(Geometry::Polygons(polygons))) => {
                return Ok(shape(polygons.clone())?.point_inside());
            }
            (None, None, None) => {
                return Err("it has no place; give `lon` and `lat`, a file with geometries, or `wkt`".into());
            }
            (_, _, _) => return Err("`lon` and `lat` go together; give both".into()),
        };
        let [lon, lat] = place;
        if (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat) {
            return Ok(place);
        }
        Err(format!(
            "lon {lon}, lat {lat} is off the globe: lon goes from -180 to 180, lat from -90 to 90; are they swapped, or in \
             another reference system?"
        ).into())
    }
}

/// Checked polygons.
pub(super) fn shape(polygons: Vec<Vec<Ring>>) -> Result<Shape, PlaceProblem> {
    Ok(Shape::new(polygons)?)
}

fn missing(key: &str, spec: &FieldSpec) -> PlaceProblem {
    format!("{} is missing; `{key}` needs it", describe(spec)).into()
}

/// A field as messages name it.
fn describe(spec: &FieldSpec) -> String {
    match spec {
        FieldSpec::Name(field) | FieldSpec::Mapped { field, .. } => format!("field `{field}`"),
        FieldSpec::Const { constant } => format!("the constant `{constant}`"),
    }
}
