//! Addresses and places, as the table of places has them.

use riskgrid_analytics::hotline::geocoder::{Found, Place, PlaceKind, Quality};
use serde_json::{Value, json};

use super::Desk;
use super::place::Placed;
use crate::problem::Problem;

/// A place of the table, as answers may show it: in the table's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// Its first name.
    pub address: String,
    /// Its postcode.
    pub zipcode: Option<String>,
}

impl Desk {
    /// What of the table an address may mean.
    ///
    /// # Errors
    /// 422: it is longer than any address.
    pub fn geocode(&self, address: &str) -> Result<Value, Problem> {
        let found = self.found(address)?;
        Ok(json!({"quality": found.quality, "candidates": candidates(&found)}))
    }

    fn found(&self, address: &str) -> Result<Found<'_>, Problem> {
        let found = self.settings.gazetteer.find(address);
        found.map_err(|error| Problem::unprocessable(error.to_string()))
    }

    /// A place of the table.
    pub fn known_place(&self, id: &str) -> Option<KnownPlace> {
        let place = self.settings.gazetteer.get(id)?;
        Some(KnownPlace {
            address: place.names.first()?.clone(),
            zipcode: place.postcode.clone(),
        })
    }

    /// Where an address is: where one place is meant, there; where several may be, nowhere until somebody chooses one.
    ///
    /// # Errors
    /// 422: it is longer than any address, or outside of what is let in.
    pub(super) fn at_address(&self, address: &str) -> Result<Placed, Problem> {
        let found = self.found(address)?;
        if let Some(place) = found.exact() {
            return Ok(Placed {
                found: "exact",
                ..self.at_known(place)?
            });
        }
        Ok(Placed {
            found: match found.quality {
                Quality::None => "none",
                Quality::Ambiguous | Quality::Exact => "ambiguous",
            },
            candidates: candidates(&found),
            ..Placed::nowhere()
        })
    }

    /// Where a place of the table is.
    ///
    /// # Errors
    /// 422: there is none of this id, or it is outside of what is let in.
    pub(super) fn at_place(&self, id: &str) -> Result<Placed, Problem> {
        let place = self.settings.gazetteer.get(id).ok_or_else(|| {
            let shown: String = id.chars().take(64).collect();
            Problem::unprocessable(format!(
                "there is no place `{shown}` in the table of `hotline.places`; GET /v1/geocode?q= finds some"
            ))
        })?;
        self.at_known(place)
    }

    fn at_known(&self, place: &Place) -> Result<Placed, Problem> {
        // Somewhere in a street, or in an area, is not exactly there.
        let quality = match place.kind {
            PlaceKind::Address | PlaceKind::Crossing | PlaceKind::Poi => "exact",
            PlaceKind::Street => "street",
            PlaceKind::Area => "area",
        };
        self.at([place.lon, place.lat], Some(place.id.clone()), quality)
    }
}

fn candidates(found: &Found<'_>) -> Vec<Value> {
    let shown = found.candidates.iter().map(|candidate| {
        let place = candidate.place;
        json!({"id": place.id, "score": candidate.score(), "lon": place.lon, "lat": place.lat})
    });
    shown.collect()
}
