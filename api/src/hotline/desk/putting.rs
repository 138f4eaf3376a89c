//! Putting a new version of duty, rules or a calendar in force.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Desk;
use super::clocks::Pause;
use super::data::DatumName;
use super::work::{Actor, Entry, Work};
use crate::audit::{Deed, append};
use crate::hotline::store::{ClockRow, Datum, StoreError, case, insert_datum, read_json};
use crate::problem::{Kind, Problem};

/// Clocks that are computed anew in one transaction.
const AT_ONCE: i64 = 200;

impl Desk {
    /// Puts a new version in force, as somebody's deed: its version. What was decided by others stays, but for running clocks of a
    /// calendar, which are computed anew.
    ///
    /// # Errors
    /// 422: it cannot be; 412: another version is in force.
    pub async fn put_datum(
        &self,
        name: &DatumName,
        body: Value,
        expected: Option<i64>,
        deed: &Deed,
    ) -> Result<i64, Problem> {
        let _one_at_a_time = self.putting.lock().await;
        let before = self.data();
        let version = before.get(name).map_or(0, |(version, _)| version);
        if let Some(expected) = expected
            && expected != version
        {
            return Err(other_version(version));
        }
        let stored = serde_json::to_string(&body).map_err(|error| Problem::internal(&error))?;
        let after = before
            .with(name, version + 1, body, &self.settings)
            .map_err(super::data::Unfit::problem)?;
        let now = (self.clock)();
        let datum = Datum {
            name: name.stored(),
            version: version + 1,
            effective_at: now,
            body: stored,
        };
        let mut transaction = self.database.begin().await?;
        if !insert_datum(&mut transaction, &datum).await? {
            return Err(other_version(version));
        }
        let deed = deed
            .clone()
            .to(&datum.name)
            .with(json!({"version": datum.version}));
        append(&mut transaction, &deed, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.data.store(Arc::new(after));
        if let DatumName::Calendar(id) = name {
            self.compute_anew(id).await?;
        }
        Ok(datum.version)
    }

    /// Computes running clocks of a calendar that has a new version, each as its next revision with a note of its case.
    ///
    /// # Errors
    /// The database's: the rest is computed at the next start.
    pub async fn compute_anew(&self, calendar: &str) -> Result<(), Problem> {
        let Some((version, _)) = self
            .data()
            .get(&DatumName::Calendar(calendar.to_owned()))
            .map(|(version, body)| (version, body.clone()))
        else {
            return Ok(());
        };
        let mut after = String::new();
        loop {
            let mut work = Work::begin(self).await?;
            let clocks = work.open_clocks(version, &after).await?;
            let Some(last) = clocks.last().map(|clock| clock.case_id.clone()) else {
                return Ok(());
            };
            for mut clock in clocks {
                if work.data.spec_of(&clock)?.calendar == calendar {
                    work.compute_clock(&mut clock, calendar, version).await?;
                }
            }
            work.commit().await?;
            after = last;
        }
    }
}

impl Work<'_> {
    /// Clocks that are open and were not computed by this version, of some cases after `after`: of each all or none.
    async fn open_clocks(&mut self, version: i64, after: &str) -> Result<Vec<ClockRow>, Problem> {
        let rows = sqlx::query_as(
            "SELECT * FROM case_clocks WHERE state = 'running' AND case_id IN
                (SELECT DISTINCT case_id FROM case_clocks WHERE state = 'running' AND case_id > $1
                    AND (calendar_version IS NULL OR calendar_version <> $2) ORDER BY case_id LIMIT $3)
              ORDER BY case_id, name",
        )
        .bind(after)
        .bind(version)
        .bind(AT_ONCE)
        .fetch_all(self.connection())
        .await
        .map_err(StoreError::from)?;
        Ok(rows)
    }

    async fn compute_clock(
        &mut self,
        clock: &mut ClockRow,
        calendar: &str,
        version: i64,
    ) -> Result<(), Problem> {
        if clock.calendar_version == Some(version) {
            return Ok(());
        }
        let Some(mut case) = case(self.connection(), &clock.case_id).await? else {
            return Ok(());
        };
        let before: Vec<Pause> = read_json("clock", &clock.pauses)?;
        debug_assert!(before.iter().all(|(_, to)| to.is_some()), "it runs");
        self.revise(&case, clock).await?;
        let (actor, at, state) = (Actor::system(), self.now, case.state()?);
        let data = json!({"calendar": calendar, "version": version, "clock": clock.name});
        self.append(&mut case, Entry::new(&actor, "note", state, at).with(data))
            .await
    }
}

fn other_version(version: i64) -> Problem {
    let detail = format!("it is at version {version}; read it again, merge your change and send it again");
    Problem::new(Kind::PreconditionFailed, detail).with("version", version)
}
