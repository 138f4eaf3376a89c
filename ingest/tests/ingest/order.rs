//! The same events, in any order and looked at at any moments, give the same grid to the last bit once they are sealed:
//! slices of every step, totals, sensors, reports, response units. Only revisions may differ.

use std::fmt::Write as _;

use h3o::Resolution;
use proptest::prelude::*;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::{Edge, PlaceCache};
use riskgrid_ingest::grid::{Applied, KindColumns, Partition, PartitionId, Slice};
use riskgrid_ingest::{DAY, EventTime, LIVE_DOMAIN, LayerSettings, LayerTable, SECOND};
use serde_json::{Value, json};

use crate::grid_rig::{EDGE, SETTINGS, live_rules};

const START: i64 = 1_795_000_000 * SECOND;
/// All events lie within it, so that none is too late.
const SPAN: i64 = 20 * 3600;

fn layers() -> LayerTable {
    let layer = |json: Value| serde_json::from_value::<LayerSettings>(json).unwrap();
    let settings = [
        layer(json!({"id": "water", "kind": "observation", "unit": "m"})),
        layer(json!({"id": "flooding", "kind": "report"})),
    ];
    LayerTable::new(&settings, 8).unwrap()
}

/// One event: kind, seconds after the start, entity, place, value.
type Made = (u8, i64, u8, usize, i32);

fn made() -> impl Strategy<Value = Made> {
    // Few times, so that many are equal.
    let seconds = prop_oneof![
        0..SPAN,
        Just(0),
        Just(60),
        (0..20i64).prop_map(|hour| hour * 3600)
    ];
    (0u8..6, seconds, 0u8..4, 0usize..3, -100i32..100)
}

fn event(number: usize, (kind, seconds, entity, place, value): Made) -> Vec<u8> {
    const PLACES: [(f64, f64); 3] = [(113.93, 22.53), (113.931, 22.531), (-70.0, -10.0)];
    const CHANNELS: [&str; 3] = ["phone", "app", "web"];
    let (lon, lat) = PLACES[place];
    let (kind, data) = match kind {
        0..=2 => (
            "observation",
            json!({"sensor": entity.to_string(), "property": "water", "value": f64::from(value) / 7.0, "unit": "m",
                "lon": lon, "lat": lat}),
        ),
        3 => (
            "report",
            json!({"report": entity.to_string(), "category": "flooding", "severity": value.rem_euclid(5), "lon": lon,
                "lat": lat, "channel": CHANNELS[place], "reporter": value.to_string()}),
        ),
        4 => (
            "report",
            json!({"report": entity.to_string(), "op": if value < 0 { "update" } else { "close" },
                "severity": value.rem_euclid(5), "outcome": if value < 0 { Value::Null } else { "confirmed".into() }}),
        ),
        _ => (
            "position",
            json!({"unit": entity.to_string(), "lon": lon, "lat": lat, "status": value.to_string()}),
        ),
    };
    let time = EventTime::from_micros(START + seconds * SECOND);
    json!({
        "specversion": "1.0", "id": number.to_string(), "source": "//test", "type": format!("riskgrid.{kind}.v1"),
        "time": time.to_string(), "data": data,
    })
    .to_string()
    .into_bytes()
}

/// Everything that the grid holds once all of it is sealed, as text. Readers look after each event whose place in the
/// order is a multiple of `look_every`.
fn grid(events: &[Made], order: &[usize], look_every: usize) -> String {
    let layers = layers();
    let edge = Edge {
        future_skew: 2 * DAY,
        ..EDGE
    };
    let rules = live_rules();
    let mut places = PlaceCache::new(Resolution::Nine);
    let mut partition = Partition::new(PartitionId::of_journal(), LIVE_DOMAIN.into(), SETTINGS, 0);
    let mut apply = |partition: &mut Partition, (kind, seconds, entity, place, value): Made, json: &[u8]| {
        let candidate = decode_structured(json).unwrap();
        // Some clocks are fast, most events come late.
        let fast = i64::from(value) * i64::from(kind + entity);
        let received = EventTime::from_micros(START + (seconds - fast + place as i64) * SECOND);
        let judged = edge
            .judge(
                candidate,
                received,
                &rules,
                partition.clock(),
                &layers,
                &mut places,
            )
            .unwrap();
        let applied = partition.apply(&judged.event, &layers);
        assert!(matches!(applied, Applied::Accepted { .. }));
    };
    for (place, number) in order.iter().enumerate() {
        apply(&mut partition, events[*number], &event(*number, events[*number]));
        if place % look_every == 0 {
            partition.view(&SETTINGS.calendar);
        }
    }
    // Closes the last day.
    let last = (5, SPAN + 86_400, 9, 0, 0);
    apply(&mut partition, last, &event(events.len(), last));
    written_down(&mut partition)
}

fn written_down(partition: &mut Partition) -> String {
    let view = partition.view(&SETTINGS.calendar);
    let mut text = String::new();
    let mut indexes: Vec<_> = view.layers.keys().copied().collect();
    indexes.sort_by_key(|index| index.0);
    for index in indexes {
        let (slices, totals) = &view.layers[&index];
        writeln!(text, "layer {} {totals:?}", index.0).unwrap();
        assert!(slices.open.is_empty(), "not sealed");
        for (step, slices) in slices.steps.iter().enumerate() {
            for slice in slices.values() {
                write!(text, "{step} {:?} ", slice.span).unwrap();
                write_columns(&mut text, &slice.slice);
            }
        }
    }
    let mut entities: Vec<String> = Vec::new();
    entities.extend(
        view.sensors
            .iter()
            .map(|(key, value)| format!("{key:?} {value:?}")),
    );
    entities.extend(
        view.reports
            .iter()
            .map(|(key, value)| format!("{key:?} {value:?}")),
    );
    entities.extend(view.units.iter().map(|(key, value)| format!("{key:?} {value:?}")));
    entities.sort();
    text + &entities.join("\n") + &format!("\n{:?}", view.counts)
}

/// The bytes of each column.
fn write_columns(text: &mut String, slice: &Slice) {
    let mut columns = vec![&slice.cells, &slice.count, &slice.sources];
    match &slice.columns {
        KindColumns::Report { weight, channels } => columns.extend([weight, channels]),
        KindColumns::Observation(values) => {
            for wide in [&values.sum, &values.sum_squares, &values.last_hash] {
                write!(text, "{:02x?} ", wide.inner().as_slice()).unwrap();
            }
            for narrow in [&values.min, &values.max, &values.last, &values.last_time] {
                write!(text, "{:02x?} ", narrow.inner().as_slice()).unwrap();
            }
        }
    }
    for column in columns {
        write!(text, "{:02x?} ", column.inner().as_slice()).unwrap();
    }
    text.push('\n');
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_order_and_any_batches_give_the_same_bytes(
        events in prop::collection::vec(made(), 1..120),
        orders in prop::collection::vec((any::<u64>(), 1usize..50), 3),
    ) {
        let mut order: Vec<usize> = (0..events.len()).collect();
        let expected = grid(&events, &order, 1);
        for (seed, look_every) in orders {
            // A permutation from the seed: Fisher and Yates (1938).
            let mut state = seed;
            for place in (1..order.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                order.swap(place, (state >> 33) as usize % (place + 1));
            }
            prop_assert_eq!(&grid(&events, &order, look_every), &expected);
        }
    }
}
