//! Which fields an event has, and whether all are there that one of its kind must have.

use super::short;
use crate::words::{Candidate, CandidateTime, EventKind, Number, Refusal, RefusalReason, ReportOp};

/// What a candidate that has all it must have brings beside.
pub(super) struct Present {
    /// What it does; none when it names something else.
    op: Option<ReportOp>,
    /// Both coordinates are there.
    pub(super) has_place: bool,
}

impl Present {
    /// # Errors
    /// `missing_field`, of the first one that is.
    #[inline]
    pub(super) fn check(candidate: &Candidate<'_>) -> Result<Self, Refusal> {
        if let Some(key) = &candidate.lookup_missed {
            return Err(Refusal::new(
                RefusalReason::MissingField,
                format!("no row of the look-up file holds {key}"),
            ));
        }
        needed(candidate.id.as_deref(), "id")?;
        needed(candidate.source.as_deref(), "source")?;
        if candidate.time == CandidateTime::Missing {
            return Err(Refusal::missing("time"));
        }
        let op = match candidate.op.as_deref() {
            None | Some("") => Some(ReportOp::Open),
            Some(text) => ReportOp::parse(text),
        };
        let is_report = candidate.kind == EventKind::Report;
        // Of a report that was opened before, both are known.
        let may_omit = is_report && matches!(op, Some(ReportOp::Update | ReportOp::Close));
        let has_place = candidate.lon != Number::Missing || candidate.lat != Number::Missing;
        if has_place || !may_omit {
            number(&candidate.lon, "lon")?;
            number(&candidate.lat, "lat")?;
        }
        let name = candidate.name.as_deref();
        match candidate.kind {
            EventKind::Observation => {
                needed(name, "property")?;
                number(&candidate.value, "value")?;
                needed(candidate.sensor.as_deref(), "sensor")?;
            }
            EventKind::Report if may_omit => {}
            EventKind::Report => needed(name, "category")?,
            EventKind::Position => needed(candidate.unit.as_deref(), "unit")?,
        }
        Ok(Self { op, has_place })
    }

    /// What it does to its report; `text` is how it says so.
    ///
    /// # Errors
    /// `invalid_value` when that is no operation.
    #[inline]
    pub(super) fn op(&self, text: Option<&str>) -> Result<ReportOp, Refusal> {
        self.op.ok_or_else(|| {
            let detail = format!(
                "op `{}` is none of open, update, close",
                short(text.unwrap_or_default())
            );
            Refusal::new(RefusalReason::InvalidValue, detail)
        })
    }
}

fn needed(text: Option<&str>, name: &str) -> Result<(), Refusal> {
    match text {
        None | Some("") => Err(Refusal::missing(name)),
        Some(_) => Ok(()),
    }
}

fn number(number: &Number<'_>, name: &str) -> Result<(), Refusal> {
    match number {
        Number::Missing => Err(Refusal::missing(name)),
        Number::Value(_) | Number::Text(_) => Ok(()),
    }
}
