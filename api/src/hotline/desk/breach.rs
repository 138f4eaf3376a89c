//! How likely a clock runs over, by those of the same rule that were stopped not long ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use riskgrid_analytics::hotline::deadlines::{Pause, StoppedClock, breach_risk, used_share};
use riskgrid_ingest::EventTime;

use super::Desk;
use super::clocks::Pause as StoredPause;
use crate::hotline::store::{ClockRow, StoreError, read_json, stopped_shares};

/// What was read of stopped clocks, for one query.
#[derive(Debug, Default)]
pub struct Risks(Mutex<HashMap<String, Arc<Vec<Stopped>>>>);

#[derive(Debug)]
struct Stopped {
    office: Option<String>,
    share: f64,
    was_overdue: bool,
}

impl Desk {
    /// The risk of a clock that is not stopped.
    ///
    /// # Errors
    /// The database's.
    pub async fn breach_risk(&self, clock: &ClockRow, risks: &Risks) -> Result<Option<f64>, StoreError> {
        if !clock.is_open() {
            return Ok(None);
        }
        let now = (self.clock)();
        let is_overdue = clock.state == "running" && clock.due_at <= now;
        let key = format!("{}\0{}", clock.rule, clock.name);
        let known = {
            let all = risks.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).cloned()
        };
        let history = if let Some(known) = known {
            known
        } else {
            let from = now.saturating_sub(self.settings.risk_window);
            let mut reader = self.reader().await?;
            let rows = stopped_shares(&mut reader, &clock.rule, &clock.name, from).await?;
            let read: Result<Vec<Stopped>, StoreError> = rows.iter().map(stopped).collect();
            let read = Arc::new(read?);
            let mut all = risks.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(key, Arc::clone(&read));
            read
        };
        let share = share_of(clock, now)?;
        let history = history.iter().map(|stopped| StoppedClock {
            share: stopped.share,
            was_overdue: stopped.was_overdue,
            is_own: stopped.office == clock.office,
        });
        Ok(Some(breach_risk(history, share, is_overdue)))
    }
}

fn stopped(clock: &ClockRow) -> Result<Stopped, StoreError> {
    let at = clock.stopped_at.unwrap_or(clock.due_at);
    Ok(Stopped {
        office: clock.office.clone(),
        share: share_of(clock, at)?,
        was_overdue: at >= clock.due_at,
    })
}

fn share_of(clock: &ClockRow, at: i64) -> Result<f64, StoreError> {
    let pauses: Vec<StoredPause> = read_json("clock", &clock.pauses)?;
    let time = EventTime::from_micros;
    let ended: Vec<Pause> = pauses
        .iter()
        .filter_map(|(from, to)| {
            Some(Pause {
                from: time(*from),
                to: time((*to)?),
            })
        })
        .collect();
    let paused_since = pauses
        .last()
        .filter(|(_, to)| to.is_none())
        .map(|(from, _)| time(*from));
    Ok(used_share(
        time(clock.start_at),
        time(clock.due_at),
        &ended,
        paused_since,
        time(at),
    ))
}
