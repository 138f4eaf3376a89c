//! Duty, rules and calendars: data that people put there, of which the newest version is in force. Version 0 is what riskgrid
//! ships, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use riskgrid_analytics::hotline::CaseKind;
use riskgrid_analytics::hotline::calendar::Calendar;
use riskgrid_analytics::hotline::deadlines::ClockName;
use riskgrid_analytics::hotline::duty::{DutyTable, InvalidDuty};
use riskgrid_analytics::hotline::rule_set::{CaseFacts, Rule, RuleSet, SHIPPED_CALENDARS, SHIPPED_RULES};
use serde_json::{Value, json};

use super::Desk;
use super::settings::Settings;
use super::timing::Spec;
use crate::database::Database;
use crate::hotline::store::{CaseRow, ClockRow, Datum, StoreError, newest_data, read_json};
use crate::problem::{Kind, Problem};

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

/// How the names of calendars begin in the store.
const OF_CALENDARS: &str = "calendar:";

impl DatumName {
    /// As the store has it.
    pub fn stored(&self) -> String {
        match self {
            Self::Duty => "duty".to_owned(),
            Self::Rules => "rules".to_owned(),
            Self::Calendar(id) => format!("{OF_CALENDARS}{id}"),
        }
    }
}

/// A datum that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    kind: Kind,
    why: String,
}

impl Unfit {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self {
            kind,
            why: why.into(),
        }
    }

    /// As clients are told.
    pub(super) fn problem(self) -> Problem {
        Problem::new(self.kind, self.why)
    }
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::new(Kind::Invalid, why)
    }
}

/// All of them, as they are in force.
#[derive(Debug)]
pub struct HotlineData {
    stored: BTreeMap<String, (i64, Value)>,
    calendars: BTreeMap<String, (i64, Arc<Calendar>)>,
    rules: Option<RuleSet>,
    duty: DutyTable,
    /// Where a calendar is named that is not there any more: every weekday, whole.
    plain: Arc<Calendar>,
}

impl HotlineData {
    /// Reads them.
    ///
    /// # Errors
    /// The database's; one that cannot be read any more.
    pub async fn read(database: &Database, settings: &Settings) -> Result<Self, StoreError> {
        let mut connection = database.readers().acquire().await?;
        let rows: Vec<Datum> = newest_data(&mut connection).await?;
        let mut stored = shipped(settings);
        for row in rows {
            let body: Value = read_json("datum", &row.body)?;
            stored.insert(row.name, (row.version, body));
        }
        Self::of(stored, settings).map_err(|why| StoreError::unreadable("datum", &why.why))
    }

    /// These.
    ///
    /// # Errors
    /// What cannot be.
    pub(super) fn of(stored: BTreeMap<String, (i64, Value)>, settings: &Settings) -> Result<Self, Unfit> {
        let mut calendars = BTreeMap::new();
        for (name, (version, body)) in &stored {
            if let Some(id) = name.strip_prefix(OF_CALENDARS) {
                let calendar = Calendar::from_json(body).map_err(|error| error.to_string())?;
                calendars.insert(id.to_owned(), (*version, Arc::new(calendar)));
            }
        }
        let rules = match stored.get("rules") {
            Some((_, body)) => {
                let rules = RuleSet::from_json(body, |id| calendars.contains_key(id));
                Some(rules.map_err(|error| error.to_string())?)
            }
            None => None,
        };
        let weekday = json!(["00:00-24:00"]);
        let plain = json!({"zone": settings.zone.name(), "week": {"mon": weekday, "tue": weekday, "wed": weekday,
            "thu": weekday, "fri": weekday, "sat": [], "sun": []}});
        let plain = Calendar::from_json(&plain).map_err(|error| error.to_string())?;
        let plain = Arc::new(plain);
        let hours: Option<&(i64, Arc<Calendar>)> = calendars.get(&settings.duty_calendar);
        let duty = match stored.get("duty") {
            Some((_, body)) => {
                let hours = hours.map_or(&plain, |(_, calendar)| calendar);
                DutyTable::from_json(body, hours).map_err(|error| match error {
                    InvalidDuty::Ambiguous { .. } => Unfit::new(Kind::AmbiguousRule, error.to_string()),
                    InvalidDuty::Data(_) => Unfit::from(error.to_string()),
                })?
            }
            None => DutyTable::default(),
        };
        Ok(Self {
            stored,
            calendars,
            rules,
            duty,
            plain,
        })
    }

    /// All of them with one other: what would be in force.
    ///
    /// # Errors
    /// What of it cannot be.
    pub(super) fn with(
        &self,
        name: &DatumName,
        version: i64,
        body: Value,
        settings: &Settings,
    ) -> Result<Self, Unfit> {
        let mut stored = self.stored.clone();
        stored.insert(name.stored(), (version, body));
        Self::of(stored, settings)
    }

    /// The version and body of a datum; none, if there never was one.
    pub fn get(&self, name: &DatumName) -> Option<(i64, &Value)> {
        self.stored
            .get(&name.stored())
            .map(|(version, body)| (*version, body))
    }

    /// The calendar of an id, with its version.
    pub(super) fn calendar(&self, id: &str) -> (Option<i64>, Arc<Calendar>) {
        match self.calendars.get(id) {
            Some((version, calendar)) => (Some(*version), Arc::clone(calendar)),
            None => (None, Arc::clone(&self.plain)),
        }
    }

    /// The duty table, with its version.
    pub(super) fn duty(&self) -> (i64, &DutyTable) {
        let version = self.stored.get("duty").map_or(0, |(version, _)| *version);
        (version, &self.duty)
    }

    fn rule_of(&self, desk: &Desk, case: &CaseRow) -> Option<&Rule> {
        // What is stored was checked as it was said.
        let labels = case.label_list().unwrap_or_default();
        self.rules.as_ref()?.rule_for(&CaseFacts {
            kind: CaseKind::from_name(&case.kind).unwrap_or(CaseKind::Other),
            group: desk.layers.group_of(&case.layer),
            layer: &case.layer,
            severity: u8::try_from(case.severity).ok().filter(|severity| *severity > 0),
            channel: &case.channel,
            labels: &labels,
        })
    }

    /// A clock's rule.
    #[allow(clippy::unused_self, reason = "it is read where all other data are")]
    pub(super) fn spec_of(&self, clock: &ClockRow) -> Result<Spec, StoreError> {
        read_json("clock", &clock.spec)
    }

    /// Which rule a clock of a case follows that starts now, if its rule has such a clock.
    pub(super) fn spec_for(&self, desk: &Desk, case: &CaseRow, name: &str) -> Option<(String, Spec)> {
        let rule = self.rule_of(desk, case);
        let settings = &desk.settings;
        if name == "call_back" {
            // The hotline's own, by the calendar of the case.
            return Some((
                rule.map_or_else(String::new, |rule| rule.id.clone()),
                Spec {
                    calendar: rule
                        .map_or_else(|| settings.duty_calendar.clone(), |rule| rule.calendar.clone()),
                    clock: json!(settings.call_back),
                    self_service: false,
                    supervise_at: None,
                },
            ));
        }
        let rule = rule?;
        let spec = Spec {
            calendar: rule.calendar.clone(),
            clock: serde_json::to_value(rule.clocks.get(&ClockName::from_name(name)?)?).ok()?,
            self_service: rule.self_service,
            supervise_at: None,
        };
        Some((rule.id.clone(), spec))
    }

    /// Whether handlers may pause and extend.
    pub(super) fn is_self_service(&self, clock: Option<&ClockRow>) -> Result<bool, Problem> {
        clock.map_or(Ok(false), |clock| Ok(self.spec_of(clock)?.self_service))
    }

    /// The zone of a clock's calendar.
    pub(super) fn zone_of(&self, desk: &Desk, clock: &ClockRow) -> Tz {
        let calendar = self.spec_of(clock).ok().map(|spec| spec.calendar);
        calendar
            .and_then(|calendar| self.calendars.get(&calendar))
            .map_or(desk.settings.zone, |(_, calendar)| calendar.zone())
    }
}

/// What riskgrid ships, at version 0.
fn shipped(settings: &Settings) -> BTreeMap<String, (i64, Value)> {
    let calendars = SHIPPED_CALENDARS
        .iter()
        .map(|shipped| (format!("{OF_CALENDARS}{}", shipped.name), shipped));
    let rules = SHIPPED_RULES
        .iter()
        .filter(|shipped| shipped.name == settings.rules)
        .map(|shipped| ("rules".to_owned(), shipped));
    // A test of theirs reads them all.
    let read = calendars
        .chain(rules)
        .filter_map(|(name, shipped)| Some((name, (0, shipped.body().ok()?))));
    read.collect()
}
