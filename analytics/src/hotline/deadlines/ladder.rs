//! The steps of a clock: a yellow card, a red one, a notice to the supervision unit. Each is taken once, and taken back where a
//! revision moves it into the future.

use riskgrid_ingest::EventTime;
use serde::{Deserialize, Serialize};

use super::due::Deadline;

/// The card that a clock shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// None.
    #[default]
    None,
    /// It is nearly due.
    Yellow,
    /// It is late.
    Red,
}

impl Card {
    /// The name in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// A step of the ladder, and whom it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The office.
    Yellow,
    /// The office's head and the supervisor.
    Red,
    /// The supervision unit.
    Supervision,
}

impl Step {
    /// From the first to the last.
    pub const ALL: [Self; 3] = [Self::Yellow, Self::Red, Self::Supervision];

    /// The name in tables and in ids of notices.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yellow => "yellow",
            Self::Red => "red",
            Self::Supervision => "supervision",
        }
    }

    /// When it is taken, if it is.
    pub fn at(self, deadline: &Deadline) -> Option<EventTime> {
        match self {
            Self::Yellow => deadline.yellow,
            Self::Red => deadline.red,
            Self::Supervision => deadline.supervision,
        }
    }
}

/// The steps that were taken, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ladder {
    taken: Vec<Step>,
}

impl Ladder {
    /// The card that it comes to.
    pub fn card(&self) -> Card {
        if self.taken.contains(&Step::Red) {
            Card::Red
        } else if self.taken.contains(&Step::Yellow) {
            Card::Yellow
        } else {
            Card::None
        }
    }

    /// Takes the steps that have come, in the order of their times, and tells them: each once, until it is taken back. Red is not
    /// followed by yellow: where both have come, both are told, yellow first.
    pub fn advance(&mut self, deadline: &Deadline, now: EventTime) -> Vec<Step> {
        let mut come: Vec<(EventTime, Step)> = Step::ALL
            .into_iter()
            .filter(|step| !self.taken.contains(step))
            .filter_map(|step| Some((step.at(deadline)?, step)))
            .filter(|(at, _)| *at <= now)
            .collect();
        come.sort_unstable();
        let come: Vec<Step> = come.into_iter().map(|(_, step)| step).collect();
        self.taken.extend(&come);
        come
    }

    /// After a revision: takes back the steps that lie in the future now, or nowhere, and tells them.
    pub fn revise(&mut self, deadline: &Deadline, now: EventTime) -> Vec<Step> {
        let is_past = |step: &Step| step.at(deadline).is_some_and(|at| at <= now);
        let (kept, taken_back) = self.taken.drain(..).partition(is_past);
        self.taken = kept;
        taken_back
    }

    /// When the clock must be looked at next; `None` when all was done. It is so only while the clock runs.
    pub fn next_at(&self, deadline: &Deadline) -> Option<EventTime> {
        Step::ALL
            .into_iter()
            .filter(|step| !self.taken.contains(step))
            .filter_map(|step| step.at(deadline))
            .min()
    }
}
