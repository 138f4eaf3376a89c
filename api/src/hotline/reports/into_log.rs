//! Events of cases go into the log after the case is stored; one of which that is not known goes there again, and is a duplicate
//! then if it was there.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::hotline::desk::Desk;
use crate::hotline::store::{StoreError, event_is_in_log, pending_events};
use crate::intake::NotTaken;
use crate::problem::Problem;

/// Events that are put there at once.
const AT_ONCE: i64 = 100;
/// When to try again what the log did not take.
const TRY_AGAIN: Duration = Duration::from_secs(2);

impl Desk {
    /// Puts what waits into the log, of one case or of all: how many events there were.
    ///
    /// # Errors
    /// The log or the database is not there.
    pub async fn put_events_into_log(&self, case_id: Option<&str>) -> Result<usize, Problem> {
        let Some(intake) = self.log() else {
            return Ok(0);
        };
        let mut connection = self.reader().await?;
        let events = pending_events(&mut connection, case_id, AT_ONCE).await?;
        drop(connection);
        if case_id.is_none() {
            self.counts
                .events_waiting
                .store(events.len() as u64, Ordering::Relaxed);
        }
        for event in &events {
            let taken = intake.take_own(event.body.clone().into_bytes(), (self.clock)());
            let refusal = taken.await.map_err(|error| match error {
                NotTaken::Defect(_) => Problem::internal(&error),
                other => Problem::unavailable(
                    format!("the case is stored, and its event is not in the log yet: {other}"),
                    2,
                ),
            })?;
            if let Some(refusal) = &refusal {
                tracing::warn!(
                    case = event.case_id,
                    reason = %refusal.reason,
                    "the event of a case is refused: it is not on the grid"
                );
            }
            let mut transaction = self.database.begin().await?;
            event_is_in_log(&mut transaction, event, refusal.is_none()).await?;
            transaction.commit().await.map_err(StoreError::from)?;
        }
        Ok(events.len())
    }

    /// Puts events into the log as they come, and those that an earlier process left, until the runtime ends.
    pub async fn keep_putting_events(self: Arc<Self>) {
        loop {
            self.events_wait.notified().await;
            loop {
                match self.put_events_into_log(None).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(problem) => {
                        tracing::warn!(
                            why = problem.detail(),
                            "events of cases wait for the log; they are tried again"
                        );
                        tokio::time::sleep(TRY_AGAIN).await;
                    }
                }
            }
        }
    }
}

/// What a worker of the pipeline is told when reports are not stored.
pub(super) type NotStored = Box<dyn Error + Send + Sync>;
