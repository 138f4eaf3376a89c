//! What rules remember that are judged at times of their own, a row an instance: each evaluation writes the rows that it
//! changed, with its transitions, and how they stood before.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use riskgrid_analytics::rules::{
    InstanceChange, InstanceKey, InstanceState, Instances, Known, REVISE_FOR, Rule, What,
};
use riskgrid_ingest::EventTime;

use super::{Decisions, DecisionsError, PIECE};
use crate::database::{Connection, Standing, read_from_row};

/// The state of one rule after an evaluation, as far as it changed.
#[derive(Clone, Copy, Debug)]
pub struct RuleState<'a> {
    /// Which rule.
    pub rule_id: &'a str,
    /// Its version by which it was judged.
    pub rule_version: i64,
    /// How this node stood to the lease when it judged: its transactions fail once another has taken over.
    pub standing: Standing,
    /// Event time of the evaluation.
    pub evaluated: EventTime,
    /// The instances whose phase changed.
    pub changes: &'a [InstanceChange],
    /// How they stood before.
    pub before: &'a [InstanceChange],
    /// Late data from before this time make it again.
    pub of: EventTime,
}

struct InstanceRow {
    rule_id: String,
    instance: String,
    state: Vec<u8>,
}

read_from_row!(InstanceRow {
    rule_id,
    instance,
    state
});

struct PastRow {
    rule_id: String,
    at: i64,
    instance: String,
    state: Option<Vec<u8>>,
}

read_from_row!(PastRow {
    rule_id,
    at,
    instance,
    state
});

struct CellRow {
    rule_id: String,
    cell: i64,
    state: Vec<u8>,
}

read_from_row!(CellRow { rule_id, cell, state });

/// How far a rule was judged, and how that went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleProgress {
    rule_id: String,
    /// µs.
    pub evaluated_to: Option<i64>,
    settled_to: Option<i64>,
    /// Failures since it was judged last.
    pub failures: i64,
    /// All failures.
    pub errors: i64,
    /// What was wrong with the newest.
    pub last_error: Option<String>,
}

read_from_row!(RuleProgress {
    rule_id,
    evaluated_to,
    settled_to,
    failures,
    errors,
    last_error
});

impl RuleState<'_> {
    pub(super) async fn write(&self, connection: &mut Connection) -> Result<(), DecisionsError> {
        let version: Option<i64> = sqlx::query_scalar("SELECT version FROM rules WHERE id = $1")
            .bind(self.rule_id)
            .fetch_optional(&mut *connection)
            .await?;
        if version != Some(self.rule_version) {
            // Whoever judged it hears of the change before it tries again.
            return Err(DecisionsError::Conflict(
                "the rule was changed meanwhile".to_owned(),
            ));
        }
        put_evaluated(connection, self.rule_id, self.evaluated, None).await?;
        for (key, known) in self.changes {
            put(connection, self.rule_id, key, known.as_ref()).await?;
        }
        put_past(connection, self.rule_id, self.of, self.before).await
    }

    /// As [`write`](Self::write), in place of what was written of the times since `from`.
    pub(super) async fn write_again(
        &self,
        connection: &mut Connection,
        from: EventTime,
        past: &[(EventTime, &[InstanceChange])],
    ) -> Result<(), DecisionsError> {
        self.write(&mut *connection).await?;
        sqlx::query("DELETE FROM rule_past WHERE rule_id = $1 AND at >= $2")
            .bind(self.rule_id)
            .bind(from.micros())
            .execute(&mut *connection)
            .await?;
        for (at, before) in past {
            put_past(&mut *connection, self.rule_id, *at, before).await?;
        }
        Ok(())
    }
}

fn bytes_of(known: &Known) -> Result<Vec<u8>, DecisionsError> {
    postcard::to_allocvec(known).map_err(|error| DecisionsError::unreadable("instance of a rule", &error))
}

fn known_of(bytes: &[u8]) -> Result<Known, DecisionsError> {
    postcard::from_bytes(bytes).map_err(|error| DecisionsError::unreadable("instance of a rule", &error))
}

async fn put(
    connection: &mut Connection,
    rule_id: &str,
    key: &InstanceKey,
    known: Option<&Known>,
) -> Result<(), DecisionsError> {
    let Some(known) = known else {
        sqlx::query("DELETE FROM rule_instances WHERE rule_id = $1 AND instance = $2")
            .bind(rule_id)
            .bind(key.text().as_ref())
            .execute(connection)
            .await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO rule_instances (rule_id, instance, state) VALUES ($1, $2, $3)
            ON CONFLICT (rule_id, instance) DO UPDATE SET state = excluded.state",
    )
    .bind(rule_id)
    .bind(key.text().as_ref())
    .bind(bytes_of(known)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// How instances stood before an evaluation; the first that says so of a time is right.
async fn put_past(
    connection: &mut Connection,
    rule_id: &str,
    at: EventTime,
    before: &[InstanceChange],
) -> Result<(), DecisionsError> {
    for (key, known) in before {
        sqlx::query(
            "INSERT INTO rule_past (rule_id, at, instance, state) VALUES ($1, $2, $3, $4)
                ON CONFLICT (rule_id, at, instance) DO NOTHING",
        )
        .bind(rule_id)
        .bind(at.micros())
        .bind(key.text().as_ref())
        .bind(known.as_ref().map(bytes_of).transpose()?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A rule that is noted for the first time judged nothing before.
async fn put_evaluated(
    connection: &mut Connection,
    rule_id: &str,
    at: EventTime,
    settled: Option<EventTime>,
) -> Result<(), DecisionsError> {
    sqlx::query(
        "INSERT INTO rule_progress (rule_id, evaluated_to, failures, settled_to) VALUES ($1, $2, 0, $3)
            ON CONFLICT (rule_id) DO UPDATE SET evaluated_to = excluded.evaluated_to, failures = 0,
                settled_to = CASE WHEN $4 = 0 OR rule_progress.settled_to > excluded.settled_to
                    THEN rule_progress.settled_to ELSE excluded.settled_to END",
    )
    .bind(rule_id)
    .bind(at.micros())
    .bind(settled.unwrap_or(at.plus(-1)).micros())
    .bind(i64::from(settled.is_some()))
    .execute(connection)
    .await?;
    Ok(())
}

/// When a rule was evaluated last, its instances, and how they stood before.
#[derive(Default)]
struct Stored {
    evaluated: Option<EventTime>,
    settled: Option<EventTime>,
    instances: Vec<(InstanceKey, Known)>,
    past: BTreeMap<EventTime, Vec<InstanceChange>>,
}

impl Decisions {
    /// What `rules` remembered when they were evaluated last.
    pub async fn rule_instances(&self, rules: &[Rule]) -> Result<Instances, DecisionsError> {
        self.take_over_cells().await?;
        let by_cell: BTreeMap<&str, bool> = rules
            .iter()
            .map(|rule| (rule.id.as_str(), is_by_cell(&rule.what)))
            .collect();
        let key_of = |rule_id: &str, text: String| {
            let cell = by_cell.get(rule_id).filter(|by_cell| **by_cell);
            let cell = cell.and_then(|_| u64::from_str_radix(&text, 16).ok());
            cell.map_or_else(|| InstanceKey::Text(text.into()), InstanceKey::Cell)
        };
        let mut by_rule: BTreeMap<String, Stored> = BTreeMap::new();
        for (rule_id, progress) in self.rule_progress().await? {
            let stored = by_rule.entry(rule_id).or_default();
            stored.evaluated = progress.evaluated_to.map(EventTime::from_micros);
            stored.settled = progress.settled_to.map(EventTime::from_micros);
        }
        let rows: Vec<InstanceRow> = sqlx::query_as("SELECT rule_id, instance, state FROM rule_instances")
            .fetch_all(self.readers())
            .await?;
        for row in rows {
            let key = key_of(&row.rule_id, row.instance);
            let stored = by_rule.entry(row.rule_id).or_default();
            stored.instances.push((key, known_of(&row.state)?));
        }
        let rows: Vec<PastRow> = sqlx::query_as("SELECT rule_id, at, instance, state FROM rule_past")
            .fetch_all(self.readers())
            .await?;
        for row in rows {
            let key = key_of(&row.rule_id, row.instance);
            let known = row.state.as_deref().map(known_of).transpose()?;
            let past = &mut by_rule.entry(row.rule_id).or_default().past;
            past.entry(EventTime::from_micros(row.at))
                .or_default()
                .push((key, known));
        }
        let mut instances = Instances::new();
        for (rule_id, stored) in by_rule {
            if by_cell.contains_key(rule_id.as_str()) {
                let until = (stored.evaluated, stored.settled);
                instances.put_back(&rule_id, until, stored.instances, stored.past);
            }
        }
        Ok(instances)
    }

    /// How far each rule was judged that is judged at times of its own, by its id.
    pub async fn rule_progress(&self) -> Result<HashMap<String, RuleProgress>, DecisionsError> {
        let rows: Vec<RuleProgress> = sqlx::query_as(
            "SELECT rule_id, evaluated_to, settled_to, failures, errors, last_error FROM rule_progress",
        )
        .fetch_all(self.readers())
        .await?;
        Ok(rows.into_iter().map(|row| (row.rule_id.clone(), row)).collect())
    }

    /// Notes that a rule could not be judged, and why; how often that was so since it was judged last.
    pub async fn note_failure(
        &self,
        rule_id: &str,
        error: &(dyn Display + Sync),
    ) -> Result<i64, DecisionsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO rule_progress (rule_id, failures, errors, last_error) VALUES ($1, 1, 1, $2)
                ON CONFLICT (rule_id) DO UPDATE SET failures = rule_progress.failures + 1,
                    errors = rule_progress.errors + 1, last_error = excluded.last_error",
        )
        .bind(rule_id)
        .bind(error.to_string())
        .execute(&mut *transaction)
        .await?;
        let failures: i64 = sqlx::query_scalar("SELECT failures FROM rule_progress WHERE rule_id = $1")
            .bind(rule_id)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(failures)
    }

    /// Notes how far rules were judged that were judged further than `noted` says, which then says it. How they stood before
    /// evaluations that are made no more is forgotten.
    pub async fn put_evaluated(
        &self,
        rules: &[(&str, EventTime, Option<EventTime>)],
        noted: &mut BTreeMap<String, EventTime>,
    ) -> Result<(), DecisionsError> {
        let further: Vec<&(&str, EventTime, Option<EventTime>)> = rules
            .iter()
            .filter(|(rule_id, at, _)| noted.get(*rule_id).is_none_or(|noted| noted < at))
            .collect();
        if further.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        for (rule_id, at, settled) in &further {
            put_evaluated(&mut transaction, rule_id, *at, *settled).await?;
            sqlx::query("DELETE FROM rule_past WHERE rule_id = $1 AND at < $2")
                .bind(rule_id)
                .bind(at.plus(-(REVISE_FOR.as_micros() as i64)).micros())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        noted.retain(|rule_id, _| rules.iter().any(|(known, ..)| known == rule_id));
        noted.extend(
            further
                .into_iter()
                .map(|(rule_id, at, _)| ((*rule_id).to_owned(), *at)),
        );
        Ok(())
    }

    /// An older riskgrid kept cells only, by their numbers; number 0 had the time of the evaluation.
    async fn take_over_cells(&self) -> Result<(), DecisionsError> {
        let unreadable = |error| DecisionsError::unreadable("cell of a rule", &error);
        loop {
            let mut transaction = self.begin().await?;
            let rows: Vec<CellRow> = sqlx::query_as("SELECT rule_id, cell, state FROM rule_cells LIMIT $1")
                .bind(PIECE)
                .fetch_all(&mut *transaction)
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                if row.cell == 0 {
                    let at: EventTime = postcard::from_bytes(&row.state).map_err(unreadable)?;
                    put_evaluated(&mut transaction, &row.rule_id, at, Some(at)).await?;
                } else {
                    let state: InstanceState = postcard::from_bytes(&row.state).map_err(unreadable)?;
                    let cell = row.cell.cast_unsigned();
                    let known = Known {
                        state,
                        cell: Some(cell),
                    };
                    put(
                        &mut transaction,
                        &row.rule_id,
                        &InstanceKey::Cell(cell),
                        Some(&known),
                    )
                    .await?;
                }
                sqlx::query("DELETE FROM rule_cells WHERE rule_id = $1 AND cell = $2")
                    .bind(&row.rule_id)
                    .bind(row.cell)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        }
    }
}

/// Whether the instances of a rule are cells of the grid.
fn is_by_cell(what: &What) -> bool {
    use riskgrid_analytics::rules::{By, Per};
    match what {
        What::Threshold(threshold) => threshold.per == Per::Cell,
        What::Risk(_) => true,
        What::Composite(composite) => composite.by == By::Cell,
        What::Sql(_) | What::NoData(_) => false,
    }
}
