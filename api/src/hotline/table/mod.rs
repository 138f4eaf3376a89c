//! The SQL tables `cases`, `case_moves`, `case_clocks` and `case_assessed`, as their reader may see them. The public has none of
//! them.

mod cases;
mod rows;

use std::sync::Arc;

use riskgrid_analytics::QueryTables;
use riskgrid_analytics::permission::Permission;

use crate::hotline::desk::Desk;
use crate::hotline::store::CaseRow;

/// Who reads, as far as cases are concerned.
#[derive(Clone)]
pub(crate) struct Reader {
    /// Layers and places.
    pub(crate) seen: Arc<Permission>,
    /// Offices; none: all.
    pub(crate) offices: Arc<[String]>,
}

impl Reader {
    fn sees(&self, case: &CaseRow) -> bool {
        let is_of_office = self.offices.is_empty()
            || case
                .office
                .as_ref()
                .is_some_and(|office| self.offices.contains(office));
        is_of_office && self.seen.admits_layer(Some(&case.layer)) && self.seen.admits_place(case.position())
    }
}

/// The same tables, and those of the hotline.
pub(crate) fn with_cases(tables: QueryTables, desk: &Arc<Desk>, reader: &Reader) -> QueryTables {
    tables
        .with(Arc::new(cases::table(Arc::clone(desk), reader.clone())))
        .with(Arc::new(rows::moves(Arc::clone(desk), reader.clone())))
        .with(Arc::new(rows::clocks(Arc::clone(desk), reader.clone())))
        .with(Arc::new(rows::assessed(Arc::clone(desk), reader.clone())))
}
