//! Well-known binary (OGC 06-103r4, section 8.2), read strictly: whatever computes with it relies on rings that are closed,
//! coordinates that are finite and no bytes left over, which crates for it do not promise.
//!
//! ISO and extended dimensions (Z, M) and an SRID in front are passed over: geometries here are flat. Parts of a
//! collection must have its byte order and dimensions, and no SRID of their own, as all writers do; other readers
//! in the process rely on that without looking.

use geo::{
    BoundingRect, Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon,
    Point, Polygon, Rect,
};

/// How deep collections may lie in collections.
pub(super) const DEEPEST: usize = 16;
const EXTENDED_Z: u32 = 0x8000_0000;
const EXTENDED_M: u32 = 0x4000_0000;
const EXTENDED_SRID: u32 = 0x2000_0000;

/// Why bytes or a text are no geometry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGeometry {
    /// The bytes end too early.
    #[error("it ends at byte {0}, in the middle of a geometry")]
    TooShort(usize),
    /// Bytes are left over.
    #[error("{extra} bytes follow the geometry, which ends at byte {end}")]
    TooLong {
        /// Where the geometry ends.
        end: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// No byte order, or two.
    #[error("the byte order at byte {0} is neither 0 nor 1, or another than that of the whole")]
    ByteOrder(usize),
    /// No type of geometry, or none that may stand there.
    #[error("{code} at byte {at} is no type of geometry that may stand there")]
    Type {
        /// What stands there.
        code: u32,
        /// Where.
        at: usize,
    },
    /// A coordinate that is infinite or no number.
    #[error("a coordinate at byte {0} is not a finite number")]
    NotFinite(usize),
    /// A ring that does not end where it begins.
    #[error("a ring that ends at byte {0} is not closed: its first and last positions differ")]
    Open(usize),
    /// A line or ring of too few positions.
    #[error("a line or ring that ends at byte {at} has {found} positions, at least {needed} are needed")]
    TooFewPositions {
        /// Where it ends.
        at: usize,
        /// How many it has.
        found: usize,
        /// How many it needs.
        needed: usize,
    },
    /// A part without positions.
    #[error("the part that ends at byte {0} is empty; leave it out")]
    EmptyPart(usize),
    /// Collections in collections.
    #[error("collections lie in collections more than {DEEPEST} deep")]
    TooDeep,
    /// No well-known text, and why.
    #[error("it is not well-known text: {0}")]
    NotText(&'static str),
    /// A text that begins with no name.
    #[error("no name of a geometry is so long")]
    LongName,
    /// A text that goes on.
    #[error("something follows the geometry")]
    More,
}

/// The geometry of these bytes. `POINT EMPTY`, which has no form of its own in `geo`, is a `MULTIPOINT` of no points.
///
/// # Errors
/// [`InvalidGeometry`] for anything but exactly one well-formed geometry of finite coordinates.
pub fn read(bytes: &[u8]) -> Result<Geometry, InvalidGeometry> {
    let mut reader = Reader { bytes, at: 0 };
    let little = reader.byte_order()?;
    let head = reader.head(little, true)?;
    let geometry = reader.body(head, 0)?;
    match bytes.len() - reader.at {
        0 => Ok(geometry),
        extra => Err(InvalidGeometry::TooLong {
            end: reader.at,
            extra,
        }),
    }
}

/// The name of the type of a geometry, as in `MultiPoint`.
///
/// # Errors
/// [`InvalidGeometry`] if the bytes begin with no type.
pub fn type_of(bytes: &[u8]) -> Result<&'static str, InvalidGeometry> {
    let mut reader = Reader { bytes, at: 0 };
    let little = reader.byte_order()?;
    Ok(match reader.head(little, true)?.kind {
        1 => "Point",
        2 => "LineString",
        3 => "Polygon",
        4 => "MultiPoint",
        5 => "MultiLineString",
        6 => "MultiPolygon",
        _ => "GeometryCollection",
    })
}

/// The little-endian WKB of a geometry.
pub fn write(geometry: &Geometry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(wkb::writer::geometry_wkb_size(geometry));
    // Writing to a Vec cannot fail; a geometry of more than 2^32 positions, which could, does not fit into a column.
    let _ = wkb::writer::write_geometry(&mut bytes, geometry, &wkb::writer::WriteOptions::default());
    bytes
}

/// The little-endian WKB of a point.
#[inline]
pub fn point_wkb(x: f64, y: f64) -> [u8; 21] {
    let mut bytes = [0; 21];
    bytes[0] = 1;
    bytes[1] = 1;
    bytes[5..13].copy_from_slice(&x.to_le_bytes());
    bytes[13..21].copy_from_slice(&y.to_le_bytes());
    bytes
}

/// The least box around a geometry; `None` if it is empty.
pub fn bounds_of(geometry: &Geometry) -> Option<Rect> {
    geometry.bounding_rect()
}

/// What comes before the coordinates.
#[derive(Clone, Copy)]
struct Head {
    little: bool,
    kind: u32,
    /// Numbers of a position: 2 to 4.
    dimensions: usize,
    /// The flags and thousands that say which dimensions there are.
    dimension_code: u32,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], InvalidGeometry> {
        let taken = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .ok_or(InvalidGeometry::TooShort(self.bytes.len()))?;
        self.at += N;
        Ok(*taken)
    }

    fn number(&mut self, little: bool) -> Result<u32, InvalidGeometry> {
        let bytes = self.take()?;
        Ok(if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    fn float(&mut self, little: bool) -> Result<f64, InvalidGeometry> {
        let bytes = self.take()?;
        Ok(if little {
            f64::from_le_bytes(bytes)
        } else {
            f64::from_be_bytes(bytes)
        })
    }

    /// A count of things of which each takes at least `least` bytes.
    fn count(&mut self, head: Head, least: usize) -> Result<usize, InvalidGeometry> {
        let count = self.number(head.little)? as usize;
        let room = (self.bytes.len() - self.at) / least;
        if count > room {
            return Err(InvalidGeometry::TooShort(self.bytes.len()));
        }
        Ok(count)
    }

    fn byte_order(&mut self) -> Result<bool, InvalidGeometry> {
        let at = self.at;
        match self.take::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(InvalidGeometry::ByteOrder(at)),
        }
    }

    fn head(&mut self, little: bool, outermost: bool) -> Result<Head, InvalidGeometry> {
        let at = self.at;
        let code = self.number(little)?;
        let wrong = InvalidGeometry::Type { code, at };
        if code & EXTENDED_SRID != 0 {
            if !outermost {
                return Err(wrong);
            }
            self.take::<4>()?;
        }
        let flags = code & (EXTENDED_Z | EXTENDED_M);
        let plain = code & !(EXTENDED_Z | EXTENDED_M | EXTENDED_SRID);
        let dimensions = match (plain / 1000, flags.count_ones()) {
            (0, flagged) => 2 + flagged as usize,
            (1 | 2, 0) => 3,
            (3, 0) => 4,
            _ => return Err(wrong),
        };
        let kind = plain % 1000;
        if !(1..=7).contains(&kind) {
            return Err(wrong);
        }
        Ok(Head {
            little,
            kind,
            dimensions,
            dimension_code: code - kind - (code & EXTENDED_SRID),
        })
    }

    /// The head of a part of a collection.
    fn part_head(
        &mut self,
        whole: Head,
        kinds: std::ops::RangeInclusive<u32>,
    ) -> Result<Head, InvalidGeometry> {
        let at = self.at;
        if self.byte_order()? != whole.little {
            return Err(InvalidGeometry::ByteOrder(at));
        }
        let head = self.head(whole.little, false)?;
        if !kinds.contains(&head.kind) || head.dimension_code != whole.dimension_code {
            let code = head.dimension_code + head.kind;
            return Err(InvalidGeometry::Type { code, at: at + 1 });
        }
        Ok(head)
    }

    fn body(&mut self, head: Head, depth: usize) -> Result<Geometry, InvalidGeometry> {
        const PART: usize = 9;
        Ok(match head.kind {
            1 => match self.point(head)? {
                Some(point) => Geometry::Point(point),
                None => Geometry::MultiPoint(MultiPoint::new(vec![])),
            },
            2 => Geometry::LineString(self.line(head)?),
            3 => Geometry::Polygon(self.polygon(head)?),
            4 => {
                let count = self.count(head, PART)?;
                let mut points = Vec::with_capacity(count);
                for _ in 0..count {
                    let part = self.part_head(head, 1..=1)?;
                    let point = self.point(part)?;
                    points.push(point.ok_or(InvalidGeometry::EmptyPart(self.at))?);
                }
                Geometry::MultiPoint(MultiPoint::new(points))
            }
            5 => {
                let count = self.count(head, PART)?;
                let mut lines = Vec::with_capacity(count);
                for _ in 0..count {
                    let part = self.part_head(head, 2..=2)?;
                    let line = self.line(part)?;
                    self.not_empty(&line)?;
                    lines.push(line);
                }
                Geometry::MultiLineString(MultiLineString::new(lines))
            }
            6 => {
                let count = self.count(head, PART)?;
                let mut polygons = Vec::with_capacity(count);
                for _ in 0..count {
                    let part = self.part_head(head, 3..=3)?;
                    let polygon = self.polygon(part)?;
                    self.not_empty(polygon.exterior())?;
                    polygons.push(polygon);
                }
                Geometry::MultiPolygon(MultiPolygon::new(polygons))
            }
            _ => {
                if depth >= DEEPEST {
                    return Err(InvalidGeometry::TooDeep);
                }
                let count = self.count(head, PART)?;
                let mut parts = Vec::with_capacity(count);
                for _ in 0..count {
                    let part = self.part_head(head, 1..=7)?;
                    parts.push(self.body(part, depth + 1)?);
                }
                Geometry::GeometryCollection(GeometryCollection::from(parts))
            }
        })
    }

    /// `None` is the empty point, which is written as NaNs.
    fn point(&mut self, head: Head) -> Result<Option<Point>, InvalidGeometry> {
        let at = self.at;
        let mut numbers = [0.0; 4];
        for number in numbers.iter_mut().take(head.dimensions) {
            *number = self.float(head.little)?;
        }
        let [x, y, ..] = numbers;
        let used = numbers.iter().take(head.dimensions);
        if used.clone().all(|number| number.is_nan()) {
            return Ok(None);
        }
        if used.clone().any(|number| !number.is_finite()) {
            return Err(InvalidGeometry::NotFinite(at));
        }
        Ok(Some(Point::new(x, y)))
    }

    fn positions(&mut self, head: Head) -> Result<Vec<Coord>, InvalidGeometry> {
        let count = self.count(head, 8 * head.dimensions)?;
        let mut positions = Vec::with_capacity(count);
        for _ in 0..count {
            let at = self.at;
            let point = self.point(head)?.ok_or(InvalidGeometry::NotFinite(at))?;
            positions.push(point.0);
        }
        Ok(positions)
    }

    fn line(&mut self, head: Head) -> Result<LineString, InvalidGeometry> {
        let positions = self.positions(head)?;
        self.enough(positions.len(), 2)?;
        Ok(LineString::new(positions))
    }

    fn polygon(&mut self, head: Head) -> Result<Polygon, InvalidGeometry> {
        let count = self.count(head, 4)?;
        let mut rings = Vec::with_capacity(count);
        for _ in 0..count {
            let positions = self.positions(head)?;
            self.enough(positions.len(), 4)?;
            if positions.first() != positions.last() {
                return Err(InvalidGeometry::Open(self.at));
            }
            rings.push(LineString::new(positions));
        }
        let mut rings = rings.into_iter();
        let exterior = rings.next().unwrap_or_else(|| LineString::new(vec![]));
        Ok(Polygon::new(exterior, rings.collect()))
    }

    /// Writers of well-known text do not expect an empty part.
    fn not_empty(&self, line: &LineString) -> Result<(), InvalidGeometry> {
        if line.0.is_empty() {
            return Err(InvalidGeometry::EmptyPart(self.at));
        }
        Ok(())
    }

    /// No positions at all are an empty line or ring.
    fn enough(&self, found: usize, needed: usize) -> Result<(), InvalidGeometry> {
        if found == 0 || found >= needed {
            return Ok(());
        }
        Err(InvalidGeometry::TooFewPositions {
            at: self.at,
            found,
            needed,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wkt::{text_of, wkb_of_text};
    use super::*;

    const TEXTS: [&str; 12] = [
        "POINT(1 2)",
        "POINT EMPTY",
        "LINESTRING(0 0,1 1.5)",
        "LINESTRING EMPTY",
        "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 1))",
        "POLYGON EMPTY",
        "MULTIPOINT((1 2),(3 4))",
        "MULTILINESTRING((0 0,1 1),(2 2,3 3))",
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
        "GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(LINESTRING(0 0,1 1)))",
        "GEOMETRYCOLLECTION EMPTY",
        "POINT Z(1 2 3)",
    ];

    #[test]
    fn what_is_written_is_read() {
        for text in TEXTS {
            let bytes = wkb_of_text(text).expect(text);
            let geometry = read(&bytes).expect(text);
            if !text.contains("POINT EMPTY") && !text.contains('Z') {
                assert_eq!(write(&geometry), bytes, "{text}");
            }
            assert_eq!(text_of(&bytes).as_deref(), Some(text));
        }
        let point = point_wkb(1.0, 2.0);
        assert_eq!(wkb_of_text("POINT(1 2)").as_deref(), Ok(&point[..]));
    }

    #[test]
    fn big_endian_and_extended_headers_are_read() {
        let mut big = vec![0, 0, 0, 0, 1];
        big.extend(1.0_f64.to_be_bytes());
        big.extend(2.0_f64.to_be_bytes());
        let expected = Geometry::Point(Point::new(1.0, 2.0));
        assert_eq!(read(&big), Ok(expected.clone()));
        let mut extended = vec![1, 1, 0, 0, 0xA0, 0xE6, 0x10, 0, 0];
        for number in [1.0_f64, 2.0, 3.0] {
            extended.extend(number.to_le_bytes());
        }
        assert_eq!(read(&extended), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let good = wkb_of_text("POLYGON((0 0,4 0,4 4,0 0))").expect("a polygon");
        assert_eq!(read(&[]), Err(InvalidGeometry::TooShort(0)));
        assert_eq!(read(&good[..40]), Err(InvalidGeometry::TooShort(40)));
        assert_eq!(
            read(&[good.clone(), vec![7]].concat()),
            Err(InvalidGeometry::TooLong { end: 77, extra: 1 })
        );
        let mut open = good.clone();
        open[61..69].copy_from_slice(&9.0_f64.to_le_bytes());
        assert_eq!(read(&open), Err(InvalidGeometry::Open(77)));
        let mut infinite = good.clone();
        infinite[13..21].copy_from_slice(&f64::INFINITY.to_le_bytes());
        assert_eq!(read(&infinite), Err(InvalidGeometry::NotFinite(13)));
        let mut empty = vec![1, 6, 0, 0, 0, 1, 0, 0, 0];
        empty.extend([1, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&empty), Err(InvalidGeometry::EmptyPart(18)));
        let mut kind = good;
        kind[1] = 9;
        assert_eq!(read(&kind), Err(InvalidGeometry::Type { code: 9, at: 1 }));
    }

    proptest! {
        /// Bytes cut, changed or made up are refused or read, and what is read can be read by the other reader too.
        #[test]
        fn no_bytes_make_a_reader_panic(
            text in 0..TEXTS.len(),
            place in 0_usize..200,
            byte in any::<u8>(),
            length in 0_usize..300,
        ) {
            let mut bytes = wkb_of_text(TEXTS[text]).expect("a geometry");
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes.truncate(length);
            if read(&bytes).is_ok() {
                prop_assert!(text_of(&bytes).is_some());
            }
        }
    }
}
