//! Requests as Open311 shows them: nothing that a caller said, and no place where that would tell of people.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::hotline::desk::Desk;
use crate::hotline::store::{CaseRow, ClockRow};

/// A time: local, with its offset, in seconds.
pub(super) fn shown_time(desk: &Desk, at: i64) -> String {
    let time = DateTime::from_timestamp_micros(at).unwrap_or_default();
    time.with_timezone(&desk.settings.zone)
        .format("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

/// Whether a case in this state is open to who reported it.
pub(super) fn status_of(state: &str) -> &'static str {
    if matches!(state, "closed" | "finished" | "withdrawn" | "declined") {
        "closed"
    } else {
        "open"
    }
}

/// By when an answer is promised.
pub(super) fn promise(desk: &Desk, clocks: &[ClockRow]) -> Option<String> {
    let citizen = clocks.iter().find(|clock| clock.name == "citizen")?;
    Some(format!("an answer by {}", shown_time(desk, citizen.due_at)))
}

/// A request.
pub(super) fn request(desk: &Desk, case: &CaseRow, clocks: &[ClockRow], is_extended: bool) -> Value {
    let layer = desk.layers.get(&case.layer);
    let is_shown = !layer.is_none_or(|layer| layer.is_sensitive);
    let position = case.position().filter(|_| is_shown);
    let rounded = |degrees: f64| (degrees * 1e5).round() / 1e5;
    let place = case
        .place
        .as_deref()
        .filter(|_| is_shown)
        .and_then(|place| desk.known_place(place));
    let status = status_of(&case.state);
    let updated = case
        .closed_at
        .filter(|_| status == "closed")
        .unwrap_or(case.updated_at);
    let citizen = clocks.iter().find(|clock| clock.name == "citizen");
    let mut shown = json!({
        "service_request_id": case.id,
        "status": status,
        "status_notes": case.state,
        "service_name": layer.map_or(case.layer.as_str(), |layer| layer.label.as_str()),
        "service_code": case.layer,
        "description": case.public_text,
        "agency_responsible": case.office,
        "service_notice": promise(desk, clocks),
        "requested_datetime": shown_time(desk, case.opened_at),
        "updated_datetime": shown_time(desk, updated),
        "expected_datetime": citizen.map(|clock| shown_time(desk, clock.due_at)),
        "address": place.as_ref().map(|place| place.address.clone()),
        "address_id": case.place.as_deref().filter(|_| is_shown),
        "zipcode": place.as_ref().and_then(|place| place.zipcode.clone()),
        "lat": position.map(|[_, lat]| rounded(lat)),
        "long": position.map(|[lon, _]| rounded(lon)),
        "media_url": null,
    });
    if is_extended {
        shown["extended_attributes"] = json!({
            "number": case.number, "state": case.state, "parent": case.parent,
        });
    }
    shown
}
