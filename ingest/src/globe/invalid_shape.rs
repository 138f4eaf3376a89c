//! What can be wrong with polygons.

use std::fmt;

/// Why polygons cannot be used. Rings and polygons are counted from 1; ring 1 of a polygon is its outline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InvalidShape {
    /// There is no polygon.
    Empty,
    /// A number that is not finite, or not a longitude or latitude.
    OffTheGlobe {
        /// Where.
        ring: RingNumber,
        /// The position.
        position: [f64; 2],
    },
    /// A ring does not end where it begins.
    Unclosed {
        /// Where.
        ring: RingNumber,
        /// Its first and its last position.
        ends: [[f64; 2]; 2],
    },
    /// A ring of fewer than three different corners.
    TooFewCorners {
        /// Where.
        ring: RingNumber,
    },
    /// An edge that is longer than half of the globe.
    OverTheAntimeridian {
        /// Where.
        ring: RingNumber,
        /// The ends of the edge.
        ends: [[f64; 2]; 2],
    },
    /// Two edges cross, and not only by as much as rounding makes them.
    CrossesItself {
        /// The rings of the two edges.
        rings: [RingNumber; 2],
        /// About where.
        at: [f64; 2],
    },
    /// A hole that is not in its polygon.
    HoleOutside {
        /// The hole.
        ring: RingNumber,
    },
    /// Nothing is inside.
    Flat,
}

/// A ring by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingNumber {
    /// Number of the polygon, from 1.
    pub polygon: usize,
    /// Number of the ring in it, from 1.
    pub ring: usize,
}

impl fmt::Display for RingNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ring {} of polygon {}", self.ring, self.polygon)
    }
}

impl std::error::Error for InvalidShape {}

impl fmt::Display for InvalidShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |[lon, lat]: &[f64; 2]| format!("lon {lon}, lat {lat}");
        match self {
            Self::Empty => formatter.write_str("it has no polygon"),
            Self::OffTheGlobe { ring, position } => write!(
                formatter,
                "{ring}: {} is off the globe: lon goes from -180 to 180, lat from -90 to 90, and lon is written first; \
                 are they swapped, or in another reference system?",
                place(position)
            ),
            Self::Unclosed {
                ring,
                ends: [first, last],
            } => write!(
                formatter,
                "{ring} is not closed: it begins at {} and ends at {}; repeat the first position at its end",
                place(first),
                place(last)
            ),
            Self::TooFewCorners { ring } => {
                write!(formatter, "{ring} has fewer than three different corners")
            }
            Self::OverTheAntimeridian {
                ring,
                ends: [from, to],
            } => write!(
                formatter,
                "{ring}: its edge from {} to {} goes around more than half of the globe; cut a polygon that crosses the \
                 antimeridian there into two, as RFC 7946 has it in section 3.1.9",
                place(from),
                place(to)
            ),
            Self::CrossesItself {
                rings: [one, other],
                at,
            } => {
                if one == other {
                    write!(formatter, "{one} crosses itself near {}", place(at))?;
                } else {
                    write!(formatter, "{one} crosses {other} near {}", place(at))?;
                }
                formatter.write_str("; put its corners right, for example with ST_MakeValid of PostGIS")
            }
            Self::HoleOutside { ring } => {
                write!(
                    formatter,
                    "{ring} is a hole and lies outside of ring 1; give a polygon of its own to what is no hole"
                )
            }
            Self::Flat => formatter.write_str("it encloses nothing"),
        }
    }
}
