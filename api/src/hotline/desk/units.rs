//! Units of assessment, as the rows of cases tell them at a time.

use std::collections::HashMap;
use std::sync::Arc;

use riskgrid_analytics::hotline::assessment::{AssessedUnit, Month, OutReason, Resolved, Stop, UnitFacts};
use riskgrid_analytics::hotline::calendar::Calendar;
use riskgrid_ingest::EventTime;
use serde_json::Value;

use super::Desk;
use super::clocks::Pause;
use super::data::HotlineData;
use crate::hotline::store::{
    AssessedRow, ClockRow, MoveRow, StoreError, cases_due_within, clocks_of_all, moves_of_all, read_json,
};

/// Cases that are read at once.
const READ_AT_ONCE: usize = 200;

impl Desk {
    /// The units of a month, as they were just before `limit`: all that was done since is left out, and so are those that were
    /// paused then, whose month is not known yet.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn units_of(&self, month: Month, limit: i64) -> Result<Vec<AssessedUnit>, StoreError> {
        let data = self.data();
        let (_, calendar) = data.calendar(&self.settings.duty_calendar);
        let (from, to) = month.span(&calendar);
        // A month begins earlier or later elsewhere.
        let around = (
            from.micros().saturating_sub(2 * riskgrid_ingest::DAY),
            to.micros().saturating_add(2 * riskgrid_ingest::DAY),
        );
        let mut reader = self.reader().await?;
        let ids = cases_due_within(&mut reader, around).await?;
        let mut units = Vec::new();
        for piece in ids.chunks(READ_AT_ONCE) {
            let ids: Vec<&str> = piece.iter().map(String::as_str).collect();
            let clocks = clocks_of_all(&mut reader, &ids).await?;
            let moves = moves_of_all(&mut reader, &ids).await?;
            let mut moves_of: HashMap<&str, Vec<&MoveRow>> = HashMap::new();
            for row in moves.iter().filter(|row| row.at < limit) {
                moves_of.entry(&row.case_id).or_default().push(row);
            }
            for clocks in clocks.chunk_by(|one, other| one.case_id == other.case_id) {
                let Some(first) = clocks.first() else { continue };
                let moves = moves_of
                    .get(first.case_id.as_str())
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                for handle in clocks.iter().filter(|clock| clock.name == "handle") {
                    let own = data.calendar_of(handle)?;
                    let is_of_month = Month::of_due(&own, time(handle.due_at)) == month;
                    if is_of_month && is_counted_at(handle, limit)? {
                        units.push(AssessedUnit::of(facts(handle, clocks, moves, limit)));
                    }
                }
            }
        }
        Ok(units)
    }
}

impl HotlineData {
    /// The calendar whose months a clock's due is of.
    fn calendar_of(&self, clock: &ClockRow) -> Result<Arc<Calendar>, StoreError> {
        Ok(self.calendar(&self.spec_of(clock)?.calendar).1)
    }
}

fn time(at: i64) -> EventTime {
    EventTime::from_micros(at)
}

/// Whether a clock had begun by then and was not paused.
fn is_counted_at(clock: &ClockRow, limit: i64) -> Result<bool, StoreError> {
    let was_stopped = clock.stopped_at.is_some_and(|at| at < limit);
    let pauses: Vec<Pause> = read_json("clock", &clock.pauses)?;
    let is_paused = pauses
        .iter()
        .any(|(from, to)| *from < limit && to.is_none_or(|to| to >= limit));
    Ok(clock.start_at < limit && (was_stopped || !is_paused))
}

fn facts(handle: &ClockRow, clocks: &[ClockRow], moves: &[&MoveRow], limit: i64) -> UnitFacts {
    let is_mirrored = handle.rule == MIRROR_RULE;
    let stopped = handle.stopped_at.filter(|at| *at < limit).and_then(|at| {
        let stop = match handle.stop.as_deref()? {
            "reply" => Stop::Replied,
            "close" if is_mirrored => Stop::Replied,
            left => Stop::Left(OutReason::from_name(left)?),
        };
        Some((time(at), stop))
    });
    // A redo is of whoever started it before.
    let begun_by_redo = moves
        .iter()
        .any(|row| row.r#move == "redo" && row.at == handle.start_at);
    let started = if begun_by_redo || is_mirrored {
        Some(handle.start_at)
    } else {
        let until = handle.stopped_at.unwrap_or(i64::MAX).min(limit);
        let start = moves
            .iter()
            .find(|row| row.r#move == "start" && (handle.start_at..=until).contains(&row.at));
        start.map(|row| row.at)
    };
    let respond = clocks
        .iter()
        .find(|clock| clock.name == "respond" && clock.start_at == handle.start_at && !begun_by_redo);
    UnitFacts {
        case: handle.case_id.clone(),
        generation: u32::try_from(handle.generation).unwrap_or(u32::MAX),
        office: handle.office.clone().unwrap_or_default(),
        due: time(handle.due_at),
        stopped,
        started: started.map(time),
        respond_due: respond.map(|clock| time(clock.due_at)),
        answer: answer_to(handle, moves),
    }
}

/// The rule of clocks that another system's cases have.
pub(super) const MIRROR_RULE: &str = "mirror";

/// What the caller said last of what this generation replied, before anybody replied again.
fn answer_to(handle: &ClockRow, moves: &[&MoveRow]) -> Option<(Resolved, u8)> {
    let replied_at = handle
        .stopped_at
        .filter(|_| handle.stop.as_deref() == Some("reply"))?;
    let since = moves
        .iter()
        .skip_while(|row| row.r#move != "reply" || row.at != replied_at)
        .skip(1);
    let of_it = since.take_while(|row| !matches!(row.r#move.as_str(), "reply" | "answer"));
    of_it.filter_map(|row| answer_of(row)).last()
}

fn answer_of(row: &MoveRow) -> Option<(Resolved, u8)> {
    if !matches!(row.r#move.as_str(), "call_back" | "rate") {
        return None;
    }
    // Who was not reached said nothing.
    let data: Value = serde_json::from_str(&row.data).ok()?;
    let resolved = Resolved::from_name(data.get("resolved")?.as_str()?)?;
    let rating = u8::try_from(data.get("rating")?.as_u64()?).ok()?;
    Some((resolved, rating))
}

/// A unit as a row of its month.
pub(super) fn row_of(month: Month, unit: &AssessedUnit) -> AssessedRow {
    AssessedRow {
        month: month.to_string(),
        office: unit.office.clone(),
        case_id: unit.case.clone(),
        generation: i64::from(unit.generation),
        due_at: unit.due.micros(),
        out: unit.out.map(|reason| reason.as_str().to_owned()),
        responded: i64::from(unit.responded),
        replied_at: unit.replied_at.map(EventTime::micros),
        resolved: unit.resolved.map(|resolved| resolved.as_str().to_owned()),
        rating: unit.rating.map(i64::from),
    }
}

/// A row of a month as a unit.
pub(super) fn unit_of(row: &AssessedRow) -> AssessedUnit {
    AssessedUnit {
        case: row.case_id.clone(),
        generation: u32::try_from(row.generation).unwrap_or(u32::MAX),
        office: row.office.clone(),
        due: time(row.due_at),
        out: row.out.as_deref().and_then(OutReason::from_name),
        responded: row.responded != 0,
        replied_at: row.replied_at.map(time),
        resolved: row.resolved.as_deref().and_then(Resolved::from_name),
        rating: row.rating.and_then(|rating| u8::try_from(rating).ok()),
    }
}
