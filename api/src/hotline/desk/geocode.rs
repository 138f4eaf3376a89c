//! Addresses and places, as the table of places has them.

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
    /// A place of the table.
    #[allow(clippy::unused_self, reason = "the table of places is the desk's")]
    pub fn known_place(&self, _id: &str) -> Option<KnownPlace> {
        None
    }

    /// Where an address is: not found, as long as there is no table to look in.
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the table of places is the desk's"
    )]
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
    #[allow(clippy::unused_self, reason = "the table of places is the desk's")]
    pub(super) fn at_place(&self, place: &str) -> Result<Placed, Problem> {
        let shown: String = place.chars().take(64).collect();
        Err(Problem::unprocessable(format!(
            "there is no place `{shown}` in the table of `hotline.places`"
        )))
    }
}
