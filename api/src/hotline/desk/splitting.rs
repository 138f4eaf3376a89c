//! Splitting cases off one that was several.

use riskgrid_analytics::hotline::moves::{OPEN, State};
use serde_json::{Value, json};

use super::body::{LONGEST_REASON, members};
use super::moving::Asked;
use super::place::PLACE_MEMBERS;
use super::posted::{KINDS, one_of};
use super::work::{Entry, Work};
use crate::hotline::store::{CaseRow, splits_of};
use crate::problem::Problem;

/// Cases that are split off one.
const MOST_SPLITS: usize = 10;

impl Work<'_> {
    /// Makes the cases that are split off one.
    pub(super) async fn split(
        &mut self,
        case: &CaseRow,
        asked: &Asked<'_>,
        data: &mut Value,
    ) -> Result<(), Problem> {
        let parts = asked.body.members().get("cases").and_then(Value::as_array);
        let parts = parts.map(Vec::as_slice).unwrap_or_default();
        let before = splits_of(self.connection(), &case.id).await?;
        let after = usize::try_from(before)
            .unwrap_or(usize::MAX)
            .saturating_add(parts.len());
        if parts.is_empty() || after > MOST_SPLITS {
            return Err(Problem::unprocessable(format!(
                "`cases` lists 1 to {MOST_SPLITS} cases, and {before} were split off this one before"
            )));
        }
        asked.body.text("reason", LONGEST_REASON)?;
        let mut ids = Vec::with_capacity(parts.len());
        for (number, part) in (before + 2..).zip(parts) {
            let known: Vec<&str> = ["kind", "layer"].into_iter().chain(PLACE_MEMBERS).collect();
            let part = members(part, "a case of `cases`", &known)?;
            let layer = part.get("layer").and_then(Value::as_str).unwrap_or(&case.layer);
            let layer = self.desk.own_layer(layer)?.id.clone();
            let report = format!("{}#{number}", case.report);
            let mut row = self.desk.blank(&case.source, &report, &layer, case.opened_at);
            row.kind = one_of("kind", &part, &KINDS, Some(&case.kind))?;
            row.severity = case.severity;
            row.channel.clone_from(&case.channel);
            row.split_of = Some(case.id.clone());
            "no".clone_into(&mut row.observed);
            let placed = self.desk.place_of(&part)?;
            if PLACE_MEMBERS.iter().any(|name| part.contains_key(*name)) {
                placed.put(&mut row);
            } else {
                (row.lon, row.lat, row.cell) = (case.lon, case.lat, case.cell);
                row.place.clone_from(&case.place);
                row.place_quality.clone_from(&case.place_quality);
                row.areas.clone_from(&case.areas);
            }
            let entry =
                Entry::new(asked.actor, OPEN, State::Accepted, self.now).with(json!({"split_of": case.id}));
            self.open(&mut row, entry).await?;
            ids.push(row.id);
        }
        data["cases"] = json!(ids);
        Ok(())
    }
}
