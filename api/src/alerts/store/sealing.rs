//! A message about an incident is sealed: from then on its bytes are the same on every attempt.

use riskgrid_ingest::EventTime;

use super::grouping::MOST_TOLD;
use super::incidents::IncidentReader;
use super::message::{Gathered, Sealed, of_incident};
use super::telling::ChangeKey;
use super::{Decisions, DecisionsError, webhook_id};
use crate::database::{Transaction, read_from_row};

struct ChangeLine {
    alert: String,
    number: i64,
    is_late: i64,
}

read_from_row!(ChangeLine {
    alert,
    number,
    is_late
});

struct ToSeal {
    webhook: String,
    incident: Option<String>,
    state: String,
    id: String,
    body: String,
    changes: i64,
    repeat: Option<i64>,
}

read_from_row!(ToSeal {
    webhook,
    incident,
    state,
    id,
    body,
    changes,
    repeat
});

impl Decisions {
    /// Seals an open message: from now on it has its id and its bytes. One that is sealed already stays as it is. `None` when
    /// it is gone.
    pub async fn seal(&self, seq: i64, now: EventTime) -> Result<Option<(String, String)>, DecisionsError> {
        let now = now.micros();
        let mut transaction = self.begin().await?;
        let row: Option<ToSeal> = sqlx::query_as(
            "SELECT webhook, incident, state, id, body, changes, repeat FROM deliveries WHERE seq = $1",
        )
        .bind(seq)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (Some(incident), "open") = (&row.incident, row.state.as_str()) else {
            return Ok(Some((row.id, row.body)));
        };
        let messages: Option<i64> =
            sqlx::query_scalar("SELECT messages FROM incident_notices WHERE webhook = $1 AND incident = $2")
                .bind(&row.webhook)
                .bind(incident)
                .fetch_optional(&mut *transaction)
                .await?;
        let message = messages.unwrap_or(0) + 1;
        let Some(sealed) = self
            .compose(&mut transaction, seq, &row, incident, message, now)
            .await?
        else {
            // All that it was to tell of is forgotten.
            sqlx::query("DELETE FROM deliveries WHERE seq = $1")
                .bind(seq)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            return Ok(None);
        };
        let id = webhook_id(&row.webhook, (incident, message));
        sqlx::query(
            "UPDATE deliveries SET id = $2, body = $3, state = 'pending', message = $4, sealed_at = $5, truncated = $6
                WHERE seq = $1",
        )
        .bind(seq)
        .bind(&id)
        .bind(&sealed.body)
        .bind(message)
        .bind(now)
        .bind(i64::from(sealed.is_truncated))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO incident_notices (webhook, incident, messages, last_at, severity, repeats)
                VALUES ($1, $2, $3, $4, 0, 0)
             ON CONFLICT (webhook, incident) DO UPDATE SET messages = $3, last_at = $4",
        )
        .bind(&row.webhook)
        .bind(incident)
        .bind(message)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM delivery_changes WHERE delivery = $1")
            .bind(seq)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some((id, sealed.body)))
    }

    async fn compose(
        &self,
        transaction: &mut Transaction,
        seq: i64,
        row: &ToSeal,
        incident: &str,
        message: i64,
        now: i64,
    ) -> Result<Option<Sealed>, DecisionsError> {
        let lines: Vec<ChangeLine> = sqlx::query_as(
            "SELECT alert, number, is_late FROM delivery_changes WHERE delivery = $1
                ORDER BY is_end DESC, severity DESC, at DESC, alert, number LIMIT $2",
        )
        .bind(seq)
        .bind(MOST_TOLD)
        .fetch_all(&mut **transaction)
        .await?;
        let mut changes = Vec::with_capacity(lines.len());
        for line in &lines {
            let key = ChangeKey {
                alert: &line.alert,
                number: line.number,
                is_late: line.is_late != 0,
            };
            changes.extend(self.change_data(transaction, key).await?);
        }
        let everybody = IncidentReader {
            sees: &|_, _| true,
            sees_all: true,
            now,
        };
        let Some(incident) = self.incident(incident, everybody).await? else {
            return Ok(None);
        };
        let gathered = Gathered {
            incident: &incident,
            message,
            repeat: row.repeat,
            changes,
            all_changes: usize::try_from(row.changes).unwrap_or_default(),
        };
        let sealed = of_incident(gathered, now);
        sealed
            .map(Some)
            .map_err(|error| DecisionsError::unreadable("message", &error))
    }
}
