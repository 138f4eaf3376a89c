//! The risk surface: made of the grid while it moves, and told which areas are in emergency.

use std::sync::Arc;
use std::time::Duration;

use riskgrid_ingest::grid::{GridReader, Span};
use riskgrid_ingest::{EventTime, HOUR};

use super::{Started, wall_clock};
use crate::alerts::store::{Decisions, Mode};
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
        match decisions.modes(now.micros()).await {
            Ok(modes) => surfaces.tell(circumstances(modes, now)),
            Err(error) => tracing::warn!(%error, "the surface keeps the modes it knew; it looks again"),
        }
        tokio::time::sleep(LOOK_AT_MODES_EVERY).await;
    }
}

/// Emergencies last up to the end of this hour: surfaces leave out whole hours, and are made anew only where that changes.
fn circumstances(modes: Vec<Mode>, now: EventTime) -> Circumstances {
    let end = now.floor(HOUR).plus(HOUR);
    let mut circumstances = Circumstances::default();
    for mode in modes.into_iter().filter(|mode| mode.mode == "emergency") {
        let area: Arc<str> = mode.area.into();
        let start = EventTime::from_micros(mode.since);
        circumstances
            .emergencies
            .push((Arc::clone(&area), Span { start, end }));
        circumstances.emergency.insert(area);
    }
    circumstances
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
    fn surfaces_hear_of_emergencies_and_not_of_each_second_of_them() {
        let since = EventTime::from_micros(90 * 60_000_000);
        let modes = || vec![mode("east", "emergency", since), mode("west", "normal", since)];
        let told = circumstances(modes(), since.plus(1));
        assert!(told.is_emergency());
        assert_eq!(
            told.emergency.iter().map(|area| &**area).collect::<Vec<_>>(),
            ["east"]
        );
        assert_eq!(told, circumstances(modes(), since.plus(29 * 60_000_000)));
        let later = circumstances(modes(), since.plus(30 * 60_000_000));
        assert_eq!(later.emergencies[0].1.end, EventTime::from_micros(3 * HOUR));
    }
}
