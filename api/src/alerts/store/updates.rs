//! Open alerts whose severity or whose webhooks are others now, because an emergency began or ended, or their rule was
//! changed: each is told once as `updated`.

use riskgrid_analytics::rules::Severity;
use serde_json::json;

use super::alerts::{Alert, AlertRow, AlertState};
use super::bounds::RULE_FULL;
use super::notice::{Told, add_transition};
use super::record::{Notify, Recorded, Recording};
use super::telling::rank;
use super::{Decisions, DecisionsError, PIECE, RULE_FAILING};

/// The name of such a transition.
const UPDATED: &str = "updated";

impl Decisions {
    /// Brings severity and webhooks of open alerts into line with their rules and with the mode where they lie: of one rule,
    /// or of all that say what is otherwise in an emergency. One that somebody has taken and that is graver now fires for
    /// everybody again.
    ///
    /// # Errors
    /// The database's; then some may be stored.
    pub async fn update_open(&self, rule_id: Option<&str>, now: i64) -> Result<Recorded, DecisionsError> {
        let mut all = Recorded::default();
        let mut last = String::new();
        loop {
            let mut recording = Recording::begin(self, Notify::Send, now).await?;
            let rows: Vec<AlertRow> = sqlx::query_as(
                "SELECT alerts.* FROM alerts JOIN rules ON rules.id = alerts.rule_id
                    WHERE alerts.resolved_at IS NULL AND alerts.id > $1 AND alerts.rule NOT IN ($2, $3)
                      AND (rules.id = $4 OR ($4 IS NULL AND rules.body LIKE '%\"emergency\"%'))
                    ORDER BY alerts.id LIMIT $5",
            )
            .bind(&last)
            .bind(RULE_FULL)
            .bind(RULE_FAILING)
            .bind(rule_id)
            .bind(PIECE)
            .fetch_all(&mut *recording.transaction)
            .await?;
            let is_last = rows.len() < usize::try_from(PIECE).unwrap_or_default();
            for row in rows {
                let alert = row.into_alert()?;
                last.clone_from(&alert.id);
                recording.update(alert).await?;
            }
            let recorded = recording.commit().await?;
            all.queued += recorded.queued;
            all.alerts.extend(recorded.alerts);
            if is_last {
                return Ok(all);
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Recording<'_> {
    async fn update(&mut self, mut alert: Alert) -> Result<(), DecisionsError> {
        let is_emergency = self.decisions.is_emergency_at(alert.cell.map(u64::cast_signed));
        let known: String = sqlx::query_scalar("SELECT webhooks FROM alerts WHERE id = $1")
            .bind(&alert.id)
            .fetch_one(&mut *self.transaction)
            .await?;
        let known: Vec<String> =
            serde_json::from_str(&known).map_err(|error| DecisionsError::unreadable("alert", &error))?;
        let facts = self.rules.of(&mut self.transaction, &alert.rule_id).await?;
        let own = facts.severity.or_else(|| Severity::from_name(&alert.severity));
        let Some(own) = own else { return Ok(()) };
        let (severity, webhooks) = facts.terms(own, known.clone(), is_emergency);
        if severity.name() == alert.severity && webhooks.len() == known.len() {
            return Ok(());
        }
        let has_risen = rank(severity.name()) > rank(&alert.severity);
        let evidence = json!({"value": alert.value, "severity": {"before": alert.severity, "after": severity.name()},
            "mode": if is_emergency { "emergency" } else { "normal" }});
        severity.name().clone_into(&mut alert.severity);
        if has_risen && alert.state == AlertState::Acknowledged {
            alert.state = AlertState::Firing;
            alert.acknowledged_at = None;
            alert.acknowledged_by = None;
            alert.acknowledged_comment = None;
            alert.acknowledged_until = None;
        }
        sqlx::query("UPDATE alerts SET severity = $2, webhooks = $3 WHERE id = $1")
            .bind(&alert.id)
            .bind(&alert.severity)
            .bind(json!(webhooks).to_string())
            .execute(&mut *self.transaction)
            .await?;
        super::acknowledge::store_terms(&mut self.transaction, &alert).await?;
        // Whoever is told of the beginning later is told how it is then.
        let how = match self.how_begun(&alert.id).await?.as_str() {
            "held" => "none",
            _ if self.is_held(&alert).await? => "held",
            _ => "sent",
        };
        let told = Told {
            kind: UPDATED,
            number: self.next_number(&alert.id).await?,
            evidence: &evidence,
            reason: None,
            how,
            is_late: false,
        };
        let stands_at = alert.at;
        alert.at = self.now.max(stands_at);
        let queued = add_transition(self.decisions, &mut self.transaction, &alert, &told, self.now).await?;
        alert.at = stands_at;
        self.recorded.queued += queued;
        self.recorded.alerts.push(alert);
        Ok(())
    }
}
