//! Features of a GeoJSON FeatureCollection (RFC 7946).

use std::borrow::Cow;

use geojson::{GeometryValue, Position};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::{FileProblem, PlaceProblem};
use super::row::{Fields, Geometry, Row, RowNumber, unusable};
use crate::globe::Ring;

/// Names that the old `crs` member (GeoJSON of 2008) has for longitude and latitude in WGS 84.
const LON_LAT: [&str; 5] = [
    "urn:ogc:def:crs:OGC:1.3:CRS84",
    "urn:ogc:def:crs:OGC::CRS84",
    "OGC:CRS84",
    "urn:ogc:def:crs:EPSG::4326",
    "EPSG:4326",
];

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    features: Vec<&'a RawValue>,
    crs: Option<Value>,
}

#[derive(Deserialize)]
struct Feature<'a> {
    id: Option<Value>,
    properties: Option<Map<String, Value>>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
}

/// Calls `each` with every feature of `text`.
pub(super) fn read(
    text: &[u8],
    each: &mut dyn FnMut(&Row<'_>) -> Result<(), PlaceProblem>,
) -> Result<(), FileProblem> {
    // A feature is read when it is its turn, so that what is wrong with it can be told by its number.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let collection: Collection<'_> = serde_json::from_slice(text).map_err(PlaceProblem::GeoJson)?;
    if collection.kind != "FeatureCollection" {
        return Err(format!("it is a `{}`; a FeatureCollection is needed", collection.kind).into());
    }
    if let Some(crs) = &collection.crs {
        let name = crs
            .pointer("/properties/name")
            .and_then(Value::as_str)
            .unwrap_or("of another form");
        if !crs.is_null() && !LON_LAT.contains(&name) {
            return Err(format!(
                "its reference system is {name}; longitude and latitude in WGS 84 (OGC:CRS84) are needed: transform it, for \
                 example with ogr2ogr -t_srs OGC:CRS84"
            )
            .into());
        }
    }
    for (number, text) in (1..).zip(&collection.features) {
        let number = RowNumber {
            word: "feature",
            number,
        };
        let feature: Feature<'_> = serde_json::from_str(text.get())
            .map_err(|error| FileProblem::at(number, PlaceProblem::Feature(error)))?;
        let geometry = feature.geometry.map(geometry).transpose();
        geometry
            .and_then(|geometry| {
                each(&Row {
                    number,
                    fields: &feature,
                    geometry,
                })
            })
            .map_err(|problem| FileProblem::at(number, problem))?;
    }
    Ok(())
}

fn geometry(text: &RawValue) -> Result<Geometry, PlaceProblem> {
    let value: GeometryValue = serde_json::from_str(text.get()).map_err(PlaceProblem::Geometry)?;
    let polygon = |rings: Vec<Vec<Position>>| {
        rings
            .iter()
            .map(|ring| positions(ring))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match value {
        GeometryValue::Point { coordinates } => Geometry::Point(position(&coordinates)?),
        GeometryValue::Polygon { coordinates } => Geometry::Polygons(vec![polygon(coordinates)?]),
        GeometryValue::MultiPolygon { coordinates } => {
            Geometry::Polygons(coordinates.into_iter().map(polygon).collect::<Result<_, _>>()?)
        }
        other => return Err(unusable(other.type_name())),
    })
}

fn positions(ring: &[Position]) -> Result<Ring, PlaceProblem> {
    ring.iter().map(position).collect()
}

/// Longitude and latitude; an altitude is left out.
fn position(position: &Position) -> Result<[f64; 2], PlaceProblem> {
    match position.as_slice() {
        [lon, lat, ..] => Ok([*lon, *lat]),
        _ => Err("a position has fewer than two numbers; it is [longitude, latitude]".into()),
    }
}

impl Fields for Feature<'_> {
    /// A property; `id` is that of the feature where no property has this name.
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let properties = self.properties.as_ref();
        let value = match name.strip_prefix('/') {
            None => properties.and_then(|properties| properties.get(name)),
            Some(path) => {
                let mut steps = path
                    .split('/')
                    .map(|step| step.replace("~1", "/").replace("~0", "~"));
                let first = steps.next().and_then(|step| properties?.get(&step));
                steps.try_fold(first?, |value, step| match value {
                    Value::Object(fields) => fields.get(&step),
                    Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                    _ => None,
                })
            }
        };
        match value.or_else(|| self.id.as_ref().filter(|_| name == "id"))? {
            Value::Null => None,
            Value::String(text) => (!text.is_empty()).then_some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_string())),
        }
    }
}
