//! Whose a case is, by the duty table in force.

use riskgrid_analytics::hotline::moves::{Move, Refusal};
use serde_json::Value;

use super::moving::refused;
use super::work::Work;
use crate::hotline::store::CaseRow;
use crate::problem::Problem;

impl Work<'_> {
    /// Gives the case to the office of the row that fits best.
    pub(super) fn assign(&self, case: &mut CaseRow, _data: &mut Value) -> Result<(), Problem> {
        Err(refused(Refusal::NoOffice, case.state()?, Move::Dispatch))
    }
}
