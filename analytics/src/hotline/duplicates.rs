//! Which open cases may be about the same thing: near in place and time, of the same layer or group. No text and no person is
//! compared, and nothing is merged by itself.
//!
//! A store narrows what it hands over with [`boxes_around`] and the span of time; who is a candidate is decided here.

use riskgrid_ingest::places::great_circle_metres;
use riskgrid_ingest::{EventTime, HOUR};

/// The distance at which two places count half as near, where a layer says no other.
pub const DUPLICATE_RADIUS: f64 = 100.0;
/// Longest time between two reports of one thing.
pub const LONGEST_APART: i64 = 720 * HOUR;
/// How many candidates are told.
const MOST: usize = 5;
/// From this many radii on places are apart.
const FARTHEST_RADII: f64 = 3.0;
/// How much larger the radius is where a place is only a street.
const STREET_FACTOR: f64 = 3.0;
/// Hours after which the weight of time is a half.
const HALF_LIFE_HOURS: f64 = 72.0;
const PLACE_EXPONENT: f64 = 0.7;
const TIME_EXPONENT: f64 = 0.3;
/// The least score in the same layer, in millionths; a half of it in the same group, where a score is at most a half.
const LEAST: f64 = 500_000.0;
/// Metres of a degree of latitude, a little less than any.
const DEGREE_METRES: f64 = 111_190.0;

/// How well a place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceQuality {
    /// To the point.
    Exact,
    /// It is somewhere in this street.
    Street,
    /// It is somewhere in this area.
    Area,
    /// It is not known.
    Unlocated,
}

impl PlaceQuality {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Street, Self::Area, Self::Unlocated];

    /// The name in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Street => "street",
            Self::Area => "area",
            Self::Unlocated => "unlocated",
        }
    }

    /// The quality of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.as_str() == name)
    }
}

/// What of a case is compared.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The case.
    pub id: &'a str,
    /// When it was reported.
    pub opened_at: EventTime,
    /// Degrees.
    pub lon: f64,
    /// Degrees.
    pub lat: f64,
    /// The id of its place in the table of places.
    pub place: Option<&'a str>,
    /// How well that is known.
    pub quality: PlaceQuality,
    /// Its layer.
    pub layer: &'a str,
    /// The hazard group of its layer.
    pub group: Option<&'a str>,
}

/// A case that may be about the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// The case.
    pub id: String,
    /// 0 to 1, to a millionth.
    pub score: f64,
    /// When it was reported.
    pub opened_at: EventTime,
}

/// How likely two cases are about the same, to a millionth: 0 for what is out of reach. `radius` is of the layer asked about.
pub fn duplicate_score(one: &Sighting<'_>, other: &Sighting<'_>, radius: f64) -> f64 {
    let kinship = if one.layer == other.layer {
        1.0
    } else if one.group.is_some() && one.group == other.group {
        0.5
    } else {
        return 0.0;
    };
    let apart = one.opened_at.since(other.opened_at).saturating_abs();
    let qualities = [one.quality, other.quality];
    let is_vague = |quality: &PlaceQuality| matches!(quality, PlaceQuality::Area | PlaceQuality::Unlocated);
    if LONGEST_APART < apart || qualities.iter().any(is_vague) {
        return 0.0;
    }
    let radius = if qualities.contains(&PlaceQuality::Street) {
        radius * STREET_FACTOR
    } else {
        radius
    };
    let near = if one.place.is_some() && one.place == other.place {
        1.0
    } else {
        let distance = great_circle_metres([one.lon, one.lat], [other.lon, other.lat]);
        if FARTHEST_RADII * radius < distance {
            return 0.0;
        }
        (-(distance / radius).powi(2)).exp()
    };
    let hours = apart as f64 / HOUR as f64;
    let recent = (-hours / HALF_LIFE_HOURS).exp2();
    let score = kinship * near.powf(PLACE_EXPONENT) * recent.powf(TIME_EXPONENT);
    (score * 1e6 + 0.5).floor() / 1e6
}

/// The best of the cases that score enough: by score, then the older, then by id.
pub fn duplicates<'a>(
    case: &Sighting<'_>,
    radius: f64,
    others: impl IntoIterator<Item = Sighting<'a>>,
) -> Vec<Duplicate> {
    let mut found: Vec<Duplicate> = Vec::new();
    for other in others.into_iter().filter(|other| other.id != case.id) {
        let score = duplicate_score(case, &other, radius);
        let least = if other.layer == case.layer {
            LEAST
        } else {
            LEAST / 2.0
        };
        if score * 1e6 < least - 0.5 {
            continue;
        }
        found.push(Duplicate {
            id: other.id.to_owned(),
            score,
            opened_at: other.opened_at,
        });
        if MOST < found.len() {
            found.sort_by(better_first);
            found.truncate(MOST);
        }
    }
    found.sort_by(better_first);
    found
}

fn better_first(one: &Duplicate, other: &Duplicate) -> std::cmp::Ordering {
    other
        .score
        .total_cmp(&one.score)
        .then(one.opened_at.cmp(&other.opened_at))
        .then_with(|| one.id.cmp(&other.id))
}

/// A box of degrees, its edges in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DegreeBox {
    /// At most `east`.
    pub west: f64,
    /// At most `north`.
    pub south: f64,
    /// Up to 180.
    pub east: f64,
    /// Up to 90.
    pub north: f64,
}

impl DegreeBox {
    /// Whether a point is in it.
    pub fn holds(&self, [lon, lat]: [f64; 2]) -> bool {
        (self.west..=self.east).contains(&lon) && (self.south..=self.north).contains(&lat)
    }
}

/// Boxes that hold every candidate but those of the same place: two where the 180th meridian is near. Half a turn around the
/// poles, where a few metres are all longitudes.
pub fn boxes_around([lon, lat]: [f64; 2], radius: f64) -> Vec<DegreeBox> {
    let reach = FARTHEST_RADII * STREET_FACTOR * radius;
    let up = reach / DEGREE_METRES;
    let (south, north) = ((lat - up).max(-90.0), (lat + up).min(90.0));
    let narrowest = south.abs().max(north.abs()).to_radians().cos();
    let aside = up / narrowest;
    let strip = |west, east| DegreeBox {
        west,
        south,
        east,
        north,
    };
    if !(0.0..180.0).contains(&aside) || narrowest < 1e-3 {
        return vec![strip(-180.0, 180.0)];
    }
    let (west, east) = (lon - aside, lon + aside);
    if west < -180.0 {
        vec![strip(west + 360.0, 180.0), strip(-180.0, east)]
    } else if 180.0 < east {
        vec![strip(west, 180.0), strip(-180.0, east - 360.0)]
    } else {
        vec![strip(west, east)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sighting(lon: f64, lat: f64, hours: f64) -> Sighting<'static> {
        Sighting {
            id: "a",
            opened_at: EventTime::from_micros((hours * HOUR as f64) as i64),
            lon,
            lat,
            place: None,
            quality: PlaceQuality::Exact,
            layer: "noise",
            group: Some("environment"),
        }
    }

    /// So many metres to the north of the equator's first point.
    fn apart(metres: f64, hours: f64) -> f64 {
        let lat = (metres / 6_371_007.180_918_475_f64).to_degrees();
        duplicate_score(&sighting(0.0, 0.0, 0.0), &sighting(0.0, lat, hours), 100.0)
    }

    #[test]
    fn scores_are_the_contracts() {
        let (one, other) = (sighting(113.95, 22.54, 0.0), sighting(113.9505, 22.5404, 5.0));
        let distance = great_circle_metres([one.lon, one.lat], [other.lon, other.lat]);
        assert_eq!(format!("{distance:.9}"), "67.935010829");
        let score = |other: &Sighting<'_>| format!("{:.6}", duplicate_score(&one, other, 100.0));
        assert_eq!(score(&other), "0.713550");
        assert_eq!(
            score(&Sighting {
                layer: "dust",
                ..other
            }),
            "0.356775"
        );
        let apart_group = Sighting {
            layer: "dust",
            group: None,
            ..other
        };
        assert_eq!(score(&apart_group), "0.000000");
        let street = Sighting {
            quality: PlaceQuality::Street,
            ..other
        };
        assert_eq!(score(&street), "0.950910");
        let one_place = Sighting {
            place: Some("p1"),
            ..one
        };
        let other_place = Sighting {
            place: Some("p1"),
            ..sighting(113.96, 22.55, 72.0)
        };
        assert_eq!(
            format!("{:.6}", duplicate_score(&one_place, &other_place, 100.0)),
            "0.812252"
        );
        assert_eq!(format!("{:.6}", apart(100.0, 0.0)), "0.496585");
        assert_eq!(format!("{:.6}", apart(50.0, 24.0)), "0.783241");
        assert_eq!((apart(301.0, 0.0), apart(0.0, 721.0)), (0.0, 0.0));
        let (west, east) = (sighting(179.9998, -16.5, 0.0), sighting(-179.9998, -16.5, 1.0));
        let distance = great_circle_metres([west.lon, west.lat], [east.lon, east.lat]);
        assert_eq!(format!("{distance:.9}"), "42.646404103");
        assert_eq!(format!("{:.6}", duplicate_score(&west, &east, 100.0)), "0.877921");
    }

    #[test]
    fn the_five_best_are_told_the_older_first() {
        let ids: Vec<String> = (0..9).map(|number| format!("c{number}")).collect();
        let others = ids.iter().enumerate().map(|(place, id)| Sighting {
            id,
            opened_at: EventTime::from_micros(if place < 4 { 5 - place as i64 } else { 0 }),
            ..sighting(113.95, 22.54, 0.0)
        });
        let found = duplicates(&sighting(113.95, 22.54, 0.0), 100.0, others);
        let found: Vec<&str> = found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(found, ["c4", "c5", "c6", "c7", "c8"]);
        let of_group = Sighting {
            id: "b",
            layer: "dust",
            ..sighting(113.95, 22.54, 0.0)
        };
        assert_eq!(
            duplicates(&sighting(113.95, 22.54, 0.0), 100.0, [of_group])[0].score,
            0.5
        );
        let vague = Sighting {
            id: "b",
            quality: PlaceQuality::Area,
            ..of_group
        };
        assert_eq!(duplicates(&sighting(113.95, 22.54, 0.0), 100.0, [vague]), []);
    }

    proptest! {
        /// What a store hands over by boxes is all that a scan of everything would find, at the antimeridian and the poles too.
        #[test]
        fn boxes_lose_no_candidate(
            lon in prop_oneof![-180.0..180.0f64, 179.99..180.0f64, -180.0..-179.99f64],
            lat in prop_oneof![-90.0..90.0f64, 89.99..90.0f64, -90.0..-89.99f64],
            moves in prop::collection::vec((-1.0..1.0f64, -1.0..1.0f64, 0.0..800.0f64, any::<bool>()), 0..40),
            radius in 1.0..2_000.0f64,
        ) {
            let ids: Vec<String> = (0..moves.len()).map(|number| format!("c{number:02}")).collect();
            let case = sighting(lon, lat, 0.0);
            let reach = 10.0 * radius / 111_000.0;
            let others: Vec<Sighting<'_>> = moves.iter().zip(&ids).map(|((east, up, hours, street), id)| {
                let other_lat = (lat + up * reach).clamp(-90.0, 90.0);
                let aside = east * reach / other_lat.to_radians().cos().max(1e-9);
                let other_lon = (lon + aside + 180.0).rem_euclid(360.0) - 180.0;
                let quality = if *street { PlaceQuality::Street } else { PlaceQuality::Exact };
                Sighting { id, quality, ..sighting(other_lon, other_lat, *hours) }
            }).collect();
            let boxes = boxes_around([lon, lat], radius);
            let narrowed = others.iter().copied().filter(|other| boxes.iter().any(|one| one.holds([other.lon, other.lat])));
            prop_assert_eq!(duplicates(&case, radius, narrowed), duplicates(&case, radius, others.iter().copied()));
        }
    }
}
