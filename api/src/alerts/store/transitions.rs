//! Transitions of alerts as the SQL table shows them.

use super::{Decisions, DecisionsError};
use crate::database::read_from_row;

/// Transitions of one page.
const PAGE: i64 = 1_000;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionLine {
    /// Id of the alert.
    pub alert: String,
    /// 1 is the firing.
    pub number: i64,
    /// firing, acknowledged, …
    pub kind: String,
    /// µs.
    pub at: i64,
    /// That decided.
    pub value: f64,
    /// Why, by value, as JSON.
    pub evidence: String,
    /// Wall clock, µs.
    pub recorded_at: i64,
    /// Whether somebody was told, or why not.
    pub notify: String,
    /// Of the alert.
    pub severity: String,
    /// Where the data did not end it.
    pub reason: Option<String>,
    /// Who made it, where somebody did.
    pub made_by: Option<String>,
    /// What they said.
    pub comment: Option<String>,
    /// Until when, µs.
    pub until: Option<i64>,
    /// Of the alert; empty where its rule watches none.
    pub layer: String,
    /// Of the alert.
    pub cell: Option<i64>,
}

read_from_row!(TransitionLine {
    alert,
    number,
    kind,
    at,
    value,
    evidence,
    recorded_at,
    notify,
    severity,
    reason,
    made_by,
    comment,
    until,
    layer,
    cell
});

impl Decisions {
    /// The next transitions, by alert and number, after one; of one alert, where that is asked for.
    pub async fn transition_lines(
        &self,
        alert: Option<&str>,
        after: Option<&(String, i64)>,
    ) -> Result<Vec<TransitionLine>, DecisionsError> {
        let (after_alert, after_number) = match after {
            Some((alert, number)) => (alert.as_str(), *number),
            None => ("", 0),
        };
        let columns = "SELECT t.alert, t.number, t.kind, t.at, t.value, t.evidence, t.recorded_at, t.notify, alerts.severity,
                t.reason, t.made_by, t.comment, t.until, alerts.layer, alerts.cell
               FROM transitions t JOIN alerts ON alerts.id = t.alert";
        let of_one = if alert.is_some() { "t.alert = $4 AND " } else { "" };
        let sql = format!(
            "{columns} WHERE {of_one}(t.alert, t.number) > ($1, $2) ORDER BY t.alert, t.number LIMIT $3"
        );
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after_alert.to_owned())
            .bind(after_number)
            .bind(PAGE);
        if let Some(alert) = alert {
            query = query.bind(alert.to_owned());
        }
        Ok(query.fetch_all(self.readers()).await?)
    }
}
