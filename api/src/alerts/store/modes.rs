//! Operating modes: which areas are in emergency, because somebody said so or because a rule that says so fires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::alerts::{as_optional_rfc3339, as_rfc3339};
use super::incidents::areas_of_cell;
use super::{Decisions, DecisionsError};
use crate::audit::{Deed, append};
use crate::database::read_from_row;

/// The mode of an area, as somebody set it or as a rule makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mode {
    /// Id of the area.
    pub area: String,
    /// `normal` or `emergency`.
    pub mode: String,
    /// Until when, µs; `None`: until it is set anew.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub until: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// Who set it; the rules that make it so, by name.
    pub by: String,
    /// Since when, µs.
    #[serde(serialize_with = "as_rfc3339")]
    pub since: i64,
}

struct ModeRow {
    area: String,
    mode: String,
    until: Option<i64>,
    reason: Option<String>,
    made_by: String,
    set_at: i64,
}

read_from_row!(ModeRow {
    area,
    mode,
    until,
    reason,
    made_by,
    set_at
});

struct SetterRow {
    rule: String,
    body: String,
    open: i64,
    fired_at: Option<i64>,
    ended_at: Option<i64>,
}

read_from_row!(SetterRow {
    rule,
    body,
    open,
    fired_at,
    ended_at
});

/// The word for an emergency.
pub(super) const EMERGENCY: &str = "emergency";

/// A mode that somebody set or a rule makes, or did.
#[derive(Clone, Debug)]
pub(super) struct KnownMode {
    pub(super) mode: Mode,
    pub(super) is_by_rule: bool,
}

impl KnownMode {
    fn is_over(&self, now: i64) -> bool {
        self.mode.until.is_some_and(|until| until <= now)
    }

    pub(super) fn is_emergency_at(&self, now: i64) -> bool {
        self.mode.mode == EMERGENCY && !self.is_over(now)
    }
}

#[derive(serde::Deserialize)]
struct SetsMode {
    area: String,
    #[serde(default)]
    hold: String,
}

#[derive(serde::Deserialize)]
struct Setter {
    sets_mode: Option<SetsMode>,
}

/// Areas in emergency, as they were looked at last.
#[derive(Debug, Default)]
pub(super) struct Emergencies(RwLock<Arc<BTreeSet<String>>>);

impl Emergencies {
    fn areas(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is another set than before.
    fn set(&self, areas: BTreeSet<String>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = **known != areas;
        if is_new {
            *known = Arc::new(areas);
        }
        is_new
    }
}

impl Decisions {
    /// Ids of the areas that are in emergency, as they were looked at last.
    pub fn areas_in_emergency(&self) -> Arc<BTreeSet<String>> {
        self.emergencies().areas()
    }

    /// Whether an area that holds the centre of a cell is in emergency.
    pub fn is_emergency_at(&self, cell: Option<i64>) -> bool {
        let areas = self.areas_in_emergency();
        !areas.is_empty()
            && areas_of_cell(cell.map(i64::cast_unsigned), self.places())
                .iter()
                .any(|area| areas.contains(area))
    }

    /// `emergency` where one of the areas is in it.
    pub(super) fn mode_of(&self, areas: &[String]) -> &'static str {
        let emergency = self.areas_in_emergency();
        if areas.iter().any(|area| emergency.contains(area)) {
            "emergency"
        } else {
            "normal"
        }
    }

    /// The modes that were set, and those that rules make, by area.
    ///
    /// # Errors
    /// The database's.
    pub async fn modes(&self, now: i64) -> Result<Vec<Mode>, DecisionsError> {
        Ok(in_force(self.known_modes(now).await?, now))
    }

    /// Those that are over, too, as far as they are known.
    async fn known_modes(&self, now: i64) -> Result<Vec<KnownMode>, DecisionsError> {
        let rows: Vec<ModeRow> =
            sqlx::query_as("SELECT area, mode, until, reason, made_by, set_at FROM modes")
                .fetch_all(self.readers())
                .await?;
        let set = rows.into_iter().map(|row| KnownMode {
            mode: Mode {
                area: row.area,
                mode: row.mode,
                until: row.until,
                reason: row.reason,
                by: row.made_by,
                since: row.set_at,
            },
            is_by_rule: false,
        });
        let made = self.modes_of_rules(now).await?.into_iter();
        let made = made.map(|mode| KnownMode {
            mode,
            is_by_rule: true,
        });
        Ok(set.chain(made).collect())
    }

    /// What rules make, and what they made when they fired last.
    async fn modes_of_rules(&self, now: i64) -> Result<Vec<Mode>, DecisionsError> {
        let rows: Vec<SetterRow> = sqlx::query_as(
            "SELECT r.name AS rule, r.body,
                CAST(COALESCE(SUM(CASE WHEN a.resolved_at IS NULL AND a.id IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS open,
                MAX(a.fired_at) AS fired_at, MAX(a.resolved_at) AS ended_at
               FROM rules r LEFT JOIN alerts a ON a.rule_id = r.id
              WHERE r.body LIKE '%\"sets_mode\"%' GROUP BY r.id, r.name, r.body",
        )
        .fetch_all(self.readers())
        .await?;
        let made = rows.into_iter().filter_map(|row| {
            let sets = serde_json::from_str::<Setter>(&row.body).ok()?.sets_mode?;
            let hold = humantime::parse_duration(&sets.hold).unwrap_or(Duration::ZERO);
            let hold = i64::try_from(hold.as_micros()).unwrap_or(i64::MAX);
            let until = match row.open {
                1.. => None,
                _ => Some(row.ended_at?.saturating_add(hold)),
            };
            Some(Mode {
                area: sets.area,
                mode: EMERGENCY.to_owned(),
                until,
                reason: Some("an alert of the rule fires, or did lately".to_owned()),
                by: row.rule,
                since: row.fired_at.unwrap_or(now),
            })
        });
        Ok(made.collect())
    }

    /// Sets the mode of an area, as somebody's deed.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_mode(&self, mode: &Mode, deed: &Deed) -> Result<(), DecisionsError> {
        let now = mode.since;
        let before = self
            .modes(now)
            .await?
            .into_iter()
            .find(|known| known.area == mode.area);
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO modes (area, mode, until, reason, made_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (area) DO UPDATE SET mode = $2, until = $3, reason = $4, made_by = $5, set_at = $6",
        )
        .bind(&mode.area)
        .bind(&mode.mode)
        .bind(mode.until)
        .bind(&mode.reason)
        .bind(&mode.by)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        let deed = deed
            .clone()
            .to(&mode.area)
            .with(json!({"before": before, "after": mode}));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await?;
        self.look_at_modes(now).await?;
        Ok(())
    }

    /// Looks anew which areas are in emergency; whether these are others than before.
    ///
    /// # Errors
    /// The database's.
    pub async fn look_at_modes(&self, now: i64) -> Result<bool, DecisionsError> {
        let known = self.known_modes(now).await?;
        self.note_emergencies(&known, now).await?;
        let emergency = in_force(known, now)
            .into_iter()
            .filter(|mode| mode.mode == EMERGENCY);
        Ok(self.emergencies().set(emergency.map(|mode| mode.area).collect()))
    }
}

/// Of each area the mode that holds: an emergency that somebody set, then those of rules.
fn in_force(known: Vec<KnownMode>, now: i64) -> Vec<Mode> {
    let mut modes: BTreeMap<String, Mode> = BTreeMap::new();
    for KnownMode { mode, .. } in known.into_iter().filter(|known| !known.is_over(now)) {
        let is_set = modes.get(&mode.area).is_some_and(|known| known.mode == EMERGENCY);
        if !is_set {
            modes.insert(mode.area.clone(), mode);
        }
    }
    modes.into_values().collect()
}
