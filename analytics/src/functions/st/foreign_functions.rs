//! The functions that are taken from `geodatafusion` as they are.
//!
//! Not taken: those of boxes with a height (`box3d`, `st_3dmakebox`, `st_zmin`, `st_zmax`), which WKB cannot say, and
//! `st_makebox2d`, which is `st_makeenvelope` with points for numbers. Written anew: those that are slow, and those that
//! answer wrongly (a hull without area is a polygon of two positions there, a collection of lines has no length, an
//! empty point ends the query).

use geodatafusion::udf::geo::processing::{
    Centroid, PointOnSurface, Simplify, SimplifyPreserveTopology, SimplifyVW,
};
use geodatafusion::udf::geohash::{Box2DFromGeoHash, PointFromGeoHash};
use geodatafusion::udf::native::accessors::{
    CoordDim, EndPoint, IsClosed, IsEmpty, M, NDims, NPoints, NumInteriorRings, StartPoint, X, Y, Z,
};
use geodatafusion::udf::native::bounding_box::{XMax, XMin, YMax, YMin};
use geodatafusion::udf::native::constructors::{MakePointM, PointM, PointZ, PointZM};
use geodatafusion::udf::native::io::{AsBinary, AsText};

use super::super::definition::{Definition, Kind};
use super::foreign::{Empty, call};

macro_rules! foreign {
    ($name:literal $(or $alias:literal)*, $arguments:expr => $result:ident, $function:ty, $empty:ident, $description:literal) => {
        Definition {
            name: $name,
            aliases: &[$($alias),*],
            description: $description,
            arguments: $arguments,
            optional: 0,
            result: Kind::$result,
            call: |arguments| call(arguments, &<$function>::default(), Empty::$empty),
        }
    };
}

const ONE: &[(&str, Kind)] = &[("geometry", Kind::Geometry)];
const WITH_DEGREES: &[(&str, Kind)] = &[("geometry", Kind::Geometry), ("degrees", Kind::Number)];
const XYZ: &[(&str, Kind)] = &[("x", Kind::Number), ("y", Kind::Number), ("z", Kind::Number)];
const XYM: &[(&str, Kind)] = &[("x", Kind::Number), ("y", Kind::Number), ("m", Kind::Number)];

#[rustfmt::skip]
pub(super) static DEFINITIONS: [Definition; 29] = [
    foreign!("st_centroid", ONE => Geometry, Centroid, Null, "The centre of mass of the geometry's parts of the highest dimension."),
    foreign!("st_pointonsurface", ONE => Geometry, PointOnSurface, Null, "A point that lies in the geometry."),
    foreign!("st_simplify", WITH_DEGREES => Geometry, Simplify, Null, "The geometry without the positions that are within so many degrees of the line that stays (Douglas-Peucker); it may cross itself."),
    foreign!("st_simplifyvw", WITH_DEGREES => Geometry, SimplifyVW, Null, "The geometry without the corners whose triangles are smaller than so many square degrees (Visvalingam-Whyatt); it may cross itself."),
    foreign!("st_simplifypreservetopology", WITH_DEGREES => Geometry, SimplifyPreserveTopology, Null, "As st_simplifyvw, but corners stay without which the geometry would cross itself."),
    foreign!("st_isempty", ONE => Truth, IsEmpty, Own, "Whether the geometry has no point."),
    foreign!("st_isclosed", ONE => Truth, IsClosed, Own, "Whether lines end where they begin."),
    foreign!("st_npoints" or "st_numpoints", ONE => Whole, NPoints, Own, "How many positions the geometry has."),
    foreign!("st_numinteriorrings" or "st_numinteriorring", ONE => Whole, NumInteriorRings, Own, "How many holes a polygon has; NULL for what is none."),
    foreign!("st_coorddim", ONE => Whole, CoordDim, Own, "How many numbers a position has: 2, with a height or a measure 3, with both 4."),
    foreign!("st_ndims", ONE => Whole, NDims, Own, "The same as st_coorddim."),
    foreign!("st_startpoint", ONE => Geometry, StartPoint, Null, "The first point of a LINESTRING; NULL for what is none."),
    foreign!("st_endpoint", ONE => Geometry, EndPoint, Null, "The last point of a LINESTRING; NULL for what is none."),
    foreign!("st_x", ONE => Number, X, Null, "The longitude of a point; NULL for what is none."),
    foreign!("st_y", ONE => Number, Y, Null, "The latitude of a point; NULL for what is none."),
    foreign!("st_z", ONE => Number, Z, Null, "The height of a point; NULL for what has none."),
    foreign!("st_m", ONE => Number, M, Null, "The measure of a point; NULL for what has none."),
    foreign!("st_xmin", ONE => Number, XMin, Null, "The least longitude of the geometry."),
    foreign!("st_xmax", ONE => Number, XMax, Null, "The greatest longitude of the geometry."),
    foreign!("st_ymin", ONE => Number, YMin, Null, "The least latitude of the geometry."),
    foreign!("st_ymax", ONE => Number, YMax, Null, "The greatest latitude of the geometry."),
    foreign!("st_pointz", XYZ => Geometry, PointZ, Own, "The point of longitude x, latitude y and height z."),
    foreign!("st_pointm", XYM => Geometry, PointM, Own, "The point of longitude x, latitude y and measure m."),
    foreign!("st_makepointm", XYM => Geometry, MakePointM, Own, "The same as st_pointm."),
    foreign!("st_pointzm", &[("x", Kind::Number), ("y", Kind::Number), ("z", Kind::Number), ("m", Kind::Number)] => Geometry, PointZM, Own, "The point of longitude x, latitude y, height z and measure m."),
    foreign!("st_astext", ONE => Text, AsText, Own, "The geometry as well-known text."),
    foreign!("st_asbinary", ONE => Bytes, AsBinary, Own, "The geometry as well-known binary."),
    foreign!("st_pointfromgeohash", &[("geohash", Kind::Text)] => Geometry, PointFromGeoHash, Own, "The centre of the box that a geohash names."),
    foreign!("st_box2dfromgeohash", &[("geohash", Kind::Text)] => Geometry, Box2DFromGeoHash, Own, "The box that a geohash names."),
];
