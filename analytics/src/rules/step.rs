//! How one instance of a rule moves: quiet, pending, firing, clearing, and back.
//!
//! A value stays in force until the next one. Pending asks for a value over the limit all the time; firing holds
//! until values are below `clear_below` for `keep_firing_for`, so a value that hovers between the two never flaps. What
//! fires and has no value for `stale_after` expires.

use std::time::Duration;

use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::words::Verdict;

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
    /// An episode is open, and its values are clear, not yet for long enough.
    Clearing {
        /// Event time of the first reading over the limit.
        since: EventTime,
        /// Event time at which the alert fired.
        fired_at: EventTime,
        /// Event time of the first clear reading.
        clear_since: EventTime,
        /// That reading.
        clear_value: f64,
    },
}

impl Phase {
    /// Whether an episode is open.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Firing { .. } | Self::Clearing { .. })
    }
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

/// The spans of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long it must be over before it fires.
    pub hold: Duration,
    /// How long it must be clear before it resolves.
    pub keep_firing_for: Duration,
    /// How long after its newest value what fires expires.
    pub stale_after: Option<Duration>,
}

impl From<&Rule> for Pace {
    fn from(rule: &Rule) -> Self {
        Self {
            hold: rule.hold,
            keep_firing_for: rule.keep_firing_for,
            stale_after: rule.what.on_sensors().and_then(|sensors| sensors.stale_after),
        }
    }
}

/// A value, and what it means to the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What it means.
    pub verdict: Verdict,
    /// The value.
    pub value: f64,
}

/// What happens to an instance when time passes and nothing else comes. The order is that of two at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Fires,
    Resolves,
    Expires,
}

impl InstanceState {
    /// When the next timer of the instance runs out if nothing else comes.
    pub fn due(&self, pace: &Pace) -> Option<EventTime> {
        self.next_timer(pace).map(|(due, _)| due)
    }

    fn next_timer(&self, pace: &Pace) -> Option<(EventTime, Timer)> {
        let expires = pace
            .stale_after
            .map(|after| (plus(self.newest, after), Timer::Expires));
        match self.phase {
            Phase::Quiet => None,
            Phase::Pending { since } => Some((plus(since, pace.hold), Timer::Fires)),
            Phase::Firing { .. } => expires,
            Phase::Clearing { clear_since, .. } => {
                let resolves = (plus(clear_since, pace.keep_firing_for), Timer::Resolves);
                Some(expires.map_or(resolves, |expires| expires.min(resolves)))
            }
        }
    }
}

fn plus(time: EventTime, duration: Duration) -> EventTime {
    time.plus(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
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
    /// The value was clear for as long as the rule asks.
    Resolved {
        /// When; never before it fired.
        at: EventTime,
        /// When the episode fired.
        fired_at: EventTime,
        /// The value that cleared it.
        value: f64,
    },
    /// No value came for so long that nothing is known any more, which is no all-clear.
    Expired {
        /// When; never before it fired.
        at: EventTime,
        /// When the episode fired.
        fired_at: EventTime,
        /// The newest value.
        value: f64,
    },
}

/// Moves an instance by one reading: first the timers that ran out before it, then the reading itself. A reading older
/// than the newest, or not finite, changes nothing.
pub fn step(
    state: Option<InstanceState>,
    judged: Judged,
    at: EventTime,
    pace: &Pace,
) -> (InstanceState, Vec<Change>) {
    let mut changes = Vec::new();
    let value = judged.value;
    let before = match state {
        None => Phase::Quiet,
        Some(known) if at < known.newest || !value.is_finite() => return (known, changes),
        Some(known) => advance_all(known, at, pace, &mut changes).phase,
    };
    let is_over = judged.verdict == Verdict::Over;
    let is_clear = judged.verdict == Verdict::Clear;
    let phase = match before {
        Phase::Quiet if is_over => pending_or_firing(at, at, value, pace, &mut changes),
        Phase::Pending { since } if is_over => pending_or_firing(since, at, value, pace, &mut changes),
        Phase::Quiet | Phase::Pending { .. } => Phase::Quiet,
        Phase::Firing { since, fired_at } if is_clear => {
            let clearing = Phase::Clearing {
                since,
                fired_at,
                clear_since: at,
                clear_value: value,
            };
            clearing_or_resolved(clearing, at, value, pace, &mut changes)
        }
        clearing @ Phase::Clearing { .. } if is_clear => {
            clearing_or_resolved(clearing, at, value, pace, &mut changes)
        }
        Phase::Firing { since, fired_at } | Phase::Clearing { since, fired_at, .. } => {
            Phase::Firing { since, fired_at }
        }
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

/// Moves an instance by the news that it has no value: what is pending was not over the limit all the time, what fires is
/// not known to be clear.
pub(super) fn step_without_value(
    state: InstanceState,
    at: EventTime,
    pace: &Pace,
) -> (InstanceState, Vec<Change>) {
    let mut changes = Vec::new();
    let advanced = advance_all(state, at, pace, &mut changes);
    let phase = match advanced.phase {
        Phase::Pending { .. } => Phase::Quiet,
        other => other,
    };
    (InstanceState { phase, ..advanced }, changes)
}

/// Lets the timers run out that were due **before** `now`, in the order of their times: a reading at the very instant may
/// still come and decides itself.
pub(super) fn advance_all(
    mut state: InstanceState,
    now: EventTime,
    pace: &Pace,
    changes: &mut Vec<Change>,
) -> InstanceState {
    while let (after, Some(change)) = advance(state, now, pace) {
        changes.push(change);
        state = after;
    }
    state
}

/// Lets the first of the timers run out that were due before `now`.
pub fn advance(state: InstanceState, now: EventTime, pace: &Pace) -> (InstanceState, Option<Change>) {
    let Some((due, timer)) = state.next_timer(pace).filter(|(due, _)| *due < now) else {
        return (state, None);
    };
    let (phase, change) = match (timer, state.phase) {
        (Timer::Fires, Phase::Pending { since }) => {
            let fired = Change::Fired {
                at: due,
                since,
                value: state.value,
            };
            (Phase::Firing { since, fired_at: due }, fired)
        }
        (
            Timer::Resolves,
            Phase::Clearing {
                fired_at,
                clear_value,
                ..
            },
        ) => {
            let resolved = Change::Resolved {
                at: due.max(fired_at),
                fired_at,
                value: clear_value,
            };
            (Phase::Quiet, resolved)
        }
        (Timer::Expires, Phase::Firing { fired_at, .. } | Phase::Clearing { fired_at, .. }) => {
            let expired = Change::Expired {
                at: due.max(fired_at),
                fired_at,
                value: state.value,
            };
            (Phase::Quiet, expired)
        }
        // A timer is of its phase.
        _ => return (state, None),
    };
    (InstanceState { phase, ..state }, Some(change))
}

fn pending_or_firing(
    since: EventTime,
    at: EventTime,
    value: f64,
    pace: &Pace,
    changes: &mut Vec<Change>,
) -> Phase {
    if plus(since, pace.hold) > at {
        return Phase::Pending { since };
    }
    changes.push(Change::Fired { at, since, value });
    Phase::Firing { since, fired_at: at }
}

/// `clearing` with one more clear value.
fn clearing_or_resolved(
    clearing: Phase,
    at: EventTime,
    value: f64,
    pace: &Pace,
    changes: &mut Vec<Change>,
) -> Phase {
    match clearing {
        Phase::Clearing {
            fired_at,
            clear_since,
            ..
        } if plus(clear_since, pace.keep_firing_for) <= at => {
            changes.push(Change::Resolved {
                at: at.max(fired_at),
                fired_at,
                value,
            });
            Phase::Quiet
        }
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[path = "step_tests.rs"]
mod tests;
