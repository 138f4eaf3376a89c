//! The clocks of a case: which move starts which, stops which, and what pauses and extensions do to them.

use serde_json::Value;

use super::steps::{has_cards, next_at};
use super::timing::{Spec, Timing};
use super::units::MIRROR_RULE;
use super::work::Work;
use crate::hotline::store::{
    CaseRow, ClockRow, children, clocks_of, insert_clock, read_json, update_clock, write_json,
};
use crate::problem::Problem;

/// A pause: from and to, the last of a paused clock without an end.
pub(super) type Pause = (i64, Option<i64>);

/// Clocks that a pause of the case pauses.
const PAUSED: [&str; 3] = ["respond", "handle", "citizen"];
/// Clocks of the office that has the case.
pub(super) const OF_OFFICE: [&str; 3] = ["return", "respond", "handle"];

/// Of some clocks, the newest of a name.
pub(super) fn newest<'a>(clocks: &'a [ClockRow], name: &str) -> Option<&'a ClockRow> {
    // They come newest first.
    clocks.iter().find(|clock| clock.name == name)
}

impl Work<'_> {
    /// The clocks of a case.
    pub(super) async fn clocks(&mut self, case_id: &str) -> Result<Vec<ClockRow>, Problem> {
        Ok(clocks_of(self.connection(), case_id).await?)
    }

    /// Starts clocks of a case at `at`, each as a new generation, as its rule has them.
    pub(super) async fn start_clocks(
        &mut self,
        case: &CaseRow,
        names: &[&str],
        at: i64,
    ) -> Result<(), Problem> {
        let before = self.clocks(&case.id).await?;
        for name in names {
            let Some((rule, spec)) = self.data.spec_for(self.desk, case, name) else {
                continue;
            };
            let timing = self.data.timing(&self.desk.settings, (name, &spec), at, &[], 0)?;
            let generation = newest(&before, name).map_or(1, |clock| clock.generation + 1);
            self.start_clock(case, (name, generation), at, rule, spec, &timing)
                .await?;
        }
        Ok(())
    }

    /// A clock of its own times.
    pub(super) async fn start_clock(
        &mut self,
        case: &CaseRow,
        (name, generation): (&str, i64),
        at: i64,
        rule: String,
        spec: Spec,
        timing: &Timing,
    ) -> Result<(), Problem> {
        let spec = Spec {
            supervise_at: timing.supervise_at.filter(|_| has_cards(name)),
            ..spec
        };
        let mut clock = ClockRow {
            case_id: case.id.clone(),
            name: name.to_owned(),
            generation,
            revision: 1,
            office: case.office.clone(),
            rule,
            calendar_version: timing.calendar_version,
            start_at: at,
            due_at: timing.due,
            yellow_at: timing.yellow.filter(|yellow| *yellow > at && has_cards(name)),
            red_at: timing.red.filter(|_| has_cards(name)),
            next_at: None,
            state: "running".to_owned(),
            pauses: "[]".to_owned(),
            extended: 0,
            card: "none".to_owned(),
            steps: "[]".to_owned(),
            provisional: i64::from(timing.is_provisional),
            stopped_at: None,
            stop: None,
            spec: write_json("clock", &spec)?,
        };
        clock.next_at = next_at(&clock, spec.supervise_at, &[]);
        Ok(insert_clock(self.connection(), &clock).await?)
    }

    /// Stops those of the clocks that are open.
    pub(super) async fn stop_clocks(
        &mut self,
        case_id: &str,
        names: &[&str],
        at: i64,
        stop: &str,
    ) -> Result<(), Problem> {
        for mut clock in self.clocks(case_id).await? {
            if !clock.is_open() || !names.contains(&clock.name.as_str()) {
                continue;
            }
            if clock.state == "paused" {
                let mut pauses: Vec<Pause> = read_json("clock", &clock.pauses)?;
                end_pause(&mut pauses, at);
                clock.pauses = write_json("clock", &pauses)?;
            }
            "stopped".clone_into(&mut clock.state);
            clock.stopped_at = Some(at);
            clock.stop = Some(stop.to_owned());
            clock.next_at = None;
            update_clock(self.connection(), &clock).await?;
        }
        Ok(())
    }

    /// The only clock of a case that another system decides: by what that system says.
    pub(super) async fn start_mirrored(&mut self, case: &CaseRow, at: i64, due: i64) -> Result<(), Problem> {
        let spec = Spec {
            // No calendar of ours says anything of it.
            calendar: String::new(),
            clock: Value::Null,
            self_service: false,
            supervise_at: None,
        };
        let timing = Timing {
            due,
            yellow: None,
            red: Some(due),
            supervise_at: None,
            is_provisional: false,
            calendar_version: None,
        };
        self.start_clock(case, ("handle", 1), at, MIRROR_RULE.to_owned(), spec, &timing)
            .await
    }

    /// Stops it at the time of the event: its card is what that time makes it, whenever the event came.
    pub(super) async fn stop_mirrored(&mut self, case_id: &str, at: i64) -> Result<(), Problem> {
        self.stop_clocks(case_id, &["handle"], at, "close").await?;
        for mut clock in self.clocks(case_id).await? {
            let card = if at < clock.due_at { "none" } else { "red" };
            if clock.card != card {
                card.clone_into(&mut clock.card);
                update_clock(self.connection(), &clock).await?;
            }
        }
        Ok(())
    }

    /// Stops the citizen's clock, and those of the cases that are merged into this one.
    pub(super) async fn stop_citizen(&mut self, case: &CaseRow, at: i64, stop: &str) -> Result<(), Problem> {
        self.stop_clocks(&case.id, &["citizen"], at, stop).await?;
        for child in children(self.connection(), &case.id).await? {
            self.stop_clocks(&child.id, &["citizen"], at, stop).await?;
        }
        Ok(())
    }

    /// Pauses the clocks that can be.
    pub(super) async fn pause_clocks(&mut self, case: &CaseRow, at: i64) -> Result<(), Problem> {
        for mut clock in self.clocks(&case.id).await? {
            if clock.state != "running" || !PAUSED.contains(&clock.name.as_str()) {
                continue;
            }
            let mut pauses: Vec<Pause> = read_json("clock", &clock.pauses)?;
            pauses.push((at, None));
            clock.pauses = write_json("clock", &pauses)?;
            "paused".clone_into(&mut clock.state);
            clock.next_at = None;
            update_clock(self.connection(), &clock).await?;
        }
        Ok(())
    }

    /// Lets the paused ones run on: their dues move by the pause. What is over then turns red at once.
    pub(super) async fn resume_clocks(&mut self, case: &CaseRow, at: i64) -> Result<(), Problem> {
        for mut clock in self.clocks(&case.id).await? {
            if clock.state != "paused" {
                continue;
            }
            let mut pauses: Vec<Pause> = read_json("clock", &clock.pauses)?;
            end_pause(&mut pauses, at);
            clock.pauses = write_json("clock", &pauses)?;
            "running".clone_into(&mut clock.state);
            self.revise(case, &mut clock).await?;
        }
        Ok(())
    }

    /// Gives `handle` so much more.
    pub(super) async fn extend_handle(&mut self, case: &CaseRow, amount: i64) -> Result<(), Problem> {
        for mut clock in self.clocks(&case.id).await? {
            if clock.name == "handle" && clock.is_open() {
                clock.extended += amount;
                self.revise(case, &mut clock).await?;
            }
        }
        Ok(())
    }

    /// Computes a clock anew, as its revision that follows.
    pub(super) async fn revise(&mut self, case: &CaseRow, clock: &mut ClockRow) -> Result<(), Problem> {
        let spec = self.data.spec_of(clock)?;
        let pauses: Vec<Pause> = read_json("clock", &clock.pauses)?;
        let ended: Vec<(i64, i64)> = pauses
            .iter()
            .filter_map(|(from, to)| Some((*from, (*to)?)))
            .collect();
        let settings = &self.desk.settings;
        let of = (clock.name.as_str(), &spec);
        let timing = self
            .data
            .timing(settings, of, clock.start_at, &ended, clock.extended)?;
        clock.revision += 1;
        clock.due_at = timing.due;
        clock.yellow_at = timing
            .yellow
            .filter(|yellow| *yellow > clock.start_at && has_cards(&clock.name));
        clock.red_at = timing.red.filter(|_| has_cards(&clock.name));
        clock.provisional = i64::from(timing.is_provisional);
        clock.calendar_version = timing.calendar_version;
        let spec = Spec {
            supervise_at: timing.supervise_at.filter(|_| has_cards(&clock.name)),
            ..spec
        };
        clock.spec = write_json("clock", &spec)?;
        self.take_back_steps(case, clock).await?;
        self.take_steps(case, clock).await
    }
}

fn end_pause(pauses: &mut [Pause], at: i64) {
    if let Some((_, to @ None)) = pauses.last_mut() {
        *to = Some(at);
    }
}
