//! Addresses and places, as the table of places has them.

use super::Desk;
use super::place::Placed;
use crate::problem::Problem;

impl Desk {
    /// Where an address is.
    pub(super) fn at_address(&self, _address: &str) -> Result<Placed, Problem> {
        Ok(Placed {
            found: "none",
            ..Placed::nowhere()
        })
    }

    /// Where a place of the table is.
    ///
    /// # Errors
    /// 422: there is none of this id.
    pub(super) fn at_place(&self, place: &str) -> Result<Placed, Problem> {
        let shown: String = place.chars().take(64).collect();
        Err(Problem::unprocessable(format!(
            "there is no place `{shown}` in the table of `hotline.places`"
        )))
    }
}
