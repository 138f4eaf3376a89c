//! Reports of the log, as they become cases or change those that there are.

use riskgrid_analytics::hotline::moves::{Mode, OPEN, State};
use riskgrid_ingest::ReportOp;
use serde_json::json;

use super::Desk;
use super::posted::channel_name;
use super::work::{Actor, Entry, Work};
use crate::database::read_from_row;
use crate::hotline::report::{ReportSeen, is_of_event};
use crate::hotline::store::{CaseRow, StoreError, case, case_id, moves_of};
use crate::problem::Problem;

/// The source of cases that alerts made.
pub const ALERT_SOURCE: &str = "//riskgrid/alerts";

/// An alert whose rule makes cases.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSeen {
    id: String,
    layer: String,
    severity: String,
    cell: Option<i64>,
    fired_at: i64,
}

read_from_row!(AlertSeen {
    id,
    layer,
    severity,
    cell,
    fired_at
});

impl Desk {
    /// Makes a case of each alert that has none.
    ///
    /// # Errors
    /// The database's: nothing of it is stored.
    pub async fn make_alert_cases(&self, alerts: &[AlertSeen]) -> Result<(), Problem> {
        if alerts.is_empty() {
            return Ok(());
        }
        let mut work = Work::begin(self).await?;
        for alert in alerts {
            let mut row = self.blank(ALERT_SOURCE, &alert.id, &alert.layer, alert.fired_at);
            if case(work.connection(), &row.id).await?.is_some() {
                continue;
            }
            row.severity = match alert.severity.as_str() {
                "minor" => 1,
                "moderate" => 2,
                "major" => 3,
                _ => 4,
            };
            "sensor".clone_into(&mut row.channel);
            // The centre of the cell stands for all of it.
            let centre = alert
                .cell
                .and_then(|cell| h3o::CellIndex::try_from(cell.cast_unsigned()).ok())
                .map(h3o::LatLng::from);
            if let Some(centre) = centre
                && let Ok(placed) = self.at([centre.lng(), centre.lat()], None, "area")
            {
                placed.put(&mut row);
            }
            "no".clone_into(&mut row.observed);
            let (actor, now) = (Actor::system(), work.now);
            let entry = Entry::new(&actor, OPEN, State::New, now).with(json!({"alert": alert.id}));
            work.open(&mut row, entry).await?;
        }
        work.commit().await
    }

    /// Stores what accepted events say of reports, in one transaction; again changes nothing.
    ///
    /// # Errors
    /// The database's: nothing of it is stored.
    pub async fn take_reports(&self, reports: &[ReportSeen]) -> Result<(), Problem> {
        if reports.is_empty() {
            return Ok(());
        }
        let mut work = Work::begin(self).await?;
        for report in reports {
            work.take_report(report).await?;
        }
        work.commit().await
    }
}

impl Work<'_> {
    async fn take_report(&mut self, report: &ReportSeen) -> Result<(), Problem> {
        let id = case_id(&report.source, &report.report);
        let known = case(self.connection(), &id).await?;
        match (known, report.op) {
            (Some(known), ReportOp::Open) => self.note_report(known, report).await,
            (Some(known), ReportOp::Close) => self.close_mirror(known, report.time, Some(report)).await,
            (None, ReportOp::Open) => self.open_report(report).await,
            (None, ReportOp::Close) => self.remember_end(&id, report).await,
            (_, ReportOp::Update) => Ok(()),
        }
    }

    async fn open_report(&mut self, report: &ReportSeen) -> Result<(), Problem> {
        let (Some(mode), Some((layer, _))) = (report.mode(), &report.layer) else {
            return Ok(());
        };
        let mut row = self
            .desk
            .blank(&report.source, &report.report, layer, report.time);
        channel_name(report.channel).clone_into(&mut row.channel);
        report.put(&mut row);
        let actor = Actor::system();
        let (state, at) = match mode {
            Mode::Own | Mode::Split => (State::New, self.now),
            Mode::Mirror => {
                "mirror".clone_into(&mut row.mode);
                row.office = report.mirrored.as_ref().and_then(|said| said.office.clone());
                (State::Handling, report.time)
            }
        };
        let entry = Entry::new(&actor, OPEN, state, at).with(json!({"event": report.event()}));
        self.open(&mut row, entry).await?;
        if mode == Mode::Mirror {
            if let Some(due) = report.mirrored.as_ref().and_then(|said| said.due) {
                self.start_mirrored(&row, report.time, due.micros()).await?;
            }
            let early: Option<i64> = sqlx::query_scalar("SELECT at FROM case_early_ends WHERE case_id = $1")
                .bind(&row.id)
                .fetch_optional(self.connection())
                .await
                .map_err(StoreError::from)?;
            if let Some(at) = early {
                self.close_mirror(row, at, None).await?;
            }
        }
        Ok(())
    }

    /// Another `open` event of a report that has a case.
    async fn note_report(&mut self, mut known: CaseRow, report: &ReportSeen) -> Result<(), Problem> {
        let event = report.event();
        let moves = moves_of(self.connection(), &known.id).await?;
        if moves.iter().any(|row| is_of_event(row, &event)) {
            return Ok(());
        }
        let (actor, state) = (Actor::system(), known.state()?);
        let at = if known.is_mirrored() {
            report.time
        } else {
            self.now
        };
        let entry = Entry::new(&actor, "note", state, at).with(json!({"event": event}));
        self.append(&mut known, entry).await
    }

    /// What another system decides is closed when it says so; of our own, others' `close` events change nothing.
    async fn close_mirror(
        &mut self,
        mut known: CaseRow,
        at: i64,
        report: Option<&ReportSeen>,
    ) -> Result<(), Problem> {
        if !known.is_mirrored() || known.state()? != State::Handling {
            return Ok(());
        }
        let data = report.map_or_else(|| json!({}), |report| json!({"event": report.event()}));
        let actor = Actor::system();
        known.closed_at = Some(at);
        let entry = Entry::new(&actor, "close", State::Finished, at).with(data);
        self.append(&mut known, entry).await?;
        self.stop_mirrored(&known.id, at).await
    }

    /// A close that comes before its open.
    async fn remember_end(&mut self, id: &str, report: &ReportSeen) -> Result<(), Problem> {
        let may_be_mirrored = self
            .desk
            .layers
            .all()
            .any(|layer| layer.cases == riskgrid_ingest::CasesOf::Mirror);
        if !may_be_mirrored {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO case_early_ends (case_id, at) VALUES ($1, $2)
                ON CONFLICT (case_id) DO UPDATE SET at = $2 WHERE case_early_ends.at < $2",
        )
        .bind(id)
        .bind(report.time)
        .execute(self.connection())
        .await
        .map_err(StoreError::from)?;
        Ok(())
    }
}
