//! What of cases is due by now.

use riskgrid_analytics::hotline::moves::State;

use super::Desk;
use super::work::Work;
use crate::hotline::store::{StoreError, case, clocks_to_look_at, erase_texts, forget_answers};
use crate::problem::Problem;

/// What became of clocks that were due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// How many were looked at.
    pub clocks: usize,
    /// Cases whose callers are no longer called back.
    pub to_lapse: Vec<String>,
}

impl Desk {
    /// Turns the cards of running clocks that are due, at most so many, the earliest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn turn_due_clocks(&self, most: i64) -> Result<Turned, Problem> {
        let now = (self.clock)();
        // Mostly nothing is due, and whoever writes is not kept from it.
        let mut reader = self.reader().await?;
        let due = clocks_to_look_at(&mut reader, now, 1).await?;
        drop(reader);
        if due.is_empty() {
            return Ok(Turned::default());
        }
        let mut work = Work::begin(self).await?;
        let now = work.now;
        let due = clocks_to_look_at(work.connection(), now, most).await?;
        let mut turned = Turned {
            clocks: due.len(),
            ..Turned::default()
        };
        for mut clock in due {
            let Some(case) = case(work.connection(), &clock.case_id).await? else {
                continue;
            };
            if clock.name == "call_back" {
                if case.state == State::Closed.as_str() {
                    // It is stopped by the move.
                    turned.to_lapse.push(clock.case_id);
                } else {
                    let (id, at) = (clock.case_id, work.now);
                    work.stop_clocks(&id, &["call_back"], at, "lapse").await?;
                }
                continue;
            }
            work.take_steps(&case, &mut clock).await?;
        }
        work.commit().await?;
        Ok(turned)
    }

    /// Cases that were paused for as long as they may be.
    ///
    /// # Errors
    /// The database's.
    pub async fn paused_too_long(&self, most: i64) -> Result<Vec<String>, Problem> {
        let before = (self.clock)().saturating_sub(self.settings.longest_pause);
        let mut reader = self.reader().await?;
        let ids = sqlx::query_scalar(
            "SELECT id FROM cases WHERE paused_at IS NOT NULL AND paused_at <= $1 ORDER BY paused_at LIMIT $2",
        )
        .bind(before)
        .bind(most)
        .fetch_all(&mut *reader)
        .await
        .map_err(StoreError::from)?;
        Ok(ids)
    }

    /// Erases what people said long enough ago, and answers to old keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn erase_old(&self, piece: i64) -> Result<(), Problem> {
        let now = (self.clock)();
        loop {
            let mut transaction = self.database.begin().await?;
            let texts = erase_texts(&mut transaction, now, piece).await?;
            let answers = forget_answers(
                &mut transaction,
                now.saturating_sub(self.settings.keys_kept),
                piece,
            )
            .await?;
            transaction.commit().await.map_err(StoreError::from)?;
            if texts.max(answers) < piece.cast_unsigned() {
                break;
            }
        }
        self.contacts
            .erase(now)
            .await
            .map(drop)
            .map_err(|error| Problem::internal(&error))
    }
}
