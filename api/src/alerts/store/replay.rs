//! Deliveries that are made again.

use super::{Decisions, DecisionsError, PIECE};

/// What is to be sent again.
#[derive(Clone, Copy, Debug)]
pub enum Replay<'a> {
    /// All that were given up.
    AllDead,
    /// One, by its id.
    One(&'a str),
    /// Those that were made in a span of time, µs: given up or delivered, for a person asks.
    Between {
        /// From.
        from: i64,
        /// Until, itself not.
        to: i64,
    },
}

impl Decisions {
    /// Makes deliveries of an endpoint pending again, with the same `webhook-id`s and bytes: one, dead or delivered; those of a
    /// span of time; or all dead ones. Answers how many; an endpoint that is switched off has to answer a test first.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] when it is switched off, or the database's.
    pub async fn replay(&self, webhook: &str, which: Replay<'_>, now: i64) -> Result<u64, DecisionsError> {
        let disabled: Option<i64> =
            sqlx::query_scalar("SELECT disabled_at FROM webhooks WHERE id = $1 AND disabled_at IS NOT NULL")
                .bind(webhook)
                .fetch_optional(self.readers())
                .await?;
        if disabled.is_some() {
            let message = "the webhook is switched off, as its receiver was gone; a successful POST …/test switches it on";
            return Err(DecisionsError::Conflict(message.to_owned()));
        }
        match which {
            // Those that were dead before: what dies again meanwhile stays dead.
            Replay::AllDead => {
                self.in_pieces(
                    "UPDATE deliveries SET state = CASE WHEN sealed_at IS NULL THEN 'open' ELSE 'pending' END,
                        attempts = 0, refusals = 0, next_attempt_at = $2, settled_at = NULL
                        WHERE id IN (SELECT id FROM deliveries WHERE webhook = $1 AND state = 'dead'
                            AND (settled_at IS NULL OR settled_at <= $2) LIMIT $3)",
                    webhook,
                    now,
                )
                .await
            }
            Replay::Between { from, to } => self.replay_between(webhook, (from, to), now).await,
            Replay::One(delivery) => {
                let mut transaction = self.begin().await?;
                let revived = sqlx::query(
                    "UPDATE deliveries SET state = CASE WHEN sealed_at IS NULL THEN 'open' ELSE 'pending' END,
                        attempts = 0, refusals = 0, next_attempt_at = $3, settled_at = NULL
                        WHERE webhook = $1 AND state IN ('dead', 'delivered') AND id = $2",
                )
                .bind(webhook)
                .bind(delivery)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok(revived.rows_affected())
            }
        }
    }

    async fn replay_between(
        &self,
        webhook: &str,
        (from, to): (i64, i64),
        now: i64,
    ) -> Result<u64, DecisionsError> {
        let (mut revived, mut last) = (0, i64::MIN);
        loop {
            let mut transaction = self.begin().await?;
            let piece: Vec<i64> = sqlx::query_scalar(
                "SELECT seq FROM deliveries WHERE webhook = $1 AND state IN ('dead', 'delivered') AND created_at >= $2
                    AND created_at < $3 AND seq > $4 ORDER BY seq LIMIT $5",
            )
            .bind(webhook)
            .bind(from)
            .bind(to)
            .bind(last)
            .bind(PIECE)
            .fetch_all(&mut *transaction)
            .await?;
            for seq in &piece {
                sqlx::query(
                    "UPDATE deliveries SET state = CASE WHEN sealed_at IS NULL THEN 'open' ELSE 'pending' END,
                        attempts = 0, refusals = 0, next_attempt_at = $2, settled_at = NULL WHERE seq = $1",
                )
                .bind(*seq)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            revived += piece.len() as u64;
            match piece.last() {
                Some(newest) if piece.len() as i64 == PIECE => last = *newest,
                _ => return Ok(revived),
            }
            tokio::task::yield_now().await;
        }
    }
}
