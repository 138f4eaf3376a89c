//! Silences as they are stored: one that has ended stays to be read.

use riskgrid_ingest::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::alerts::AlertRow;
use super::{Decisions, DecisionsError, PIECE, random_hex};
use crate::alerts::silence::{Matches, Place, Silence, Subject};
use crate::audit::{Deed, append};
use crate::database::read_from_row;

/// Most silences that are in force or to come: each is looked at whenever an alert begins, and people make them by hand.
pub const MAX_SILENCES: u64 = 1_000;
/// Ids of open alerts that a preview names.
const SHOWN_OPEN: usize = 1_000;
/// How far back a preview looks.
const PREVIEW: i64 = 7 * 24 * 3_600 * 1_000_000;

/// A silence with its id and what became of it.
#[derive(Clone, Debug)]
pub struct StoredSilence {
    /// Given by the server.
    pub id: String,
    /// What it says.
    pub silence: Silence,
    /// When it was made, µs.
    pub created_at: i64,
    /// Beginnings that it held back.
    pub held: i64,
}

impl StoredSilence {
    /// `pending`, `active` or `ended`.
    pub fn state(&self, now: EventTime) -> &'static str {
        if now >= self.silence.ends_at {
            "ended"
        } else if self.silence.is_in_force(now) {
            "active"
        } else {
            "pending"
        }
    }

    /// As clients see it.
    pub fn shown(&self, now: EventTime) -> Value {
        let Silence {
            matches,
            place,
            starts_at,
            ends_at,
            by,
            comment,
            ..
        } = &self.silence;
        let created_at = EventTime::from_micros(self.created_at);
        let mut shown = json!({"id": self.id, "state": self.state(now), "match": matches,
            "starts_at": starts_at.to_string(), "ends_at": ends_at.to_string(), "by": by, "comment": comment,
            "created_at": created_at.to_string(), "held": self.held});
        if let Some(place) = place {
            shown["place"] = json!(place);
        }
        shown
    }
}

/// What a silence would have hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Ids of open alerts that it is about, the newest first, at most 1000.
    pub open: Vec<String>,
    /// Alerts that began in the last seven days and that it is about.
    pub last_7d: u64,
    /// Those by severity.
    pub by_severity: std::collections::BTreeMap<String, u64>,
}

/// A place in the list, newest first.
pub type SilencePlace = (i64, String);

pub(super) struct SilenceRow {
    id: String,
    matches: String,
    place: Option<String>,
    starts_at: i64,
    ends_at: i64,
    made_by: String,
    comment: String,
    created_at: i64,
    held: i64,
}

read_from_row!(SilenceRow {
    id,
    matches,
    place,
    starts_at,
    ends_at,
    made_by,
    comment,
    created_at,
    held
});

impl SilenceRow {
    pub(super) fn into_silence(self) -> Result<StoredSilence, DecisionsError> {
        let unreadable = |error: &dyn std::fmt::Display| DecisionsError::unreadable("silence", error);
        let matches: Matches = serde_json::from_str(&self.matches).map_err(|error| unreadable(&error))?;
        let place: Option<Place> = self
            .place
            .map(|place| serde_json::from_str(&place))
            .transpose()
            .map_err(|error| unreadable(&error))?;
        let time = EventTime::from_micros;
        let times = (time(self.starts_at), time(self.ends_at));
        let silence = Silence::stored(matches, place, times, (self.made_by, self.comment))
            .map_err(|error| unreadable(&error))?;
        Ok(StoredSilence {
            id: self.id,
            silence,
            created_at: self.created_at,
            held: self.held,
        })
    }
}

impl Decisions {
    /// Stores a silence as somebody's deed.
    ///
    /// # Errors
    /// [`DecisionsError::TooMany`], or the database's.
    pub async fn create_silence(
        &self,
        silence: Silence,
        now: i64,
        deed: &Deed,
    ) -> Result<StoredSilence, DecisionsError> {
        let mut transaction = self.begin().await?;
        let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM silences WHERE ends_at > $1")
            .bind(now)
            .fetch_one(&mut *transaction)
            .await?;
        if there.cast_unsigned() >= MAX_SILENCES {
            return Err(DecisionsError::TooMany {
                what: "silences",
                most: MAX_SILENCES,
                remedy: "end some with DELETE /v1/silences/{id}",
            });
        }
        let stored = StoredSilence {
            id: random_hex()?,
            silence,
            created_at: now,
            held: 0,
        };
        sqlx::query(
            "INSERT INTO silences (id, matches, place, starts_at, ends_at, made_by, comment, created_at, held)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
        )
        .bind(&stored.id)
        .bind(json!(stored.silence.matches).to_string())
        .bind(stored.silence.place.as_ref().map(|place| json!(place).to_string()))
        .bind(stored.silence.starts_at.micros())
        .bind(stored.silence.ends_at.micros())
        .bind(&stored.silence.by)
        .bind(&stored.silence.comment)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        let mut after = stored.shown(EventTime::from_micros(now));
        if let Some(after) = after.as_object_mut() {
            after.remove("place");
        }
        let deed = deed.clone().to(&stored.id).with(json!({ "after": after }));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await?;
        Ok(stored)
    }

    /// One silence.
    pub async fn silence(&self, id: &str) -> Result<Option<StoredSilence>, DecisionsError> {
        let row: Option<SilenceRow> = sqlx::query_as("SELECT * FROM silences WHERE id = $1")
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        row.map(SilenceRow::into_silence).transpose()
    }

    /// Silences after a place, newest first, at most `limit`; and the place of the last when there are more.
    pub async fn silences(
        &self,
        after: Option<&SilencePlace>,
        limit: u32,
    ) -> Result<(Vec<StoredSilence>, Option<SilencePlace>), DecisionsError> {
        let (created_at, id) = after.map_or((i64::MAX, ""), |(at, id)| (*at, id.as_str()));
        let rows: Vec<SilenceRow> = sqlx::query_as(
            "SELECT * FROM silences WHERE (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT $3",
        )
        .bind(created_at)
        .bind(id)
        .bind(i64::from(limit) + 1)
        .fetch_all(self.readers())
        .await?;
        let has_more = rows.len() > limit as usize;
        let rows = rows.into_iter().take(limit as usize);
        let silences: Vec<StoredSilence> = rows.map(SilenceRow::into_silence).collect::<Result<_, _>>()?;
        let last = silences.last().filter(|_| has_more);
        let next = last.map(|silence| (silence.created_at, silence.id.clone()));
        Ok((silences, next))
    }

    /// Ends a silence now; one that has ended stays as it is. `false` when there is none of this id.
    pub async fn end_silence(&self, id: &str, now: i64, deed: &Deed) -> Result<bool, DecisionsError> {
        let mut transaction = self.begin().await?;
        let ends_at: Option<i64> = sqlx::query_scalar("SELECT ends_at FROM silences WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(ends_at) = ends_at else { return Ok(false) };
        if ends_at > now {
            sqlx::query("UPDATE silences SET ends_at = $2 WHERE id = $1")
                .bind(id)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            append(&mut transaction, &deed.clone().to(id), now).await?;
            transaction.commit().await?;
        }
        Ok(true)
    }

    /// What a silence is about of the alerts that there are, whatever its times, as far as `is_seen` shows them.
    pub async fn preview_silence(
        &self,
        silence: &Silence,
        now: i64,
        is_seen: impl Fn(&super::Alert) -> bool,
    ) -> Result<Preview, DecisionsError> {
        let mut preview = Preview::default();
        let since = now.saturating_sub(PREVIEW);
        let (mut fired_at, mut id) = (i64::MAX, String::new());
        loop {
            let rows: Vec<AlertRow> = sqlx::query_as(
                "SELECT * FROM alerts WHERE (fired_at, id) < ($1, $2) AND (fired_at >= $3 OR resolved_at IS NULL)
                    ORDER BY fired_at DESC, id DESC LIMIT $4",
            )
            .bind(fired_at)
            .bind(&id)
            .bind(since)
            .bind(PIECE)
            .fetch_all(self.readers())
            .await?;
            let is_whole = rows.len() as i64 == PIECE;
            for row in rows {
                let alert = row.into_alert()?;
                (fired_at, id) = (alert.fired_at, alert.id.clone());
                let is_hidden = silence.is_about(&Subject::from(&alert), self.places());
                if !is_hidden || !is_seen(&alert) {
                    continue;
                }
                if alert.fired_at >= since {
                    preview.last_7d += 1;
                    *preview.by_severity.entry(alert.severity).or_default() += 1;
                }
                if alert.resolved_at.is_none() && preview.open.len() < SHOWN_OPEN {
                    preview.open.push(alert.id);
                }
            }
            if !is_whole {
                return Ok(preview);
            }
        }
    }
}
