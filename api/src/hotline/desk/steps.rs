//! The steps of a clock: when its card turns, who is told, and what a revision takes back.

use serde::{Deserialize, Serialize};

use super::work::{CardTold, Work};
use crate::hotline::store::{CaseRow, ClockRow, read_json, update_clock, write_json};
use crate::problem::Problem;

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// `yellow`, `red`, `supervision`.
    pub(super) step: String,
    /// In which revision of the clock.
    pub(super) revision: i64,
    /// When, microseconds.
    pub(super) at: i64,
}

/// The steps, in their order: the card that each turns to, and who is told.
const LADDER: [(&str, &str, &[&str]); 3] = [
    ("yellow", "yellow", &["office"]),
    ("red", "red", &["head", "supervisor"]),
    ("supervision", "red", &["supervision"]),
];

/// Whether a clock has cards: a window and the time to call back have none.
pub(super) fn has_cards(name: &str) -> bool {
    !matches!(name, "return" | "call_back")
}

fn time_of(clock: &ClockRow, step: &str, supervise_at: Option<i64>) -> Option<i64> {
    match step {
        "yellow" => clock.yellow_at,
        "red" => clock.red_at,
        _ => supervise_at,
    }
}

/// When something of the clock falls due next.
pub(super) fn next_at(clock: &ClockRow, supervise_at: Option<i64>, taken: &[Taken]) -> Option<i64> {
    match clock.name.as_str() {
        "return" => None,
        "call_back" => Some(clock.due_at),
        _ => {
            let left = LADDER
                .iter()
                .filter(|(step, ..)| !taken.iter().any(|taken| taken.step == *step));
            left.filter_map(|(step, ..)| time_of(clock, step, supervise_at))
                .min()
        }
    }
}

impl Work<'_> {
    /// Takes the steps of a running clock that are due, each once a revision, and stores the clock.
    pub(super) async fn take_steps(&mut self, case: &CaseRow, clock: &mut ClockRow) -> Result<(), Problem> {
        let supervise_at = self.data.spec_of(clock)?.supervise_at;
        let mut taken: Vec<Taken> = read_json("clock", &clock.steps)?;
        if clock.state == "running" && has_cards(&clock.name) {
            for (step, card, to) in LADDER {
                let is_taken = taken.iter().any(|taken| taken.step == step);
                let due = time_of(clock, step, supervise_at).filter(|at| !is_taken && *at <= self.now);
                let Some(at) = due else { continue };
                taken.push(Taken {
                    step: step.to_owned(),
                    revision: clock.revision,
                    at: self.now,
                });
                // Yellow may be so close to red that both come at one look.
                if clock.card != "red" {
                    card.clone_into(&mut clock.card);
                }
                self.tell_step(case, clock, "case.card", (step, card, to), at)
                    .await?;
            }
        }
        clock.next_at = next_at(clock, supervise_at, &taken).filter(|_| clock.state == "running");
        clock.steps = write_json("clock", &taken)?;
        Ok(update_clock(self.connection(), clock).await?)
    }

    /// After a revision: steps whose time is to come again are taken back, and whoever was told is told.
    pub(super) async fn take_back_steps(
        &mut self,
        case: &CaseRow,
        clock: &mut ClockRow,
    ) -> Result<(), Problem> {
        let supervise_at = self.data.spec_of(clock)?.supervise_at;
        let mut taken: Vec<Taken> = read_json("clock", &clock.steps)?;
        let mut withdrawn = Vec::new();
        for (step, card, to) in LADDER {
            let is_to_come = time_of(clock, step, supervise_at).is_none_or(|at| at > self.now);
            let before = taken.len();
            if is_to_come {
                taken.retain(|taken| taken.step != step);
            }
            if taken.len() < before {
                withdrawn.push((step, card, to));
            }
        }
        for taken in &mut taken {
            taken.revision = clock.revision;
        }
        clock.steps = write_json("clock", &taken)?;
        let newest = LADDER
            .iter()
            .rev()
            .find(|(step, ..)| taken.iter().any(|taken| taken.step == *step));
        newest
            .map_or("none", |(_, card, _)| card)
            .clone_into(&mut clock.card);
        for step in withdrawn {
            let now = self.now;
            self.tell_step(case, clock, "case.card_withdrawn", step, now)
                .await?;
        }
        Ok(())
    }

    async fn tell_step(
        &mut self,
        case: &CaseRow,
        clock: &ClockRow,
        kind: &'static str,
        (step, card, to): (&str, &str, &[&str]),
        at: i64,
    ) -> Result<(), Problem> {
        let key = format!(
            "{kind}/{}/{}/{}/{step}",
            clock.name, clock.generation, clock.revision
        );
        let told = CardTold {
            kind,
            clock: &clock.name,
            card,
            step,
            to,
            due: clock.due_at,
            key: &key,
        };
        self.tell_card(case, &told, at).await
    }
}
