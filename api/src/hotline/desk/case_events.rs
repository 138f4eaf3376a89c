//! The events by which a case tells the grid that it began and ended.

use serde_json::{Value, json};

use super::making::is_posted;
use super::work::Work;
use crate::hotline::store::{CaseRow, PendingEvent, StoreError, add_event};
use crate::problem::Problem;

impl Work<'_> {
    /// The event of a case that was posted here.
    pub(super) async fn add_open_event(
        &mut self,
        case: &CaseRow,
        reporter: Option<String>,
    ) -> Result<(), Problem> {
        let Some([lon, lat]) = case.position() else {
            return Ok(());
        };
        let mut data = json!({
            "report": case.report, "op": "open", "category": case.layer, "severity": case.severity,
            "lon": lon, "lat": lat, "channel": case.channel,
        });
        if let Some(reporter) = reporter {
            data["reporter"] = json!(reporter);
        }
        let id = case.report.clone();
        self.add_event(case, "open", id, case.opened_at, data).await
    }

    /// The event of a case that is located only now, if the log still takes one of that time.
    pub(super) async fn open_event(&mut self, case: &CaseRow) -> Result<(), Problem> {
        let is_late = self.now.saturating_sub(case.opened_at) >= self.desk.settings.event_horizon;
        if case.observed != "no" || !is_posted(&case.source) || case.split_of.is_some() || is_late {
            return Ok(());
        }
        sqlx::query("UPDATE cases SET observed = 'pending' WHERE id = $1")
            .bind(&case.id)
            .execute(self.connection())
            .await
            .map_err(StoreError::from)?;
        self.add_open_event(case, None).await
    }

    /// The event of a case's end.
    pub(super) async fn end_event(&mut self, case: &CaseRow, otherwise: &str) -> Result<(), Problem> {
        if case.is_mirrored() || case.observed == "no" || case.split_of.is_some() {
            return Ok(());
        }
        let outcome = match case.result.as_deref() {
            _ if otherwise == "duplicate" => "duplicate",
            Some("resolved") => "confirmed",
            Some("unfounded") => "false",
            _ => otherwise,
        };
        let data = json!({"report": case.report, "op": "close", "outcome": outcome});
        let id = format!("{}/close/{}", case.report, case.version);
        let now = self.now;
        self.add_event(case, "close", id, now, data).await
    }

    async fn add_event(
        &mut self,
        case: &CaseRow,
        op: &str,
        id: String,
        time: i64,
        data: Value,
    ) -> Result<(), Problem> {
        let body = json!({
            "specversion": "1.0", "id": id, "source": case.source, "type": "riskgrid.report.v1",
            "time": riskgrid_ingest::EventTime::from_micros(time).to_string(), "data": data,
        });
        let event = PendingEvent {
            id: format!("{}/{op}/{}", case.id, case.version),
            case_id: case.id.clone(),
            op: op.to_owned(),
            body: body.to_string(),
            created_at: self.now,
        };
        add_event(self.connection(), &event).await?;
        self.has_events();
        Ok(())
    }
}
