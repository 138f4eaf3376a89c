//! The risk surface: made of the grid while it moves, and told which areas are in emergency.

use std::sync::Arc;
use std::time::Duration;

use riskgrid_ingest::grid::{GridReader, Span};
use riskgrid_ingest::{EventTime, HOUR};

use super::{Started, wall_clock};
use crate::alerts::store::{Decisions, DecisionsError, Lasted, Mode};
use crate::config::Checked;
use crate::risk::{Circumstances, Surfaces};

/// How often surfaces are told which areas are in emergency.
const LOOK_AT_MODES_EVERY: Duration = Duration::from_secs(2);

/// Makes surfaces from now on, if any layer is on them.
pub(super) fn start(
    checked: &Checked,
    decisions: Decisions,
    reader: GridReader,
    started: &mut Started,
) -> Arc<Surfaces> {
    let Some(engine) = checked.risk.clone() else {
        return Surfaces::none();
    };
    let (surfaces, [making, judging]) = Surfaces::follow(engine, reader, wall_clock);
    started.push_task("risk surface", making);
    started.push_task("forecast scores", judging);
    let telling = tokio::spawn(tell_modes(Arc::clone(&surfaces), decisions));
    started.push_task("modes of the risk surface", telling);
    surfaces
}

async fn tell_modes(surfaces: Arc<Surfaces>, decisions: Decisions) {
    loop {
        let now = wall_clock();
        match known(&decisions, now).await {
            Ok(known) => surfaces.tell(circumstances(known, now)),
            Err(error) => tracing::warn!(%error, "the surface keeps the modes it knew; it looks again"),
        }
        tokio::time::sleep(LOOK_AT_MODES_EVERY).await;
    }
}

/// What the store of decisions knows of modes and silences.
#[derive(Debug, Default)]
struct Known {
    modes: Vec<Mode>,
    emergencies: Vec<Lasted>,
    silences: Vec<Lasted>,
}

async fn known(decisions: &Decisions, now: EventTime) -> Result<Known, DecisionsError> {
    Ok(Known {
        modes: decisions.modes(now.micros()).await?,
        emergencies: decisions.emergencies_of_the_past().await?,
        silences: decisions.silences_of_feeds().await?,
    })
}

/// What goes on lasts up to the end of this hour: surfaces leave out whole hours, and are made anew only where that changes.
fn circumstances(known: Known, now: EventTime) -> Circumstances {
    let end = now.floor(HOUR).plus(HOUR);
    let span = |lasted: &Lasted| Span {
        start: EventTime::from_micros(lasted.started_at),
        end: lasted.ended_at.map_or(end, EventTime::from_micros),
    };
    let modes = known.modes.into_iter();
    Circumstances {
        emergency: modes
            .filter(|mode| mode.mode == "emergency")
            .map(|mode| mode.area.into())
            .collect(),
        emergencies: known
            .emergencies
            .iter()
            .map(|lasted| (lasted.object.as_str().into(), span(lasted)))
            .collect(),
        silences: known
            .silences
            .into_iter()
            .map(|lasted| {
                let span = span(&lasted);
                (lasted.object, span)
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(area: &str, mode: &str, since: EventTime) -> Mode {
        Mode {
            area: area.to_owned(),
            mode: mode.to_owned(),
            until: None,
            reason: None,
            by: "anna".to_owned(),
            since: since.micros(),
        }
    }

    #[test]
    fn surfaces_hear_of_emergencies_and_silences_and_not_of_each_second_of_them() {
        let since = EventTime::from_micros(90 * 60_000_000);
        let lasted = |object: &str, ended_at: Option<i64>| Lasted {
            object: object.to_owned(),
            started_at: since.micros(),
            ended_at,
        };
        let known = || Known {
            modes: vec![mode("east", "emergency", since), mode("west", "normal", since)],
            emergencies: vec![lasted("east", None), lasted("west", Some(since.micros() + 1))],
            silences: vec![lasted("calls", None)],
        };
        let told = circumstances(known(), since.plus(1));
        assert!(told.is_emergency());
        assert_eq!(
            told.emergency.iter().map(|area| &**area).collect::<Vec<_>>(),
            ["east"]
        );
        assert_eq!(told.emergencies[1].1.end, since.plus(1));
        assert_eq!(told, circumstances(known(), since.plus(29 * 60_000_000)));
        let later = circumstances(known(), since.plus(30 * 60_000_000));
        assert_eq!(later.emergencies[0].1.end, EventTime::from_micros(3 * HOUR));
        assert_eq!(later.silences[0].1.end, EventTime::from_micros(3 * HOUR));
    }
}
