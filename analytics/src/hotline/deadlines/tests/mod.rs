//! Deadlines against the contract's rows, an obvious loop over minutes, and what Boston published.

mod boston;
mod cards;
mod clocks;
mod minutes;
mod rows;
#[path = "../../../../../fixtures/skipped.rs"]
mod skipped;

use riskgrid_ingest::EventTime;

use super::*;
use crate::hotline::calendar::{Amount, Calendar};

fn calendar(name: &str) -> Calendar {
    Calendar::shipped(name).unwrap()
}

fn instant(text: &str) -> EventTime {
    // A time without seconds is given some.
    let whole = match text.char_indices().nth(16) {
        Some((place, '+' | '-')) => format!("{}:00{}", &text[..place], &text[place..]),
        _ => text.to_owned(),
    };
    EventTime::parse_rfc3339(&whole).unwrap_or_else(|| panic!("{text}"))
}

fn rule(term: &str) -> ClockRule {
    ClockRule::of(Amount::parse(term).unwrap())
}

fn due_of(calendar: &Calendar, rule: &ClockRule, course: Course<'_>) -> EventTime {
    deadline(calendar, rule, course, true, 3).unwrap().due
}
