//! Duty, rules and calendars: data that people put there, of which the newest version is in force. Version 0 is what riskgrid
//! ships.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde_json::Value;

use super::Desk;
use super::settings::Settings;
use super::timing::{Spec, Timing};
use crate::database::Database;
use crate::hotline::store::{CaseRow, ClockRow, Datum, StoreError, newest_data, read_json};
use crate::problem::Problem;

/// A datum by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatumName {
    /// Whose a case is.
    Duty,
    /// By when it must be done.
    Rules,
    /// When offices work.
    Calendar(String),
}

impl DatumName {
    /// As the store has it.
    pub fn stored(&self) -> String {
        match self {
            Self::Duty => "duty".to_owned(),
            Self::Rules => "rules".to_owned(),
            Self::Calendar(id) => format!("calendar:{id}"),
        }
    }
}

/// All of them, as they are in force.
#[derive(Debug)]
pub struct HotlineData {
    stored: BTreeMap<String, (i64, Value)>,
}

impl HotlineData {
    /// Reads them.
    ///
    /// # Errors
    /// The database's; one that cannot be read any more.
    pub async fn read(database: &Database, _settings: &Settings) -> Result<Self, StoreError> {
        let mut connection = database.readers().acquire().await?;
        let rows: Vec<Datum> = newest_data(&mut connection).await?;
        let stored = rows.into_iter().map(|row| {
            let body: Value = read_json("datum", &row.body)?;
            Ok((row.name, (row.version, body)))
        });
        Ok(Self {
            stored: stored.collect::<Result<_, StoreError>>()?,
        })
    }

    /// A clock's rule.
    pub(super) fn spec_of(&self, clock: &ClockRow) -> Result<Spec, Problem> {
        Ok(read_json("clock", &clock.spec)?)
    }

    /// Which rule a clock of a case follows that starts now, if its rule has such a clock.
    pub(super) fn spec_for(&self, _desk: &Desk, _case: &CaseRow, _name: &str) -> Option<(String, Spec)> {
        None
    }

    /// The times of a clock.
    pub(super) fn timing(
        &self,
        _desk: &Desk,
        _spec: &Spec,
        _start: i64,
        _pauses: &[(i64, i64)],
        _extended: i64,
    ) -> Result<Timing, Problem> {
        Err(Problem::new(crate::problem::Kind::CalendarEmpty, "no calendar"))
    }

    /// Whether handlers may pause and extend.
    pub(super) fn is_self_service(&self, clock: Option<&ClockRow>) -> Result<bool, Problem> {
        clock.map_or(Ok(false), |clock| Ok(self.spec_of(clock)?.self_service))
    }

    /// The zone of a clock's calendar.
    pub(super) fn zone_of(&self, desk: &Desk, _clock: &ClockRow) -> Tz {
        desk.settings.zone
    }
}
