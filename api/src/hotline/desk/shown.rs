//! Cases, moves and clocks as answers have them. Times are local, with their offset.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::Desk;
use super::data::HotlineData;
use crate::hotline::store::{CaseRow, ClockRow, MoveRow};

impl HotlineData {
    /// A time where no calendar says another zone.
    pub fn local(&self, desk: &Desk, at: i64) -> String {
        shown_in(desk.settings.zone, at)
    }

    /// Its date, as `20260309`.
    pub fn local_date(&self, desk: &Desk, at: i64) -> String {
        let time = DateTime::from_timestamp_micros(at).unwrap_or_default();
        time.with_timezone(&desk.settings.zone)
            .format("%Y%m%d")
            .to_string()
    }
}

/// A time in a zone: whole seconds, as far as it has no others.
pub(super) fn shown_in(zone: chrono_tz::Tz, at: i64) -> String {
    let time = DateTime::from_timestamp_micros(at).unwrap_or_default();
    time.with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// A clock.
pub fn shown_clock(desk: &Desk, data: &HotlineData, clock: &ClockRow) -> Value {
    let zone = data.zone_of(desk, clock);
    let local = |at: i64| shown_in(zone, at);
    json!({
        "name": clock.name, "generation": clock.generation, "state": clock.state, "start": local(clock.start_at),
        "due": local(clock.due_at), "yellow": clock.yellow_at.map(local), "red": clock.red_at.map(local),
        "card": clock.card, "provisional": clock.provisional != 0,
    })
}

/// A move.
pub fn shown_move(desk: &Desk, row: &MoveRow) -> Value {
    json!({
        "seq": row.seq, "move": row.r#move, "from_state": row.from_state, "to_state": row.to_state,
        "at": shown_in(desk.settings.zone, row.at), "actor": row.actor, "duty": row.duty, "office": row.office,
        "text_id": row.text_id, "data": parsed(&row.data), "hash": row.hash,
    })
}

impl Desk {
    /// A case, as a list has it.
    pub fn shown_case(&self, case: &CaseRow) -> Value {
        let local = |at: i64| shown_in(self.settings.zone, at);
        json!({
            "id": case.id, "number": case.number, "version": case.version, "state": case.state, "mode": case.mode,
            "source": case.source, "report": case.report, "kind": case.kind, "layer": case.layer,
            "severity": case.severity, "channel": case.channel, "lon": case.lon, "lat": case.lat,
            "cell": case.cell.map(|cell| format!("{:x}", cell.cast_unsigned())), "place": case.place,
            "place_quality": case.place_quality, "areas": parsed(&case.areas), "attributes": parsed(&case.attributes),
            "labels": parsed(&case.labels),
            "office": case.office, "duty_version": case.duty_version, "duty_rule": case.duty_rule,
            "excluded": parsed(&case.excluded), "returns": case.returns, "parent": case.parent,
            "split_of": case.split_of, "round": case.round, "paused_at": case.paused_at.map(local),
            "result": case.result, "public_text": case.public_text, "observed": case.observed,
            "opened_at": local(case.opened_at), "updated_at": local(case.updated_at),
            "closed_at": case.closed_at.map(local),
        })
    }

    /// A case with how its clocks stand: `due` and `card` of `handle`, else `citizen`.
    pub fn listed(&self, case: &CaseRow, clocks: &[ClockRow]) -> Value {
        let mut shown = self.shown_case(case);
        let data = self.data();
        let clock = ["handle", "citizen"]
            .into_iter()
            .find_map(|name| clocks.iter().find(|clock| clock.name == name));
        shown["due"] = json!(clock.map(|clock| shown_in(data.zone_of(self, clock), clock.due_at)));
        shown["card"] = json!(clock.map_or("none", |clock| clock.card.as_str()));
        shown
    }
}
