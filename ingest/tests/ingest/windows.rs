//! Slices, sums and snapped windows of a snapshot agree with a plain count of the events, whatever the order of
//! arrival, the number of partitions and the retention.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono_tz::Tz;
use h3o::Resolution;
use proptest::prelude::*;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::PlaceCache;
use riskgrid_ingest::grid::{
    Applied, Calendar, CellSet, GridPublisher, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
    Retention, Slice, SliceStart, Span, StartsWithin,
};
use riskgrid_ingest::{
    DAY, EventTime, HOUR, LIVE_DOMAIN, LayerIndex, LayerKind, LayerSettings, LayerTable, MINUTE, SECOND,
};

use crate::grid_rig::{EDGE, SETTINGS, live_rules};

/// One event: seconds after the start, partition, which of the places, value.
type Made = (i64, usize, usize, i32);

const START: i64 = 1_795_000_000 * SECOND;
const PLACES: [(f64, f64); 4] = [
    (113.93, 22.53),
    (113.931, 22.531),
    (113.95, 22.55),
    (-70.0, -10.0),
];

fn water() -> LayerTable {
    let layer: LayerSettings =
        serde_json::from_value(serde_json::json!({"id": "water", "kind": "observation", "unit": "m"}))
            .unwrap();
    LayerTable::new(&[layer], 8).unwrap()
}

/// The snapshot, and the events that were admitted: time, cell, value. A partition whose slices are larger than `bytes`
/// gives up its oldest ones.
fn grid(
    events: &[Made],
    partitions: usize,
    zone: Tz,
    retention: Retention,
    horizon: i64,
    bytes: usize,
) -> (Arc<GridSnapshot>, Vec<(EventTime, u64, i32)>) {
    let settings = GridSettings {
        calendar: Calendar::new(MINUTE, zone),
        retention,
        dedup_horizon: horizon,
        ..SETTINGS
    };
    let layers = water();
    let mut publisher = GridPublisher::new(
        settings.calendar,
        Resolution::Nine,
        Arc::new(layers.clone()),
        30 * SECOND,
    );
    let mut states: BTreeMap<PartitionId, Partition> = BTreeMap::new();
    let mut places = PlaceCache::new(Resolution::Nine);
    let mut publish = |states: &mut BTreeMap<PartitionId, Partition>| {
        let views = states.values_mut().map(|partition| Heard {
            view: partition.view(&settings.calendar),
            heard: None,
        });
        publisher.publish(
            views.collect(),
            Arc::new(layers.clone()),
            std::time::Instant::now(),
        )
    };
    let rules = live_rules();
    let mut admitted = Vec::new();
    for (number, &(seconds, partition, place, value)) in events.iter().enumerate() {
        let time = EventTime::from_micros(START + seconds * SECOND);
        let (lon, lat) = PLACES[place];
        let json = serde_json::json!({
            "specversion": "1.0", "id": number.to_string(), "source": "//test", "type": "riskgrid.observation.v1",
            "time": time.to_string(),
            "data": {"sensor": "s", "property": "water", "value": value, "lon": lon, "lat": lat},
        })
        .to_string();
        let candidate = decode_structured(json.as_bytes()).unwrap();
        let id = PartitionId {
            topic: "t".into(),
            partition: (partition % partitions) as i32,
        };
        let partition = states
            .entry(id.clone())
            .or_insert_with(|| Partition::new(id, LIVE_DOMAIN.into(), settings, 0));
        let Ok(judged) = EDGE.judge(candidate, time, &rules, partition.clock(), &layers, &mut places) else {
            continue;
        };
        let cell = judged.event.position.unwrap().cell.into();
        let applied = partition.apply(&judged.event, &layers);
        assert!(matches!(applied, Applied::Accepted { .. }));
        admitted.push((time, cell, value));
        while partition.slice_bytes() > bytes && partition.give_up_oldest().is_some() {}
        // Snapshots in between make late events settle at different moments.
        if number % 37 == 0 {
            publish(&mut states);
        }
    }
    (publish(&mut states), admitted)
}

const LAYER: LayerIndex = LayerIndex(0);

fn counted(events: &[(EventTime, u64, i32)], span: Span) -> BTreeMap<u64, (u64, i128)> {
    let mut cells = BTreeMap::new();
    for (_, cell, value) in events.iter().filter(|(time, ..)| span.contains(*time)) {
        let sum: &mut (u64, i128) = cells.entry(*cell).or_default();
        sum.0 += 1;
        sum.1 += i128::from(*value) * 1_000_000;
    }
    cells
}

fn summed_in(snapshot: &GridSnapshot, span: Span) -> BTreeMap<u64, (u64, i128)> {
    let sums = snapshot.sum(LAYER, span, Resolution::Nine).into_slice();
    sums.rows()
        .map(|(cell, aggregate)| (cell, (aggregate.count, aggregate.values.sum)))
        .collect()
}

fn within(first: EventTime, last: EventTime) -> StartsWithin {
    StartsWithin {
        first: SliceStart::at(first),
        last: SliceStart::at(last),
    }
}

fn merged(snapshot: &GridSnapshot, starts: StartsWithin) -> Vec<(Span, Slice)> {
    let slices = snapshot.slices(LAYER, starts);
    slices
        .iter()
        .map(|slices| (slices.span, slices.merged(LayerKind::Observation)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_window_counts_its_events(
        events in prop::collection::vec((0..5 * 86_400i64, 0usize..3, 0usize..4, -100i32..100), 1..160),
        partitions in 1usize..=3,
        zone in prop::sample::select(vec![Tz::UTC, Tz::Asia__Kolkata, Tz::America__New_York]),
        bucket_hours in 0i64..30,
        hour_hours in 0i64..60,
        horizon_hours in 1i64..130,
        // Rows of 104 bytes: none, or a few days, hours and minutes.
        rows in prop_oneof![2 => Just(usize::MAX / 104), 1 => 8usize..80],
        windows in prop::collection::vec((-3600..6 * 86_400i64, 0..3 * 86_400i64), 6),
        nearly_sorted in any::<bool>(),
    ) {
        let mut events = events;
        if nearly_sorted {
            events.sort_by_key(|event| event.0 / 20_000);
        }
        let retention = Retention { buckets: bucket_hours * HOUR, hours: hour_hours * HOUR, days: 30 * DAY };
        let (snapshot, admitted) = grid(&events, partitions, zone, retention, horizon_hours * HOUR, rows * 104);
        // Days that some partition has given up are shown of none.
        let from = snapshot.partitions.iter().map(|partition| partition.cutoffs.0[2]).max().unwrap();
        let expired = admitted.iter().filter(|(time, ..)| *time < from).count();
        if rows > 80 {
            prop_assert_eq!(expired, 0);
        }
        let admitted: Vec<_> = admitted.into_iter().filter(|(time, ..)| *time >= from).collect();

        // Conserved: every admitted event in exactly one slice, one row per cell and bucket, spans apart.
        let slices: Vec<(Span, Slice)> = merged(&snapshot, StartsWithin::ALL);
        let total: u64 = slices.iter().flat_map(|(_, slice)| slice.count.iter()).sum();
        prop_assert_eq!(total, admitted.len() as u64);
        prop_assert_eq!(snapshot.totals(LAYER).unwrap().count, total + expired as u64);
        for (span, slice) in &slices {
            prop_assert!(slice.cells.is_sorted_by(|a, b| a < b));
            let rows: BTreeMap<u64, (u64, i128)> =
                slice.rows().map(|(cell, a)| (cell, (a.count, a.values.sum))).collect();
            prop_assert_eq!(&rows, &counted(&admitted, *span), "slice {:?}", span);
        }
        // Each is found by its start alone, whatever lies before its first event.
        for (number, (span, _)) in slices.iter().enumerate() {
            let found = |starts| -> Vec<Span> { merged(&snapshot, starts).into_iter().map(|(span, _)| span).collect() };
            let beginning = EventTime::from_micros(i64::MIN);
            prop_assert_eq!(found(within(span.start, span.start)), [*span]);
            prop_assert_eq!(found(within(beginning, span.start)).len(), number + 1);
            prop_assert_eq!(found(within(beginning, span.start.plus(-1))).len(), number);
            prop_assert_eq!(
                snapshot.covered(LAYER, within(span.start, span.start), &CellSet::all()).map(|covered| summed_in(&snapshot, covered)),
                Some(counted(&admitted, *span))
            );
        }
        for pair in slices.windows(2) {
            prop_assert!(pair[0].0.end <= pair[1].0.start, "{:?} {:?}", pair[0].0, pair[1].0);
        }

        // The second time sums of hours and minutes are made, the third time they are read.
        for (start, length) in windows.into_iter().flat_map(|window| [window; 3]) {
            let start = EventTime::from_micros(START + start * SECOND);
            let end = start.plus(length * SECOND + 1);
            let span = snapshot.snap(LAYER, start, end);
            prop_assert!(span.start <= start && end <= span.end);
            let expected = counted(&admitted, span);
            prop_assert_eq!(&summed_in(&snapshot, span), &expected, "sum over {:?}", span);
            // The slices of the same window.
            let mut of_slices: BTreeMap<u64, (u64, i128)> = BTreeMap::new();
            for (of_slice, slice) in merged(&snapshot, within(span.start, span.end.plus(-1))) {
                prop_assert!(span.start <= of_slice.start && of_slice.end <= span.end);
                for (cell, aggregate) in slice.rows() {
                    let sum = of_slices.entry(cell).or_default();
                    sum.0 += aggregate.count;
                    sum.1 += aggregate.values.sum;
                }
            }
            prop_assert_eq!(&of_slices, &expected, "slices of {:?}", span);
            // Coarser cells hold their children.
            let mut coarse: HashMap<u64, u64> = HashMap::new();
            for (cell, (count, _)) in &expected {
                let parent = h3o::CellIndex::try_from(*cell).unwrap().parent(Resolution::Six).unwrap();
                *coarse.entry(parent.into()).or_default() += count;
            }
            let summed: HashMap<u64, u64> =
                snapshot.sum(LAYER, span, Resolution::Six).into_slice().rows().map(|(cell, a)| (cell, a.count)).collect();
            prop_assert_eq!(summed, coarse);
            // What the slices cover that start in the window.
            let starting: Vec<Span> = slices
                .iter()
                .map(|(of_slice, _)| *of_slice)
                .filter(|of_slice| start <= of_slice.start && of_slice.start <= end)
                .collect();
            let covered = snapshot.covered(LAYER, within(start, end), &CellSet::all());
            let expected: BTreeMap<u64, (u64, i128)> = starting.iter().fold(BTreeMap::new(), |mut all, of_slice| {
                for (cell, (count, sum)) in counted(&admitted, *of_slice) {
                    let entry: &mut (u64, i128) = all.entry(cell).or_default();
                    entry.0 += count;
                    entry.1 += sum;
                }
                all
            });
            prop_assert_eq!(
                covered.map_or_else(BTreeMap::new, |covered| summed_in(&snapshot, covered)),
                expected,
                "covered from {:?} to {:?}: {:?}", start, end, covered
            );
        }
    }
}
