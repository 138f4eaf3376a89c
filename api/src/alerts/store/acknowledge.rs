//! Somebody takes an alert, and gives it back; or the time is over for which they took it.

use serde_json::json;

use super::alerts::{Alert, AlertRow, AlertState, alert_row};
use super::{Decisions, DecisionsError, PIECE};
use crate::audit::{Deed, append};
use crate::database::Connection;

/// On which terms somebody takes an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Who.
    pub by: String,
    /// What they say to it.
    pub comment: Option<String>,
    /// Until when, wall clock, µs; `None`: for as long as it lasts.
    pub until: Option<i64>,
}

impl Decisions {
    /// Takes an alert, or takes it on new terms: it lasts, and is quiet. `None` when there is no such alert.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] when it has ended, or the database's.
    pub async fn acknowledge(
        &self,
        id: &str,
        terms: &Terms,
        now: i64,
        deed: &Deed,
    ) -> Result<Option<Alert>, DecisionsError> {
        let mut transaction = self.begin().await?;
        let Some(row) = alert_row(&mut transaction, id).await? else {
            return Ok(None);
        };
        let mut alert = row.into_alert()?;
        if alert.resolved_at.is_some() {
            return Err(has_ended(&alert));
        }
        let is_so_already = alert.state == AlertState::Acknowledged
            && alert.acknowledged_by.as_deref() == Some(terms.by.as_str())
            && (&alert.acknowledged_comment, alert.acknowledged_until) == (&terms.comment, terms.until);
        if is_so_already {
            return Ok(Some(alert));
        }
        alert.state = AlertState::Acknowledged;
        alert.acknowledged_at = Some(now);
        alert.acknowledged_by = Some(terms.by.clone());
        alert.acknowledged_comment.clone_from(&terms.comment);
        alert.acknowledged_until = terms.until;
        store_terms(&mut transaction, &alert).await?;
        add_step(&mut transaction, &alert, "acknowledged", terms, now).await?;
        let detail = json!({"rule": alert.rule, "by": terms.by, "comment": terms.comment,
            "until": terms.until.map(super::rfc3339)});
        append(&mut transaction, &deed.clone().to(id).with(detail), now).await?;
        transaction.commit().await?;
        Ok(Some(alert))
    }

    /// Gives an alert back: it fires for everybody again. `None` when there is no such alert.
    ///
    /// # Errors
    /// [`DecisionsError::Conflict`] when nobody has taken it or it has ended, or the database's.
    pub async fn unacknowledge(
        &self,
        id: &str,
        terms: &Terms,
        now: i64,
        deed: &Deed,
    ) -> Result<Option<Alert>, DecisionsError> {
        let mut transaction = self.begin().await?;
        let Some(row) = alert_row(&mut transaction, id).await? else {
            return Ok(None);
        };
        let mut alert = row.into_alert()?;
        match alert.state {
            AlertState::Acknowledged => {}
            AlertState::Firing => {
                let message = "nobody has acknowledged the alert; there is nothing to take back";
                return Err(DecisionsError::Conflict(message.to_owned()));
            }
            AlertState::Resolved | AlertState::Expired => return Err(has_ended(&alert)),
        }
        give_back(&mut transaction, &mut alert, terms, now).await?;
        let detail = json!({"rule": alert.rule, "by": terms.by, "comment": terms.comment});
        append(&mut transaction, &deed.clone().to(id).with(detail), now).await?;
        transaction.commit().await?;
        Ok(Some(alert))
    }

    /// Gives back a piece of the alerts that were taken until `now` or earlier (wall clock, µs). Answers them.
    pub async fn end_acknowledgements(&self, now: i64) -> Result<Vec<Alert>, DecisionsError> {
        let over = "SELECT * FROM alerts WHERE acknowledged_until <= $1 AND state = 'acknowledged' LIMIT $2";
        let is_any: Option<AlertRow> = sqlx::query_as(over)
            .bind(now)
            .bind(1)
            .fetch_optional(self.readers())
            .await?;
        if is_any.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let rows: Vec<AlertRow> = sqlx::query_as(over)
            .bind(now)
            .bind(PIECE)
            .fetch_all(&mut *transaction)
            .await?;
        let mut given_back = Vec::with_capacity(rows.len());
        for row in rows {
            let mut alert = row.into_alert()?;
            let terms = Terms {
                by: "system".to_owned(),
                comment: None,
                until: alert.acknowledged_until,
            };
            give_back(&mut transaction, &mut alert, &terms, now).await?;
            given_back.push(alert);
        }
        transaction.commit().await?;
        Ok(given_back)
    }
}

fn has_ended(alert: &Alert) -> DecisionsError {
    DecisionsError::Conflict(format!(
        "the alert is {} already; an alert that has ended stays as it is",
        alert.state.name()
    ))
}

async fn give_back(
    connection: &mut Connection,
    alert: &mut Alert,
    terms: &Terms,
    now: i64,
) -> Result<(), DecisionsError> {
    alert.state = AlertState::Firing;
    alert.acknowledged_at = None;
    alert.acknowledged_by = None;
    alert.acknowledged_comment = None;
    alert.acknowledged_until = None;
    store_terms(&mut *connection, alert).await?;
    add_step(connection, alert, "unacknowledged", terms, now).await
}

pub(super) async fn store_terms(connection: &mut Connection, alert: &Alert) -> Result<(), DecisionsError> {
    sqlx::query(
        "UPDATE alerts SET state = $2, acknowledged_at = $3, acknowledged_by = $4, acknowledged_comment = $5,
            acknowledged_until = $6 WHERE id = $1",
    )
    .bind(&alert.id)
    .bind(alert.state.name())
    .bind(alert.acknowledged_at)
    .bind(&alert.acknowledged_by)
    .bind(&alert.acknowledged_comment)
    .bind(alert.acknowledged_until)
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_step(
    connection: &mut Connection,
    alert: &Alert,
    kind: &str,
    terms: &Terms,
    now: i64,
) -> Result<(), DecisionsError> {
    sqlx::query(
        "INSERT INTO transitions (alert, number, kind, at, value, evidence, recorded_at, notify, made_by, comment, until)
         SELECT $1, MAX(number) + 1, $2, $3, $4, '{}', $3, 'none', $5, $6, $7 FROM transitions WHERE alert = $1",
    )
    .bind(&alert.id)
    .bind(kind)
    .bind(now)
    .bind(alert.value)
    .bind(&terms.by)
    .bind(&terms.comment)
    .bind(terms.until)
    .execute(connection)
    .await?;
    Ok(())
}
