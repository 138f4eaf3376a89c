//! What a clock is by its rule, and the times that follow from it.

use riskgrid_analytics::hotline::deadlines::{ClockName, ClockRule, Course, Pause, deadline};
use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::HotlineData;
use super::settings::Settings;
use crate::hotline::store::StoreError;
use crate::problem::{Kind, Problem};

/// A clock's rule, as the clock keeps it: later rules do not change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// By which calendar.
    pub(super) calendar: String,
    /// What the rule says of it.
    pub(super) clock: Value,
    /// Handlers may pause and extend it.
    #[serde(default)]
    pub(super) self_service: bool,
    /// When the supervision unit is told, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) supervise_at: Option<i64>,
}

impl Spec {
    /// What it says of a clock.
    pub(super) fn rule(&self, name: &str) -> Result<ClockRule, StoreError> {
        let name = ClockName::from_name(name).unwrap_or(ClockName::Handle);
        ClockRule::from_json(name, &self.clock).map_err(|error| StoreError::unreadable("clock", &error))
    }
}

/// Times of a clock, microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// Until when it is in time.
    pub(super) due: i64,
    /// When it turns yellow, if it does.
    pub(super) yellow: Option<i64>,
    /// When it turns red.
    pub(super) red: Option<i64>,
    /// When the supervision unit is told.
    pub(super) supervise_at: Option<i64>,
    /// The calendar does not say so far.
    pub(super) is_provisional: bool,
    /// The version of the calendar.
    pub(super) calendar_version: Option<i64>,
}

impl HotlineData {
    /// The times of a clock.
    ///
    /// # Errors
    /// 422: the calendar ends before it.
    pub(super) fn timing(
        &self,
        settings: &Settings,
        (name, spec): (&str, &Spec),
        start: i64,
        pauses: &[(i64, i64)],
        extended: i64,
    ) -> Result<Timing, Problem> {
        let (version, calendar) = self.calendar(&spec.calendar);
        let rule = spec.rule(name)?;
        let pauses: Vec<Pause> = pauses
            .iter()
            .map(|(from, to)| Pause {
                from: EventTime::from_micros(*from),
                to: EventTime::from_micros(*to),
            })
            .collect();
        let course = Course {
            start: EventTime::from_micros(start),
            pauses: &pauses,
            extended: u32::try_from(extended).unwrap_or(u32::MAX),
        };
        let has_cards = ClockName::from_name(name).is_some_and(ClockName::has_cards);
        let found = deadline(&calendar, &rule, course, has_cards, settings.supervision_after);
        let found = found.map_err(|_| {
            Problem::new(
                Kind::CalendarEmpty,
                format!(
                    "the calendar `{}` has no working time within 3660 dates from there; give it some",
                    spec.calendar
                ),
            )
        })?;
        Ok(Timing {
            due: found.due.micros(),
            yellow: found.yellow.map(EventTime::micros),
            red: found.red.map(EventTime::micros),
            supervise_at: found.supervision.map(EventTime::micros),
            is_provisional: found.provisional,
            calendar_version: version,
        })
    }
}
