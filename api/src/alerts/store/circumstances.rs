//! When areas were in emergency and feeds were silent, as far back as anything is compared with its past: longer than alerts are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::modes::{EMERGENCY, KnownMode};
use super::{Decisions, DecisionsError};
use crate::database::{Connection, read_from_row};

/// How long they are kept after their end, µs: no past that anything is compared with begins earlier.
pub(super) const KEPT: i64 = 400 * 24 * 3_600 * 1_000_000;

/// A time that something lasted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lasted {
    /// Id of the area, or name of the feed.
    pub object: String,
    /// µs.
    pub started_at: i64,
    /// µs; `None`: it goes on.
    pub ended_at: Option<i64>,
}

read_from_row!(Lasted {
    object,
    started_at,
    ended_at
});

/// The alerts of silent feeds, an episode a row, whichever of several rules saw it.
const OF_ALERTS: &str = "SELECT instance AS object, fired_at AS started_at,
        CASE WHEN COUNT(resolved_at) = COUNT(*) THEN MAX(resolved_at) END AS ended_at
    FROM alerts WHERE kind = 'no_data' AND layer = '' GROUP BY instance, fired_at";

impl Decisions {
    /// When areas were in emergency, by what was seen of it; those that still are, too.
    ///
    /// # Errors
    /// The database's.
    pub async fn emergencies_of_the_past(&self) -> Result<Vec<Lasted>, DecisionsError> {
        let sql =
            "SELECT object, started_at, ended_at FROM circumstances WHERE kind = 'emergency' ORDER BY 1, 2";
        Ok(sqlx::query_as(sql).fetch_all(self.readers()).await?)
    }

    /// When feeds were silent, by the alerts of rules that listen to them; those that still are, too.
    ///
    /// # Errors
    /// The database's.
    pub async fn silences_of_feeds(&self) -> Result<Vec<Lasted>, DecisionsError> {
        let stored: Vec<Lasted> =
            sqlx::query_as("SELECT object, started_at, ended_at FROM circumstances WHERE kind = 'silence'")
                .fetch_all(self.readers())
                .await?;
        let of_alerts: Vec<Lasted> = sqlx::query_as(OF_ALERTS).fetch_all(self.readers()).await?;
        // What an alert says is newer.
        let all = stored.into_iter().chain(of_alerts);
        let all: BTreeMap<(String, i64), Option<i64>> = all
            .map(|lasted| ((lasted.object, lasted.started_at), lasted.ended_at))
            .collect();
        let lasted = all.into_iter().map(|((object, started_at), ended_at)| Lasted {
            object,
            started_at,
            ended_at,
        });
        Ok(lasted.collect())
    }

    /// Notes which areas went into emergency and which left it; `now` is the wall clock, µs.
    pub(super) async fn note_emergencies(&self, modes: &[KnownMode], now: i64) -> Result<(), DecisionsError> {
        let open: Vec<Lasted> = sqlx::query_as(
            "SELECT object, started_at, ended_at FROM circumstances
                WHERE kind = 'emergency' AND (ended_at IS NULL OR ended_at > $1)",
        )
        .bind(now)
        .fetch_all(self.readers())
        .await?;
        let is_open = |area: &str| open.iter().any(|open| open.object == area);
        let emergencies: BTreeSet<&str> = modes
            .iter()
            .filter(|known| known.is_emergency_at(now))
            .map(|known| known.mode.area.as_str())
            .collect();
        let begun: Vec<&&str> = emergencies.iter().filter(|area| !is_open(area)).collect();
        let over: Vec<&Lasted> = open
            .iter()
            .filter(|open| !emergencies.contains(open.object.as_str()))
            .collect();
        let longer: Vec<&Lasted> = open
            .iter()
            .filter(|open| open.ended_at.is_some() && emergencies.contains(open.object.as_str()))
            .collect();
        if begun.is_empty() && over.is_empty() && longer.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        for area in begun {
            // What was set is known from when on; a rule's alert may be of a feed that is replayed.
            let set = modes
                .iter()
                .find(|known| known.mode.area == **area && !known.is_by_rule && known.is_emergency_at(now));
            let started_at = set.map_or(now, |known| known.mode.since);
            note(&mut transaction, "emergency", area, started_at, None).await?;
        }
        for lasted in longer {
            note(
                &mut transaction,
                "emergency",
                &lasted.object,
                lasted.started_at,
                None,
            )
            .await?;
        }
        for lasted in over {
            // It may have ended while nobody looked.
            let until = modes.iter().filter_map(|known| {
                let is_of_it = known.mode.area == lasted.object && known.mode.mode == EMERGENCY;
                known.mode.until.filter(|_| is_of_it)
            });
            let until = until
                .filter(|until| (lasted.started_at..now).contains(until))
                .max();
            let ended_at = until.unwrap_or(now);
            note(
                &mut transaction,
                "emergency",
                &lasted.object,
                lasted.started_at,
                Some(ended_at),
            )
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Notes what alerts say of silent feeds, before they are forgotten, and forgets what was long ago.
    pub(super) async fn note_silences(&self, now: i64) -> Result<(), DecisionsError> {
        let of_alerts: Vec<Lasted> = sqlx::query_as(OF_ALERTS).fetch_all(self.readers()).await?;
        let mut transaction = self.begin().await?;
        for lasted in of_alerts.iter().filter(|lasted| lasted.ended_at.is_some()) {
            note(
                &mut transaction,
                "silence",
                &lasted.object,
                lasted.started_at,
                lasted.ended_at,
            )
            .await?;
        }
        sqlx::query("DELETE FROM circumstances WHERE kind = 'emergency' AND ended_at < $1")
            .bind(now.saturating_sub(KEPT))
            .execute(&mut *transaction)
            .await?;
        // The clock of a feed is its own: of each the newest silence says how far it has come.
        sqlx::query(
            "DELETE FROM circumstances WHERE kind = 'silence' AND ended_at <
                (SELECT MAX(newer.ended_at) - $1 FROM circumstances newer
                  WHERE newer.kind = 'silence' AND newer.object = circumstances.object)",
        )
        .bind(KEPT)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

async fn note(
    connection: &mut Connection,
    kind: &str,
    object: &str,
    started_at: i64,
    ended_at: Option<i64>,
) -> Result<(), DecisionsError> {
    sqlx::query(
        "INSERT INTO circumstances (kind, object, started_at, ended_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (kind, object, started_at) DO UPDATE SET ended_at = $4",
    )
    .bind(kind)
    .bind(object)
    .bind(started_at)
    .bind(ended_at)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::super::tests::{HOUR, SECOND, START, decided, deed};
    use super::super::{Bounds, Keep, Mode, Notify};
    use super::*;
    use riskgrid_analytics::rules::{Rule, RuleBounds, Transition};
    use serde_json::json;

    fn lasted(object: &str, started_at: i64, ended_at: Option<i64>) -> Lasted {
        Lasted {
            object: object.to_owned(),
            started_at,
            ended_at,
        }
    }

    async fn set(decisions: &Decisions, mode: &str, at: i64, until: Option<i64>) {
        let mode = Mode {
            area: "east".to_owned(),
            mode: mode.to_owned(),
            until,
            reason: None,
            by: "anna".to_owned(),
            since: at,
        };
        decisions.set_mode(&mode, &deed()).await.unwrap();
    }

    #[tokio::test]
    async fn emergencies_are_remembered_after_their_end_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
        set(&decisions, "emergency", START, None).await;
        // Said once more, it is the same emergency.
        set(&decisions, "emergency", START + HOUR, Some(START + 9 * HOUR)).await;
        let open = decisions.emergencies_of_the_past().await.unwrap();
        assert_eq!(open, [lasted("east", START, None)]);
        set(&decisions, "normal", START + 2 * HOUR, None).await;
        let first = lasted("east", START, Some(START + 2 * HOUR));
        assert_eq!(
            decisions.emergencies_of_the_past().await.unwrap(),
            std::slice::from_ref(&first)
        );
        set(&decisions, "emergency", START + 5 * HOUR, Some(START + 6 * HOUR)).await;
        decisions.close().await;
        drop(decisions);
        // It ended while nothing ran: it is noted that it did, and when.
        let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
        decisions.look_at_modes(START + 8 * HOUR).await.unwrap();
        let second = lasted("east", START + 5 * HOUR, Some(START + 6 * HOUR));
        assert_eq!(
            decisions.emergencies_of_the_past().await.unwrap(),
            [first, second]
        );
        // Once nothing is compared with that time any more it is forgotten.
        decisions
            .forget_old(&Keep::default(), START + 8 * HOUR + KEPT)
            .await
            .unwrap();
        assert_eq!(decisions.emergencies_of_the_past().await.unwrap(), []);
    }

    /// The beginning and the end of an alert of a feed that was silent for two hours.
    fn silent(feed: &str) -> Vec<Transition> {
        let rule = json!({"name": "feed silent", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
            "severity": "minor"});
        let rule = Rule::from_json("of feeds", &rule, &RuleBounds::default()).unwrap();
        let mut transitions = decided(&rule, feed, &[(0, 4.0), (7_200, 1.0)]);
        for transition in &mut transitions {
            transition.rule_kind = "no_data";
            (transition.layer, transition.sensor, transition.cell) = (None, None, None);
        }
        transitions
    }

    #[tokio::test]
    async fn silences_of_feeds_outlive_their_alerts() {
        let folder = tempfile::tempdir().unwrap();
        let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
        let transitions = silent("calls");
        let record = async |number: usize| {
            let one = &transitions[number..=number];
            let now = one[0].at.micros();
            decisions.record(one, Notify::Send, now, None).await.unwrap();
        };
        record(0).await;
        assert_eq!(
            decisions.silences_of_feeds().await.unwrap(),
            [lasted("calls", START, None)]
        );
        record(1).await;
        let ended = [lasted("calls", START, Some(START + 2 * HOUR))];
        assert_eq!(decisions.silences_of_feeds().await.unwrap(), ended);
        // The alert is forgotten at once, the silence is not.
        let keep = Keep {
            ended_alerts: std::time::Duration::ZERO,
            ..Keep::default()
        };
        let later = START + 3 * HOUR;
        decisions.forget_old(&keep, later).await.unwrap();
        decisions.forget_old(&keep, later + SECOND).await.unwrap();
        let alerts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts")
            .fetch_one(decisions.readers())
            .await
            .unwrap();
        assert_eq!(alerts, 0);
        assert_eq!(decisions.silences_of_feeds().await.unwrap(), ended);
    }
}
