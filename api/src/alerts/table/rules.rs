//! The SQL table `rules`.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::tables::stored::{Column, Pages, StoredTable, Values};
use riskgrid_ingest::EventTime;

use crate::alerts::Alerting;
use crate::alerts::store::{DecisionsError, RuleProgress, StoredRule};

/// One row.
pub(crate) struct RuleLine {
    stored: StoredRule,
    group: String,
    body: String,
    progress: RuleProgress,
    pending: i64,
    firing: i64,
}

/// The table, for one query, with the rows that `seen` shows.
pub(crate) fn rules_table(alerting: Arc<Alerting>, seen: Arc<Permission>) -> StoredTable<RuleLine> {
    StoredTable::new("rules", columns(), move |_| {
        let rows = rows(Arc::clone(&alerting), Arc::clone(&seen));
        let pages: Pages<RuleLine> = futures::stream::once(async move { Ok(rows.await?) }).boxed();
        pages
    })
}

async fn rows(alerting: Arc<Alerting>, seen: Arc<Permission>) -> Result<Vec<RuleLine>, DecisionsError> {
    let rules = alerting.decisions.rules().await?;
    let mut progress = alerting.decisions.rule_progress().await?;
    let firing = alerting.decisions.open_by_rule();
    let mut pending: HashMap<String, i64> = HashMap::new();
    for instance in alerting.pending.all() {
        *pending.entry(instance.rule_id.clone()).or_default() += 1;
    }
    let rows = rules
        .into_iter()
        .filter(|stored| seen.admits_layer(stored.rule.layer()))
        .map(|stored| RuleLine {
            group: alerting.decisions.group_of_rule(&stored.rule).to_owned(),
            body: serde_json::to_string(&stored.rule).unwrap_or_default(),
            progress: progress.remove(&stored.rule.id).unwrap_or_default(),
            pending: pending.get(&stored.rule.id).copied().unwrap_or_default(),
            firing: firing.get(&stored.rule.id).copied().unwrap_or_default() as i64,
            stored,
        });
    Ok(rows.collect())
}

fn columns() -> Vec<Column<RuleLine>> {
    let column = |name, comment, values: Values<RuleLine>| Column {
        name,
        comment,
        values,
    };
    vec![
        column("id", "the rule's id", Values::Text(|line| &line.stored.rule.id)),
        column("name", "its name", Values::Text(|line| &line.stored.rule.name)),
        column("kind", "its kind", Values::Text(|line| line.stored.rule.kind())),
        column(
            "version",
            "from 1",
            Values::Whole(|line| line.stored.rule.version),
        ),
        column(
            "enabled",
            "whether it is judged",
            Values::YesOrNo(|line| line.stored.rule.enabled),
        ),
        column(
            "severity",
            "of its alerts",
            Values::Text(|line| line.stored.rule.severity.name()),
        ),
        column(
            "layer",
            "that it watches, where it watches one",
            Values::TextOrNull(|line| line.stored.rule.layer()),
        ),
        column(
            "group",
            "what its alerts are gathered in incidents by",
            Values::Text(|line| &line.group),
        ),
        column("body", "the rule, as JSON", Values::Text(|line| &line.body)),
        column(
            "author",
            "who made this version",
            Values::Text(|line| &line.stored.author),
        ),
        column(
            "origin",
            "http, or the file that has it",
            Values::Text(|line| &line.stored.origin),
        ),
        column(
            "created_at",
            "when it was made",
            Values::Time(|line| EventTime::from_micros(line.stored.created_at)),
        ),
        column(
            "updated_at",
            "when this version was made",
            Values::Time(|line| EventTime::from_micros(line.stored.updated_at)),
        ),
        column(
            "evaluated_to",
            "how far it was judged, where it is judged at times of its own",
            Values::TimeOrNull(|line| line.progress.evaluated_to.map(EventTime::from_micros)),
        ),
        column(
            "pending",
            "instances that are over, not yet for long enough",
            Values::Whole(|line| line.pending),
        ),
        column("firing", "open alerts", Values::Whole(|line| line.firing)),
        column(
            "errors",
            "evaluations that failed",
            Values::Whole(|line| line.progress.errors),
        ),
        column(
            "last_error",
            "what was wrong with the newest of them",
            Values::TextOrNull(|line| line.progress.last_error.as_deref()),
        ),
    ]
}
