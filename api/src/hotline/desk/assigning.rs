//! Whose a case is, by the duty table in force.

use riskgrid_analytics::hotline::CaseKind;
use riskgrid_analytics::hotline::duty::{AREA_LEVELS, Choice, DutyFacts, Hours};
use riskgrid_analytics::hotline::moves::{Move, Refusal};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::Desk;
use super::data::HotlineData;
use super::moving::refused;
use super::work::Work;
use crate::hotline::store::{CaseRow, StoreError};
use crate::problem::Problem;

/// The row that a case gets.
pub(super) struct Assigned {
    pub(super) office: String,
    pub(super) with: Vec<String>,
    pub(super) rule: String,
    pub(super) version: i64,
    pub(super) why: Value,
}

impl HotlineData {
    /// Whose a case would be at `now`; none: nobody is on duty for it.
    ///
    /// # Errors
    /// What is stored of the case cannot be read.
    pub(super) fn office_for(
        &self,
        desk: &Desk,
        case: &CaseRow,
        now: i64,
    ) -> Result<Option<Assigned>, StoreError> {
        let areas = case.area_ids()?.into_iter().map(|id| {
            let level = desk.level_of(&id);
            (id, level)
        });
        let (areas, excluded): (Vec<(String, u8)>, _) = (areas.collect(), case.excluded_offices()?);
        let (_, calendar) = self.calendar(&desk.settings.duty_calendar);
        let is_open = calendar.is_open(EventTime::from_micros(case.opened_at));
        let (version, duty) = self.duty();
        let facts = DutyFacts {
            layer: &case.layer,
            group: desk.layers.group_of(&case.layer),
            kind: CaseKind::from_name(&case.kind).unwrap_or(CaseKind::Other),
            channel: &case.channel,
            areas: &areas,
            hours: if is_open { Hours::Open } else { Hours::Closed },
            at: EventTime::from_micros(now),
            excluded: &excluded,
            returns: u32::try_from(case.returns).unwrap_or(u32::MAX),
        };
        let settings = &desk.settings;
        let chosen = duty.choose(&facts, settings.order, settings.max_returns);
        Ok(chosen.map(|choice: Choice<'_>| Assigned {
            office: choice.row.office.clone(),
            with: choice.row.with.clone(),
            rule: choice.row.id.clone(),
            version,
            why: choice.why(version.unsigned_abs()),
        }))
    }
}

impl Desk {
    /// How far an area is from the top: 1 for one that lies in no other.
    fn level_of(&self, id: &str) -> u8 {
        let mut level = 1;
        let mut area = self.places.areas.get(id);
        while let Some(parent) = area.and_then(|area| area.parent.as_deref()) {
            if level == AREA_LEVELS {
                break;
            }
            level += 1;
            area = self.places.areas.get(parent);
        }
        level
    }
}

impl Work<'_> {
    /// Gives the case to the office of the row that fits best.
    pub(super) fn assign(&self, case: &mut CaseRow, data: &mut Value) -> Result<(), Problem> {
        let assigned = self.data.office_for(self.desk, case, self.now)?;
        let Some(assigned) = assigned else {
            return Err(refused(Refusal::NoOffice, case.state()?, Move::Dispatch));
        };
        data["rule"] = json!(assigned.rule);
        data["office"] = json!(assigned.office);
        if !assigned.with.is_empty() {
            data["with"] = json!(assigned.with);
        }
        case.office = Some(assigned.office);
        case.duty_rule = Some(assigned.rule);
        case.duty_version = Some(assigned.version);
        case.why = assigned.why.to_string();
        Ok(())
    }
}
