//! Reports that the grid accepted become cases: the first `open` event of one makes it, later ones are notes. A record that is read
//! again changes nothing, for each row says of which event it is.

use riskgrid_analytics::hotline::moves::{Mode, OPEN};
use riskgrid_ingest::{CasesOf, Channel, EventHash, Mirrored, ReportOp};
use serde_json::{Value, json};

use crate::hotline::store::{CaseRow, MoveRow};

/// What an accepted event says of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSeen {
    /// Whose event it is.
    pub source: String,
    /// The name of the report.
    pub report: String,
    /// What it does.
    pub op: ReportOp,
    /// Event time, microseconds.
    pub time: i64,
    /// Its identity.
    pub hash: EventHash,
    /// The layer and whose its cases are; those of no layer end reports that are known.
    pub layer: Option<(String, CasesOf)>,
    /// 0 to 4.
    pub severity: u8,
    /// Through what it came.
    pub channel: Channel,
    /// Longitude, latitude.
    pub position: Option<[f64; 2]>,
    /// The base cell.
    pub cell: Option<u64>,
    /// The areas that hold it.
    pub areas: Vec<String>,
    /// What another system says of its case.
    pub mirrored: Option<Box<Mirrored>>,
}

impl ReportSeen {
    /// How rows name the event.
    pub fn event(&self) -> String {
        format!("{:032x}", self.hash.0)
    }

    /// Puts a case where the event was.
    pub(crate) fn put(&self, case: &mut CaseRow) {
        (case.lon, case.lat) = (
            self.position.map(|position| position[0]),
            self.position.map(|position| position[1]),
        );
        case.cell = self.cell.map(u64::cast_signed);
        let quality = if self.position.is_some() {
            "exact"
        } else {
            "unlocated"
        };
        quality.clone_into(&mut case.place_quality);
        case.areas = json!(self.areas).to_string();
        case.severity = i64::from(self.severity);
    }

    /// The state in which its case is made.
    pub(crate) fn mode(&self) -> Option<Mode> {
        match self.layer.as_ref()?.1 {
            CasesOf::None => None,
            CasesOf::Own => Some(Mode::Own),
            CasesOf::Mirror => Some(Mode::Mirror),
        }
    }
}

/// Whether a row is of an event.
pub(crate) fn is_of_event(row: &MoveRow, event: &str) -> bool {
    matches!(row.r#move.as_str(), OPEN | "note" | "close")
        && serde_json::from_str::<Value>(&row.data)
            .ok()
            .is_some_and(|data| data.get("event").and_then(Value::as_str) == Some(event))
}
