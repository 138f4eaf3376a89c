//! How likely a running clock runs over: of those that had used as much of their time, so many did.

use riskgrid_ingest::EventTime;

use super::due::Pause;

/// How many clocks of all offices weigh as much as one's own.
const PRIOR_WEIGHT: f64 = 10.0;

/// A clock of the same rule and name that was stopped not long ago.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoppedClock {
    /// The share of its time that it had used when it was stopped.
    pub share: f64,
    /// It was stopped at due or later.
    pub was_overdue: bool,
    /// It was the same office's.
    pub is_own: bool,
}

/// The share of its time that a clock has used at `at`: pauses count neither as used nor as its time. `paused_since` is of the
/// pause that is not over.
pub fn used_share(
    start: EventTime,
    due: EventTime,
    pauses: &[Pause],
    paused_since: Option<EventTime>,
    at: EventTime,
) -> f64 {
    let paused: i64 = pauses.iter().map(|pause| pause.to.since(pause.from)).sum();
    let now = paused_since.unwrap_or(at);
    let (used, all) = (now.since(start) - paused, due.since(start) - paused);
    if all <= 0 {
        return 1.0;
    }
    used as f64 / all as f64
}

/// The risk of a clock that has used `share` of its time. 1 once it is overdue; of a stopped clock there is none to ask for.
///
/// `(b + 10 p0) / (n + 10)`, where n clocks of the office were stopped later than that, b of them overdue, and
/// `p0 = (b0 + 1) / (n0 + 2)` is the same of all offices: without any history a half.
pub fn breach_risk(history: impl IntoIterator<Item = StoppedClock>, share: f64, is_overdue: bool) -> f64 {
    if is_overdue {
        return 1.0;
    }
    let (mut all, mut all_overdue, mut own, mut own_overdue) = (0.0, 0.0, 0.0, 0.0);
    for clock in history.into_iter().filter(|clock| clock.share > share) {
        let overdue = f64::from(u8::from(clock.was_overdue));
        all += 1.0;
        all_overdue += overdue;
        if clock.is_own {
            own += 1.0;
            own_overdue += overdue;
        }
    }
    let prior = (all_overdue + 1.0) / (all + 2.0);
    (own_overdue + PRIOR_WEIGHT * prior) / (own + PRIOR_WEIGHT)
}
