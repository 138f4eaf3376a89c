//! What another duty table would do to open cases.

use riskgrid_analytics::hotline::moves::{Duty, Move, State};
use serde_json::{Value, json};

use super::Desk;
use super::body::MoveBody;
use super::data::DatumName;
use super::moving::Asked;
use super::work::{Actor, Work};
use crate::database::{Bound, Conditions};
use crate::hotline::store::{CaseRow, Line, PAGE, case, lines};
use crate::problem::Problem;

/// Cases that are answered.
const MOST: usize = 10_000;

/// A case that another office would have.
struct Misplaced {
    case: CaseRow,
    to: String,
    rule: String,
}

impl Desk {
    /// The cases that are with an office and would be with another one by this duty table; those that are not started are sent
    /// there, if that is asked for.
    ///
    /// # Errors
    /// 422: it is no duty table, or places too many otherwise.
    pub async fn preview_duty(
        &self,
        body: Value,
        redispatch: bool,
        who: &str,
        is_seen: impl Fn(&CaseRow) -> bool,
    ) -> Result<Value, Problem> {
        let now = (self.clock)();
        let version = self
            .data()
            .get(&DatumName::Duty)
            .map_or(0, |(version, _)| version);
        let would_be = self
            .data()
            .with(&DatumName::Duty, version + 1, body, &self.settings)
            .map_err(super::data::Unfit::problem)?;
        let mut found = Vec::new();
        for state in [State::Dispatched, State::Handling] {
            let conditions = Conditions {
                sql: vec!["state = ?".to_owned(), "mode = 'own'".to_owned()],
                values: vec![Bound::Text(state.as_str().to_owned())],
            };
            let mut after: Option<Vec<Bound>> = None;
            loop {
                let mut reader = self.reader().await?;
                let page: Vec<CaseRow> =
                    lines(&mut reader, &conditions, after.as_deref(), usize::MAX).await?;
                drop(reader);
                after = page.last().map(Line::place);
                let is_last = page.len() < PAGE;
                for case in page.into_iter().filter(|case| is_seen(case)) {
                    let assigned = would_be.office_for(self, &case, now)?;
                    let assigned = assigned.filter(|to| case.office.as_ref() != Some(&to.office));
                    if let Some(to) = assigned {
                        found.push(Misplaced {
                            case,
                            to: to.office,
                            rule: to.rule,
                        });
                    }
                }
                if found.len() > MOST {
                    return Err(Problem::unprocessable(format!(
                        "more than {MOST} cases would be placed otherwise; put the table, and move them by hand"
                    )));
                }
                if is_last {
                    break;
                }
            }
        }
        if redispatch {
            for misplaced in &found {
                self.send_to(misplaced, who).await?;
            }
        }
        let shown: Vec<Value> = found
            .iter()
            .map(|misplaced| {
                json!({
                    "case": misplaced.case.id, "from": misplaced.case.office, "to": misplaced.to,
                    "rule": misplaced.rule,
                })
            })
            .collect();
        Ok(json!({ "cases": shown }))
    }

    /// Sends a case that nobody has started to another office, unless somebody moved it meanwhile.
    async fn send_to(&self, misplaced: &Misplaced, who: &str) -> Result<(), Problem> {
        let mut work = Work::begin(self).await?;
        let found = case(work.connection(), &misplaced.case.id).await?;
        let still = found.filter(|case| {
            case.version == misplaced.case.version && case.state == State::Dispatched.as_str()
        });
        let Some(mut case) = still else { return Ok(()) };
        let clocks = work.clocks(&case.id).await?;
        let body = MoveBody::made(
            Move::Transfer,
            json!({"office": misplaced.to, "reason": format!("duty row {}", misplaced.rule)}),
        );
        let actor = Actor {
            who: who.to_owned(),
            duty: Duty::Dispatcher,
        };
        let asked = Asked {
            actor: &actor,
            body: &body,
            officer: None,
        };
        work.move_case(&mut case, &asked, &clocks).await?;
        work.commit().await
    }
}
