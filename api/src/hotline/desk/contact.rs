//! Whom to call back of a case, and until when that is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::Desk;
use crate::audit::{Deed, append};
use crate::hotline::contacts::ContactsError;
use crate::hotline::store::{CaseRow, StoreError};
use crate::problem::Problem;

/// Why contacts of cases that were never made are still there.
#[derive(Debug, thiserror::Error)]
pub enum NotForgotten {
    /// The database of contacts refuses.
    #[error(transparent)]
    Contacts(#[from] ContactsError),
    /// The one of cases refuses.
    #[error(transparent)]
    Cases(#[from] StoreError),
}

/// So often something may be done by one, within some time.
#[derive(Debug)]
pub struct SoOften {
    most: usize,
    within: Duration,
    done: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl SoOften {
    /// Contacts are shown to an identity.
    pub(super) fn reveals() -> Self {
        Self::new(60, Duration::from_hours(1))
    }

    /// Answers come from an address.
    pub(super) fn ratings() -> Self {
        Self::new(10, Duration::from_mins(1))
    }

    fn new(most: usize, within: Duration) -> Self {
        Self {
            most,
            within,
            done: Mutex::default(),
        }
    }

    /// Notes that somebody does it.
    ///
    /// # Errors
    /// They did as often as they may: after how many seconds they may again.
    pub fn ask(&self, who: &str) -> Result<(), u32> {
        self.ask_at(who, Instant::now())
    }

    fn ask_at(&self, who: &str, now: Instant) -> Result<(), u32> {
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, times| {
            times
                .back()
                .is_some_and(|last| now.duration_since(*last) < self.within)
        });
        let times = all.entry(who.to_owned()).or_default();
        while times
            .front()
            .is_some_and(|first| now.duration_since(*first) >= self.within)
        {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= self.most => {
                let left = self.within.saturating_sub(now.duration_since(*first));
                Err(u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX))
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

impl Desk {
    pub(super) async fn keep_contact(
        &self,
        case_id: &str,
        contact: &Map<String, Value>,
    ) -> Result<(), Problem> {
        let kept = self.contacts.keep(case_id, contact).await;
        kept.map_err(|error| Problem::internal(&error))
    }

    /// The case of a contact was not made after all.
    pub(super) async fn forget_contact(&self, case_id: &str) {
        if let Err(error) = self.contacts.forget(case_id).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a contact of no case stays until the next start"
            );
        }
    }

    /// Says until when texts and contact of a case are kept, as it stands now.
    pub(super) async fn schedule_contact(&self, case_id: &str, at: Option<i64>) -> Result<(), Problem> {
        let scheduled = self.contacts.schedule(case_id, at, false).await;
        scheduled.map_err(|error| Problem::internal(&error))
    }

    /// Keeps texts and contact of a case for as long as it is held, as somebody's deed.
    ///
    /// # Errors
    /// The database's.
    pub async fn hold(&self, case: &CaseRow, hold: bool, deed: &Deed) -> Result<(), Problem> {
        let ended = matches!(case.state.as_str(), "finished" | "withdrawn" | "declined");
        let erase_at = match (hold, ended) {
            (true, _) => Some(i64::MAX),
            (false, true) => Some(case.updated_at.saturating_add(self.settings.erase_after)),
            (false, false) => None,
        };
        let mut transaction = self.database.begin().await?;
        append(&mut transaction, deed, (self.clock)()).await?;
        sqlx::query("UPDATE case_texts SET erase_at = $2 WHERE case_id = $1 AND body IS NOT NULL")
            .bind(&case.id)
            .bind(erase_at)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::from)?;
        transaction.commit().await.map_err(StoreError::from)?;
        let scheduled = self.contacts.schedule(&case.id, erase_at, true).await;
        scheduled.map_err(|error| Problem::internal(&error))
    }

    /// Forgets contacts of cases that were never made: a crash came between.
    ///
    /// # Errors
    /// A database's.
    pub async fn forget_contacts_of_no_case(&self) -> Result<(), NotForgotten> {
        for id in self.contacts.cases().await? {
            let mut reader = self.reader().await?;
            if crate::hotline::store::case(&mut reader, &id).await?.is_none() {
                self.contacts.forget(&id).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_an_hour_are_shown_to_each() {
        let (reveals, start) = (SoOften::reveals(), Instant::now());
        for second in 0..60 {
            assert_eq!(
                reveals.ask_at("key:a", start + Duration::from_secs(second)),
                Ok(())
            );
        }
        let later = start + Duration::from_mins(30);
        assert_eq!(reveals.ask_at("key:a", later), Err(1_801));
        assert_eq!(reveals.ask_at("key:b", later), Ok(()));
        assert_eq!(reveals.ask_at("key:a", start + Duration::from_hours(1)), Ok(()));
        assert!(reveals.ask_at("key:a", start + Duration::from_hours(1)).is_err());
    }
}
