//! A dead gauge is stale, and then unknown; it is never calm.

use riskgrid_ingest::{EventTime, HOUR, MINUTE, SECOND};

use super::made::{Ingest, Made, START, engine};
use crate::risk::{Conditions, Surface};

fn reading(seconds: i64, eighths_of_a_metre: u8) -> Made {
    Made {
        layer: 2,
        seconds,
        place: 0,
        partition: 0,
        reporter: eighths_of_a_metre,
    }
}

fn after(readings: &[Made], micros: i64) -> Surface {
    let mut ingest = Ingest::new(1);
    for reading in readings {
        ingest.take(reading);
    }
    // The end of the bucket that holds now is the moment of the surface.
    let now = EventTime::from_micros(START + micros);
    engine(2 * HOUR).surface(&ingest.snapshot(), now, &Conditions::default())
}

/// The loudest row of the gauge's layer.
fn loudest(surface: &Surface) -> Option<(f64, bool)> {
    let rows = surface
        .layers
        .iter()
        .filter(|layer| layer.layer == 2)
        .flat_map(|layer| &layer.rows);
    rows.map(|row| (row.hazard, row.is_stale))
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

#[test]
fn a_warning_is_held_and_then_fades_until_nothing_is_known() {
    // 2 m is the warning; readings hold for 10 minutes.
    let warning = [reading(-30, 16)];
    assert_eq!(loudest(&after(&warning, 0)), Some((0.4, false)));
    assert_eq!(loudest(&after(&warning, HOUR)), Some((0.4, true)));
    assert_eq!(loudest(&after(&warning, 6 * HOUR)), Some((0.4, true)));
    let fading = loudest(&after(&warning, 8 * HOUR)).unwrap();
    assert!(fading.0 < 0.3 && fading.1, "{fading:?}");
    assert_eq!(loudest(&after(&warning, 16 * HOUR)), None);
}

#[test]
fn a_calm_gauge_is_known_to_be_calm_while_its_reading_holds() {
    let calm = [reading(-30, 0)];
    assert_eq!(loudest(&after(&calm, 0)), Some((0.0, false)));
    assert_eq!(loudest(&after(&calm, 20 * MINUTE)), Some((0.0, true)));
    assert_eq!(loudest(&after(&calm, 12 * HOUR)), None);
}

#[test]
fn one_spike_among_three_readings_says_nothing_and_what_is_to_come_does_not_count() {
    let spike = [reading(-180, 8), reading(-120, 8), reading(-60, 24)];
    assert_eq!(loudest(&after(&spike, 0)).unwrap().0, 0.2);
    // Of two the newer counts.
    assert_eq!(loudest(&after(&spike[1..], 0)).unwrap().0, 0.8);
    // The bucket that holds now ends at 08:01: a reading of then has not happened yet.
    let to_come = [reading(-60, 8), reading(60, 24)];
    assert_eq!(loudest(&after(&to_come, 0)).unwrap().0, 0.2);
    assert_eq!(loudest(&after(&to_come, 60 * SECOND)).unwrap().0, 0.8);
}
