//! Where a case is: coordinates, a place of the table, an address that is looked up there, or nowhere yet.

use h3o::LatLng;
use serde_json::{Map, Value, json};

use super::Desk;
use super::body::{LONGEST_TEXT, check_text};
use crate::hotline::store::CaseRow;
use crate::problem::Problem;

/// A place that was found, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Degrees.
    pub position: Option<[f64; 2]>,
    /// The base cell.
    pub cell: Option<u64>,
    /// Of the table of places.
    pub place: Option<String>,
    /// `exact`, `street`, `area`, `unlocated`.
    pub quality: &'static str,
    /// The areas that hold it.
    pub areas: Vec<String>,
    /// How an address was found: `exact`, `ambiguous`, `none`; that of the place where there was no address.
    pub found: &'static str,
    /// What an address may have meant.
    pub candidates: Vec<Value>,
}

/// The members by which a place is given.
pub const PLACE_MEMBERS: [&str; 4] = ["lon", "lat", "address", "place"];

impl Placed {
    /// Nowhere.
    pub const fn nowhere() -> Self {
        Self {
            position: None,
            cell: None,
            place: None,
            quality: "unlocated",
            areas: Vec::new(),
            found: "unlocated",
            candidates: Vec::new(),
        }
    }

    /// Puts a case there.
    pub fn put(&self, case: &mut CaseRow) {
        (case.lon, case.lat) = (
            self.position.map(|position| position[0]),
            self.position.map(|position| position[1]),
        );
        case.cell = self.cell.map(u64::cast_signed);
        case.place.clone_from(&self.place);
        self.quality.clone_into(&mut case.place_quality);
        case.areas = json!(self.areas).to_string();
    }

    /// As answers tell it.
    pub fn shown(&self) -> Value {
        json!({"quality": self.found, "candidates": self.candidates})
    }
}

impl Desk {
    /// The place that some members give.
    ///
    /// # Errors
    /// 422: they give several, or one that is none.
    pub fn place_of(&self, members: &Map<String, Value>) -> Result<Placed, Problem> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let number = |name: &str| members.get(name).and_then(Value::as_f64);
        match (number("lon"), number("lat"), text("address"), text("place")) {
            (None, None, None, None) => Ok(Placed::nowhere()),
            (Some(lon), Some(lat), None, None) => self.at([lon, lat], None, "exact"),
            (None, None, Some(address), None) => {
                check_text("address", address, LONGEST_TEXT)?;
                self.at_address(address)
            }
            (None, None, None, Some(place)) => self.at_place(place),
            _ => Err(Problem::unprocessable(
                "a place is given as `lon` and `lat`, or as `address`, or as `place`",
            )),
        }
    }

    /// A place of known coordinates.
    ///
    /// # Errors
    /// 422: they are none, or outside of what is let in.
    pub(super) fn at(
        &self,
        position: [f64; 2],
        place: Option<String>,
        quality: &'static str,
    ) -> Result<Placed, Problem> {
        let [lon, lat] = position;
        let is_on_earth = (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
        let latlng = LatLng::new(lat, lon).ok().filter(|_| is_on_earth);
        let Some(latlng) = latlng.filter(|_| position != [0.0, 0.0]) else {
            return Err(Problem::unprocessable(
                "`lon` and `lat` are degrees, -180 to 180 and -90 to 90, and not both 0",
            ));
        };
        if let Some(bounds) = &self.settings.bounds
            && !bounds.contains([lon, lat])
        {
            return Err(Problem::unprocessable(
                "the place is outside of `edge.bounds`, so that no event of it would be let in",
            ));
        }
        let areas = self.places.areas.ids_of(position);
        Ok(Placed {
            position: Some(position),
            cell: Some(latlng.to_cell(self.settings.resolution).into()),
            place,
            quality,
            areas: areas.iter().map(ToString::to_string).collect(),
            found: quality,
            candidates: Vec::new(),
        })
    }
}
