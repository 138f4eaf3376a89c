//! How one instance of a rule moves: quiet, pending, firing, and back.
//!
//! A value stays in force until the next one. Pending asks for a value over the limit all the time; firing holds
//! until a value is below `clear_below`, so a value that hovers between the two never flaps.

use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

use super::rule::Rule;

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Not over the limit.
    Quiet,
    /// Over the limit since `since`, not yet for long enough.
    Pending {
        /// Event time of the first reading over the limit.
        since: EventTime,
    },
    /// An episode is open.
    Firing {
        /// Event time of the first reading over the limit.
        since: EventTime,
        /// Event time at which the alert fired.
        fired_at: EventTime,
    },
}

/// An instance with its newest value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Event time of the newest reading.
    pub newest: EventTime,
    /// The newest reading.
    pub value: f64,
    /// Where it stands.
    pub phase: Phase,
}

impl InstanceState {
    /// When a pending instance fires if nothing else comes.
    pub fn due(&self, rule: &Rule) -> Option<EventTime> {
        match self.phase {
            Phase::Pending { since } => Some(since.plus(rule.hold_micros())),
            Phase::Quiet | Phase::Firing { .. } => None,
        }
    }
}

/// An alert begins or ends. Times are event times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The value was over the limit from `since` to `at`.
    Fired {
        /// When it fired.
        at: EventTime,
        /// First reading over the limit.
        since: EventTime,
        /// The value in force.
        value: f64,
    },
    /// The value fell below `clear_below`.
    Resolved {
        /// When; never before it fired.
        at: EventTime,
        /// When the episode fired.
        fired_at: EventTime,
        /// The value that cleared it.
        value: f64,
    },
}

/// Moves an instance by one reading: none, one, or two changes (a timer that ran out before the reading, and the
/// reading itself). A reading older than the newest, or not finite, changes nothing.
pub fn step(
    state: Option<InstanceState>,
    value: f64,
    at: EventTime,
    rule: &Rule,
) -> (InstanceState, Vec<Change>) {
    let mut changes = Vec::new();
    let before = match state {
        None => InstanceState {
            newest: at,
            value,
            phase: Phase::Quiet,
        },
        Some(known) if at < known.newest || !value.is_finite() => return (known, changes),
        Some(known) => {
            let (advanced, change) = advance(known, at, rule);
            changes.extend(change);
            advanced
        }
    };
    let is_over = rule.limit.is_exceeded_by(value);
    let phase = match before.phase {
        Phase::Quiet if is_over => pending_or_firing(at, at, value, rule, &mut changes),
        Phase::Pending { since } if is_over => pending_or_firing(since, at, value, rule, &mut changes),
        Phase::Quiet | Phase::Pending { .. } => Phase::Quiet,
        Phase::Firing { fired_at, .. } if value < rule.clear_below => {
            changes.push(Change::Resolved {
                at: at.max(fired_at),
                fired_at,
                value,
            });
            Phase::Quiet
        }
        firing @ Phase::Firing { .. } => firing,
    };
    (
        InstanceState {
            newest: at,
            value,
            phase,
        },
        changes,
    )
}

/// Lets the timer of a pending instance run out when it was due **before** `now`: a reading at the very instant
/// may still come and decides itself.
pub fn advance(state: InstanceState, now: EventTime, rule: &Rule) -> (InstanceState, Option<Change>) {
    match (state.phase, state.due(rule)) {
        (Phase::Pending { since }, Some(due)) if due < now => {
            let fired = Change::Fired {
                at: due,
                since,
                value: state.value,
            };
            (
                InstanceState {
                    phase: Phase::Firing { since, fired_at: due },
                    ..state
                },
                Some(fired),
            )
        }
        _ => (state, None),
    }
}

fn pending_or_firing(
    since: EventTime,
    at: EventTime,
    value: f64,
    rule: &Rule,
    changes: &mut Vec<Change>,
) -> Phase {
    if since.plus(rule.hold_micros()) > at {
        return Phase::Pending { since };
    }
    changes.push(Change::Fired { at, since, value });
    Phase::Firing { since, fired_at: at }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "step_tests.rs"]
mod tests;
