//! Classes by bursts: met at a full hour, kept for three, the same after a restart; and how far devices are believed.

use riskgrid_ingest::{EventTime, HOUR, MINUTE, SECOND};
use serde_json::json;

use super::made::{Ingest, Made, START, engine};
use crate::risk::class::Class;
use crate::risk::{Conditions, RiskEngine, Surface};

const NOISE: usize = 1;

fn noise(seconds: i64, place: usize, reporter: u8) -> Made {
    Made {
        layer: NOISE,
        seconds,
        place,
        partition: 0,
        reporter,
    }
}

/// Two days of next to nothing, twelve calls of one place within an hour, and time that goes on.
fn burst() -> Ingest {
    let mut ingest = Ingest::new(1);
    ingest.take(&noise(-2 * 86_400, 3, 1));
    for reporter in 0..12 {
        ingest.take(&noise(600 + i64::from(reporter) * 100, 0, reporter));
    }
    ingest.take(&noise(3_800, 3, 1));
    ingest
}

fn at(minutes: i64) -> EventTime {
    EventTime::from_micros(START + minutes * MINUTE)
}

/// The gravest class of the layer of noise.
fn gravest(surface: &Surface) -> Class {
    let of_noise = surface.layers.iter().filter(|layer| layer.layer == NOISE);
    let rows = of_noise.flat_map(|layer| &layer.rows);
    rows.map(|row| row.class).min().unwrap_or_default()
}

fn look(engine: &mut RiskEngine, ingest: &mut Ingest, minutes: i64) -> Class {
    gravest(&engine.surface(&ingest.snapshot(), at(minutes), &Conditions::default()))
}

#[test]
fn a_burst_where_much_is_at_risk_is_a_black_swan_for_three_hours() {
    let (mut ingest, mut kept) = (burst(), engine(2 * HOUR));
    assert_eq!(look(&mut kept, &mut ingest, 64), Class::BlackSwan);
    // In the next hour nothing bursts; what was met is kept.
    assert_eq!(look(&mut kept, &mut ingest, 140), Class::BlackSwan);
    assert_eq!(look(&mut engine(2 * HOUR), &mut ingest, 140), Class::BlackSwan);
    assert_eq!(look(&mut kept, &mut ingest, 64 + 181), Class::Normal);
    assert_eq!(look(&mut engine(2 * HOUR), &mut ingest, 64 + 181), Class::Normal);
}

#[test]
fn before_the_hour_is_over_there_is_no_burst() {
    let mut ingest = burst();
    let class = look(&mut engine(2 * HOUR), &mut ingest, 58);
    assert!(matches!(class, Class::Watch | Class::Normal), "{class:?}");
    let risk_alone = look(&mut engine(2 * HOUR).without_classes(), &mut ingest, 64);
    assert!(
        matches!(risk_alone, Class::Watch | Class::Normal),
        "{risk_alone:?}"
    );
}

#[test]
fn an_emergency_changes_the_mode_and_no_number() {
    let mut ingest = burst();
    let snapshot = ingest.snapshot();
    let peace = engine(2 * HOUR).surface(&snapshot, at(64), &Conditions::default());
    let noise = peace.layers.iter().find(|layer| layer.layer == NOISE).unwrap();
    let [cell, beside] = [0, 1].map(|row: usize| noise.rows[row].cell);
    let conditions = Conditions {
        emergency: (cell..cell + 1).into(),
        ..Conditions::default()
    };
    let emergency = engine(2 * HOUR).surface(&snapshot, at(64), &conditions);
    for (one, other) in peace.layers.iter().zip(&emergency.layers) {
        let numbers = |rows: &[crate::risk::surface::Row]| -> Vec<_> {
            rows.iter()
                .map(|row| (row.cell, row.hazard, row.risk, row.corroboration))
                .collect()
        };
        assert_eq!(numbers(&one.rows), numbers(&other.rows));
    }
    assert_eq!(
        (peace.mode_of(cell), emergency.mode_of(cell)),
        ("normal", "emergency")
    );
    assert_eq!(emergency.mode_of(beside), "normal");
}

/// A gauge that says 2.5 m, and reports of its own that were closed so.
fn believed(outcomes: &[&str], source: &str) -> f64 {
    let mut ingest = Ingest::new(1);
    for (number, outcome) in outcomes.iter().enumerate() {
        for (op, seconds) in [("open", 0), ("close", 60)] {
            let time = EventTime::from_micros(START + seconds * SECOND).to_string();
            let event = json!({"specversion": "1.0", "id": format!("{op}{number}"), "source": source,
                "type": "riskgrid.report.v1", "time": time, "data": {"report": format!("r{number}"), "op": op,
                "category": "flooding", "channel": "sensor", "lon": 120.0, "lat": 22.5, "outcome": outcome}});
            ingest.take_event(&event, 0);
        }
    }
    ingest.take(&Made {
        layer: 2,
        seconds: 120,
        place: 0,
        partition: 0,
        reporter: 20,
    });
    let surface = engine(2 * HOUR).surface(&ingest.snapshot(), at(3), &Conditions::default());
    let water = surface.layers.iter().find(|layer| layer.layer == 2).unwrap();
    let rows = water.rows.iter().map(|row| row.corroboration);
    rows.fold(0.0, f64::max)
}

#[test]
fn a_gauge_that_cried_wolf_is_believed_less_than_others_of_its_class() {
    let unknown = believed(&[], "//sensors/s0");
    assert!((unknown - 0.8).abs() < 1e-9, "{unknown}");
    // (10 · 0.8 + c)/(10 + c + f), each a few minutes old.
    let wolf = believed(&["false", "false", "duplicate"], "//sensors/s0");
    assert!((wolf - 8.0 / 12.0).abs() < 1e-4, "{wolf}");
    let trusted = believed(&["confirmed", "confirmed"], "//sensors/s0");
    assert!((trusted - 10.0 / 12.0).abs() < 1e-4, "{trusted}");
    // Of another gauge it says what it says of the class: the same here, as it is all that is known.
    let other = believed(&["false", "false"], "//sensors/s7");
    assert!((other - 8.0 / 12.0).abs() < 1e-4, "{other}");
    let mixed = believed(&["confirmed"], "//sensors/s0");
    assert!(mixed > unknown);
}
