//! Boxes, hulls, lengths and areas.

use geo::{
    Area as _, BoundingRect as _, ConvexHull as _, Coord, Euclidean, Geometry, Length as _, Line,
    MinimumRotatedRect as _, Point, Polygon, Rect,
};

use super::super::definition::{Definition, Kind};
use super::super::geometries::number_column;
use super::constructors::rectangle;

pub(super) static DEFINITIONS: [Definition; 6] = [
    Definition {
        name: "st_envelope",
        aliases: &["box2d"],
        description: "The least box around the geometry: a rectangle, or a line or point if it has no area; NULL of an empty one.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Geometry,
        call: |arguments| {
            let envelopes = arguments.for_each(|geometry| Ok(geometry.bounding_rect().map(envelope)))?;
            arguments.geometry_column(envelopes)
        },
    },
    Definition {
        name: "st_convexhull",
        aliases: &[],
        description: "The least convex polygon around the geometry, or a line or point if it has no area; NULL of an empty one.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Geometry,
        call: |arguments| {
            let hulls = arguments.for_each(|geometry| Ok(flattened(&geometry.convex_hull())))?;
            arguments.geometry_column(hulls)
        },
    },
    Definition {
        name: "st_orientedenvelope",
        aliases: &[],
        description: "The least rectangle around the geometry, turned as it may be, or a line or point if it has no area; NULL of an empty one.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Geometry,
        call: |arguments| {
            let rectangles = arguments.for_each(|geometry| {
                Ok(match geometry.minimum_rotated_rect() {
                    Some(rectangle) if rectangle.unsigned_area() > 0.0 => Some(Geometry::Polygon(rectangle)),
                    _ => flattened(&geometry.convex_hull()),
                })
            })?;
            arguments.geometry_column(rectangles)
        },
    },
    Definition {
        name: "st_area",
        aliases: &[],
        description: "The area of the polygons of the geometry, in square degrees; 0 without polygons.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Number,
        call: |arguments| {
            let areas = arguments.for_each(|geometry| Ok(Some(geometry.unsigned_area())))?;
            Ok(number_column(areas))
        },
    },
    Definition {
        name: "st_length",
        aliases: &["st_length2d"],
        description: "The length of all lines of the geometry, in degrees; 0 of points and polygons.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Number,
        call: |arguments| {
            let lengths = arguments.for_each(|geometry| Ok(Some(length(geometry))))?;
            Ok(number_column(lengths))
        },
    },
    Definition {
        name: "st_perimeter",
        aliases: &[],
        description: "The length of all rings of the polygons of the geometry, in degrees; 0 without polygons.",
        arguments: &[("geometry", Kind::Geometry)],
        optional: 0,
        result: Kind::Number,
        call: |arguments| {
            Ok(number_column(
                arguments.for_each(|geometry| Ok(Some(perimeter(geometry))))?,
            ))
        },
    },
];

/// The box as the geometry of the fewest dimensions.
pub(super) fn envelope(bounds: Rect) -> Geometry {
    let (min, max) = (bounds.min(), bounds.max());
    if min == max {
        Geometry::Point(Point::from(min))
    } else if min.x >= max.x || min.y >= max.y {
        Geometry::LineString(Line::new(min, max).into())
    } else {
        Geometry::Polygon(rectangle(bounds))
    }
}

/// A convex polygon as what it is: without area a line from end to end, or a point.
fn flattened(polygon: &Polygon) -> Option<Geometry> {
    if polygon.unsigned_area() > 0.0 {
        return Some(Geometry::Polygon(polygon.clone()));
    }
    let west_to_east = |a: &&Coord, b: &&Coord| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y));
    let corners = || polygon.exterior().coords();
    let (first, last) = (corners().min_by(west_to_east)?, corners().max_by(west_to_east)?);
    Some(if first == last {
        Geometry::Point(Point::from(*first))
    } else {
        Geometry::LineString(Line::new(*first, *last).into())
    })
}

fn length(geometry: &Geometry) -> f64 {
    match geometry {
        Geometry::LineString(line) => Euclidean.length(line),
        Geometry::MultiLineString(lines) => Euclidean.length(lines),
        Geometry::GeometryCollection(parts) => parts.iter().map(length).sum(),
        _ => 0.0,
    }
}

fn perimeter(geometry: &Geometry) -> f64 {
    match geometry {
        Geometry::Polygon(polygon) => perimeter_of(polygon),
        Geometry::MultiPolygon(polygons) => polygons.iter().map(perimeter_of).sum(),
        Geometry::GeometryCollection(parts) => parts.iter().map(perimeter).sum(),
        _ => 0.0,
    }
}

fn perimeter_of(polygon: &Polygon) -> f64 {
    let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
    rings.map(|ring| Euclidean.length(ring)).sum()
}
