//! Lines in batches, at their pace.

use riskgrid_fixtures::load::{self, Line, Lines, Truth};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::plan::Plan;

/// What falls due within it is sent together.
const TICK: Duration = Duration::from_millis(20);

/// Makes the lines; ends early when it is told to.
pub(super) struct Feeder {
    lines: Lines,
    /// Made, and not given yet: its time has not come.
    early: Option<Line>,
    at_once: usize,
    pace: Option<Pace>,
    /// When the last batch was given.
    last: Instant,
    stopped: watch::Receiver<bool>,
}

#[derive(Clone, Copy)]
struct Pace {
    began: Instant,
    start_micros: i64,
    speed: f64,
}

impl Pace {
    fn due(&self, line: &Line) -> Instant {
        let event_seconds = (line.time_micros - self.start_micros) as f64 / 1e6;
        let seconds = (event_seconds / self.speed).clamp(0.0, 1e9);
        self.began + Duration::from_secs_f64(seconds)
    }
}

impl Feeder {
    pub(super) fn new(plan: &Plan, at_once: usize, stopped: watch::Receiver<bool>) -> Self {
        let began = Instant::now();
        Self {
            lines: load::generate(&plan.options),
            early: None,
            at_once,
            pace: plan.speed.map(|speed| Pace {
                began,
                start_micros: plan.options.start_micros,
                speed,
            }),
            last: began,
            stopped,
        }
    }

    /// The lines that are due, up to as many as are sent at once; none after the last.
    pub(super) async fn next(&mut self) -> Option<Vec<Line>> {
        let mut batch = Vec::new();
        while batch.len() < self.at_once {
            if *self.stopped.borrow() {
                // The truth counts it already.
                batch.extend(self.early.take());
                break;
            }
            let Some(line) = self.early.take().or_else(|| self.lines.next()) else {
                break;
            };
            let due = self.pace.map(|pace| pace.due(&line));
            if let Some(due) = due.filter(|due| *due > Instant::now()) {
                self.early = Some(line);
                if !batch.is_empty() {
                    break;
                }
                tokio::select! {
                    () = sleep_until(due.max(self.last + TICK)) => {}
                    // An error means that nobody can stop us any more: then the time is waited for in the next round.
                    Ok(_) = self.stopped.wait_for(|stopped| *stopped) => {}
                }
                continue;
            }
            batch.push(line);
        }
        self.last = Instant::now();
        (!batch.is_empty()).then_some(batch)
    }

    /// The truth about the lines given.
    pub(super) fn into_truth(self) -> Truth {
        self.lines.into_truth()
    }
}
