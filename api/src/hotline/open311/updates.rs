//! `servicerequestupdates`, as mySociety defines it: moves of cases as updates of requests, and updates of others as notes.

use riskgrid_analytics::hotline::moves::Duty;
use riskgrid_ingest::DAY;
use serde_json::{Value, json};

use super::answers::{shown_time, status_of};
use super::asked::{Asker, Pairs, Wrong, only, time};
use crate::hotline::desk::{Desk, LONGEST_TEXT, Officer, check_text};
use crate::hotline::store::{case, moves_between};

/// Longest span of one list.
const LONGEST_SPAN: i64 = 90 * DAY;
/// Updates of a list.
const MOST: i64 = 1_000;

/// The moves of a span.
pub(super) async fn list(desk: &Desk, asker: &Asker, pairs: &Pairs) -> Result<Value, Wrong> {
    let now = (desk.clock)();
    let end = time(pairs, "end_date")?.unwrap_or(now);
    let start = time(pairs, "start_date")?.unwrap_or_else(|| end.saturating_sub(LONGEST_SPAN));
    if end < start || end - start > LONGEST_SPAN {
        return Err(Wrong::bad(
            "start_date to end_date is 90 days at most, and in this order",
        ));
    }
    let mut reader = desk.reader().await?;
    let moves = moves_between(&mut reader, start, end, MOST).await?;
    let mut updates = Vec::new();
    for row in moves {
        let found = case(&mut reader, &row.case_id).await?;
        let is_shown = found.is_some_and(|case| desk.layers.own(&case.layer).is_some() && asker.sees(&case));
        if !is_shown {
            continue;
        }
        updates.push(json!({
            "update_id": format!("{}.{}", row.case_id, row.seq),
            "service_request_id": row.case_id,
            "status": status_of(&row.to_state).to_uppercase(),
            "updated_datetime": shown_time(desk, row.at),
            "description": null,
            "media_url": null,
        }));
    }
    Ok(updates.into())
}

/// Notes what somebody else says of a request.
pub(super) async fn create(desk: &Desk, officer: &Officer, form: &Pairs) -> Result<Value, Wrong> {
    officer.must_be(&[Duty::Operator, Duty::Caller])?;
    let needed =
        |name: &'static str| only(form, name)?.ok_or_else(|| Wrong::bad(format!("{name} is missing")));
    let id = needed("service_request_id")?;
    let update_id = match only(form, "update_id")? {
        Some(update_id) => update_id,
        None => only(form, "update_id_ext")?
            .ok_or_else(|| Wrong::bad("update_id is missing; it tells this update from others"))?,
    };
    check_text("update_id", update_id, 128)?;
    let status = needed("status")?;
    if !matches!(status.to_ascii_uppercase().as_str(), "OPEN" | "CLOSED") {
        return Err(Wrong::bad("status is OPEN or CLOSED"));
    }
    if time(form, "updated_datetime")?.is_none() {
        return Err(Wrong::bad("updated_datetime is missing"));
    }
    let text = needed("description")?;
    check_text("description", text, LONGEST_TEXT)?;
    let seq = desk.note_update(officer, id, update_id, text).await?;
    let seq = seq.ok_or_else(|| Wrong::not_found("there is no request of this service_request_id"))?;
    Ok(json!([{"update_id": format!("{id}.{seq}")}]))
}
