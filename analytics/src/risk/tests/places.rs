//! What lies outside a domain: events there count nowhere, sensors and channels there are heard.

use std::sync::Arc;

use h3o::{LatLng, Resolution};
use riskgrid_ingest::places::{AreaIndex, Places};
use riskgrid_ingest::{EventTime, HOUR, SECOND};

use super::made::{Ingest, Made, START, model};
use super::reference::area;
use crate::risk::{Conditions, RiskEngine, Surface};

/// The city as far as a line between the second place of [`Made`] and the fourth.
fn surface(events: &[Made], is_bounded: bool) -> Surface {
    let mut model = model(2 * HOUR);
    let west = area("west", [113.9, 22.5, 113.935, 22.56], None);
    for layer in &mut model.layers {
        layer.domain = is_bounded.then(|| "west".into());
    }
    let places = Places {
        areas: AreaIndex::new(vec![west]).unwrap(),
        ..Places::default()
    };
    let mut engine = RiskEngine::new(Arc::new(model), Arc::new(places), Resolution::Nine).unwrap();
    let mut ingest = Ingest::new(1);
    for event in events {
        ingest.take(event);
    }
    engine.surface(
        &ingest.snapshot(),
        EventTime::from_micros(START + 60 * SECOND),
        &Conditions::default(),
    )
}

fn made(layer: usize, place: usize, reporter: u8) -> Made {
    Made {
        layer,
        seconds: 0,
        place,
        partition: 0,
        reporter,
    }
}

fn rows(surface: &Surface, layer: usize) -> usize {
    surface
        .layers
        .iter()
        .filter(|of| of.layer == layer)
        .map(|of| of.rows.len())
        .sum()
}

#[test]
fn events_outside_have_no_row_and_are_not_felt_inside() {
    // The fourth place lies just east of the border: its ring reaches over it.
    let outside = [made(0, 3, 1)];
    assert_eq!(rows(&surface(&outside, false), 0), 7);
    assert_eq!(rows(&surface(&outside, true), 0), 0);
    // What happens inside stays inside.
    let inside = surface(&[made(0, 1, 1)], true);
    let felt: f64 = inside
        .layers
        .iter()
        .flat_map(|layer| &layer.rows)
        .map(|row| row.intensity)
        .sum();
    let unbounded = surface(&[made(0, 1, 1)], false);
    let all: f64 = unbounded
        .layers
        .iter()
        .flat_map(|layer| &layer.rows)
        .map(|row| row.intensity)
        .sum();
    assert!(rows(&inside, 0) < 7 && (felt - all).abs() < 1e-12, "{felt} {all}");
}

#[test]
fn sensors_and_channels_outside_are_heard_inside() {
    // A sensor at danger just outside: the cells of the domain in its ring have rows of its layer.
    let sensor = surface(&[made(2, 3, 24)], true);
    assert!((1..7).contains(&rows(&sensor, 2)), "{}", rows(&sensor, 2));
    // And who reports there makes those inside surer.
    let alone = surface(&[made(0, 1, 0)], true);
    let together = surface(&[made(0, 1, 0), made(0, 3, 1)], true);
    let surest = |surface: &Surface| {
        let rows = surface.layers.iter().flat_map(|layer| &layer.rows);
        rows.map(|row| row.corroboration).fold(0.0, f64::max)
    };
    assert!(surest(&together) > surest(&alone) + 0.01);
    let here = LatLng::new(22.53, 113.932).unwrap().to_cell(Resolution::Nine);
    assert!(together.row("flooding", here.into()).is_some());
}
