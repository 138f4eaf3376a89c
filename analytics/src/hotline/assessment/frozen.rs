//! The frozen rows as text that anybody can hash again.

use std::fmt::Write as _;

use riskgrid_ingest::EventTime;

use super::month::Month;
use super::unit::{AssessedUnit, OutReason, Resolved};

const HEADER: &str = "month,office,case_id,generation,due_at,out,responded,replied_at,resolved,rating\n";

/// The rows of a month by case and generation: lines end in LF, times are microseconds, what is not known is empty.
pub fn frozen_csv(month: Month, units: &[AssessedUnit]) -> String {
    let mut sorted: Vec<&AssessedUnit> = units.iter().collect();
    sorted.sort_by(|one, other| (&one.case, one.generation).cmp(&(&other.case, other.generation)));
    let mut text = HEADER.to_owned();
    for unit in sorted {
        let replied_at = unit.replied_at.map(EventTime::micros);
        let _ = writeln!(
            text,
            "{month},{},{},{},{},{},{},{},{},{}",
            field(&unit.office),
            field(&unit.case),
            unit.generation,
            unit.due.micros(),
            unit.out.map_or("", OutReason::as_str),
            u8::from(unit.responded),
            replied_at.map_or_else(String::new, |at| at.to_string()),
            unit.resolved.map_or("", Resolved::as_str),
            unit.rating.map_or_else(String::new, |rating| rating.to_string()),
        );
    }
    text
}

/// A text with a comma, a quote or a line's end in it is quoted.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// SHA-256 of a text, in lower-case hex.
pub fn sha256_hex(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hmac_sha256::Hash::hash(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
