//! What rules on cells remember, a row a cell: each evaluation writes the rows that it changed, with its transitions.

use std::collections::BTreeMap;

use riskgrid_analytics::rules::{CellChange, CellRules, InstanceState};
use riskgrid_ingest::EventTime;

use super::{Decisions, DecisionsError};
use crate::database::{Connection, read_from_row};

/// Where the event time of the newest evaluation is kept: no cell has this index.
const EVALUATED: i64 = 0;
/// Key of the state when it was one value.
const WHOLE: &str = "cell_rules";
/// Rows of one transaction when that value is taken apart.
const PIECE: usize = 1_000;

/// The state of one rule after an evaluation, as far as it changed.
#[derive(Clone, Copy, Debug)]
pub struct CellState<'a> {
    /// Which rule.
    pub rule_id: &'a str,
    /// Event time of the evaluation.
    pub evaluated: EventTime,
    /// The cells whose phase changed.
    pub changes: &'a [CellChange],
}

struct CellRow {
    rule_id: String,
    cell: i64,
    state: Vec<u8>,
}

read_from_row!(CellRow { rule_id, cell, state });

impl CellState<'_> {
    pub(super) async fn write(&self, connection: &mut Connection) -> Result<(), DecisionsError> {
        put(connection, self.rule_id, EVALUATED, &self.evaluated).await?;
        for (cell, state) in self.changes {
            let cell = cell.cast_signed();
            match state {
                Some(state) => put(connection, self.rule_id, cell, state).await?,
                None => {
                    sqlx::query("DELETE FROM rule_cells WHERE rule_id = $1 AND cell = $2")
                        .bind(self.rule_id)
                        .bind(cell)
                        .execute(&mut *connection)
                        .await?;
                }
            }
        }
        Ok(())
    }
}

async fn put(
    connection: &mut Connection,
    rule_id: &str,
    cell: i64,
    state: &impl serde::Serialize,
) -> Result<(), DecisionsError> {
    let bytes = postcard::to_allocvec(state).map_err(|error| DecisionsError::unreadable("cell", &error))?;
    sqlx::query(
        "INSERT INTO rule_cells (rule_id, cell, state) VALUES ($1, $2, $3)
            ON CONFLICT (rule_id, cell) DO UPDATE SET state = excluded.state",
    )
    .bind(rule_id)
    .bind(cell)
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}

/// When a rule was evaluated last, and its cells.
type Looked = (Option<EventTime>, Vec<(u64, InstanceState)>);

impl Decisions {
    /// What rules on cells remembered when they were evaluated last.
    pub async fn cell_rules(&self) -> Result<CellRules, DecisionsError> {
        self.take_apart_whole().await?;
        let rows: Vec<CellRow> = sqlx::query_as("SELECT rule_id, cell, state FROM rule_cells")
            .fetch_all(self.readers())
            .await?;
        let unreadable = |error| DecisionsError::unreadable("cell of a rule", &error);
        let mut by_rule: BTreeMap<String, Looked> = BTreeMap::new();
        for row in rows {
            let (evaluated, cells) = by_rule.entry(row.rule_id).or_default();
            if row.cell == EVALUATED {
                *evaluated = Some(postcard::from_bytes(&row.state).map_err(unreadable)?);
            } else {
                let state = postcard::from_bytes(&row.state).map_err(unreadable)?;
                cells.push((row.cell.cast_unsigned(), state));
            }
        }
        let mut rules = CellRules::new();
        for (rule_id, (evaluated, cells)) in by_rule {
            rules.put_back(&rule_id, evaluated, cells);
        }
        Ok(rules)
    }

    /// Notes how far rules were judged that were judged further than `noted` says, which then says it.
    pub async fn put_evaluated(
        &self,
        rules: &[(&str, EventTime)],
        noted: &mut BTreeMap<String, EventTime>,
    ) -> Result<(), DecisionsError> {
        let further: Vec<&(&str, EventTime)> = rules
            .iter()
            .filter(|(rule_id, at)| noted.get(*rule_id).is_none_or(|noted| noted < at))
            .collect();
        if further.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        for (rule_id, at) in &further {
            put(&mut transaction, rule_id, EVALUATED, at).await?;
        }
        transaction.commit().await?;
        noted.retain(|rule_id, _| rules.iter().any(|(known, _)| known == rule_id));
        noted.extend(
            further
                .into_iter()
                .map(|(rule_id, at)| ((*rule_id).to_owned(), *at)),
        );
        Ok(())
    }

    /// An older riskgrid kept all as one value.
    async fn take_apart_whole(&self) -> Result<(), DecisionsError> {
        let Some(saved) = self.meta(WHOLE).await? else {
            return Ok(());
        };
        let rules = CellRules::restore(&saved).unwrap_or_else(|error| {
            tracing::warn!(%error, "timers of rules on cells start anew; alerts that fire are in the database");
            CellRules::new()
        });
        for (rule_id, evaluated, cells) in rules.all() {
            for changes in cells.chunks(PIECE) {
                let state = CellState {
                    rule_id,
                    evaluated: evaluated.unwrap_or(EventTime::from_micros(i64::MIN)),
                    changes,
                };
                let mut transaction = self.begin().await?;
                state.write(&mut transaction).await?;
                transaction.commit().await?;
            }
        }
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM meta WHERE key = $1")
            .bind(WHOLE)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
