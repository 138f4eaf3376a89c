//! Which open cases may be of the same thing.

use serde_json::Value;

use super::Desk;
use super::work::Work;
use crate::hotline::store::CaseRow;
use crate::problem::Problem;

impl Desk {
    /// The possible duplicates of a case, of those that are seen.
    ///
    /// # Errors
    /// The database's.
    pub async fn duplicates_of(
        &self,
        _case: &CaseRow,
        _is_seen: impl Fn(&CaseRow) -> bool,
    ) -> Result<Vec<Value>, Problem> {
        Ok(Vec::new())
    }
}

impl Work<'_> {
    pub(super) async fn possible_duplicates(&mut self, _case: &CaseRow) -> Result<Vec<Value>, Problem> {
        Ok(Vec::new())
    }
}
