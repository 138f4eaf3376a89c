//! What one partition may take, whatever its events are: limits hold with every event, not when a watermark passes; and
//! what a fast clock moves.

use arrow::array::Array;
use h3o::Resolution;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::{Edge, FeedRules, PlaceCache};
use riskgrid_ingest::grid::{
    Applied, EventLogLimits, GridPublisher, GridSettings, Heard, KeyRef, Partition, PartitionId,
};
use riskgrid_ingest::{
    DAY, EventTime, HOUR, LIVE_DOMAIN, LayerSettings, LayerTable, MINUTE, RefusalReason, SECOND,
};
use serde_json::{Value, json};

use crate::grid_rig::{EDGE, SETTINGS, live_rules};

/// At the beginning of a day.
const START: i64 = 1_795_046_400 * SECOND;
const MIB: usize = 1 << 20;

struct Rig {
    partition: Partition,
    edge: Edge,
    rules: FeedRules,
    layers: LayerTable,
    places: PlaceCache,
    number: usize,
}

impl Rig {
    fn new(settings: GridSettings) -> Self {
        let layers: Vec<LayerSettings> = (0..200)
            .map(|number| json!({"id": format!("l{number}"), "kind": if number < 100 { "observation" } else { "report" }}))
            .map(|layer| serde_json::from_value(layer).unwrap())
            .collect();
        Self {
            partition: Partition::new(PartitionId::of_journal(), LIVE_DOMAIN.into(), settings, 0),
            edge: EDGE,
            rules: live_rules(),
            layers: LayerTable::new(&layers, 1000).unwrap(),
            places: PlaceCache::new(Resolution::Nine),
            number: 0,
        }
    }

    /// Applies an event of a time that is received at another, both in microseconds after the start.
    fn tell(
        &mut self,
        kind: &str,
        time: i64,
        received: i64,
        id: &str,
        data: &Value,
    ) -> Result<Applied, RefusalReason> {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "//test", "type": format!("riskgrid.{kind}.v1"),
            "time": EventTime::from_micros(START + time).to_string(), "data": data,
        })
        .to_string();
        let candidate = decode_structured(event.as_bytes()).map_err(|refusal| refusal.reason)?;
        let received = EventTime::from_micros(START + received);
        let clock = self.partition.clock();
        let judged = self
            .edge
            .judge(
                candidate,
                received,
                &self.rules,
                clock,
                &self.layers,
                &mut self.places,
            )
            .map_err(|refusal| refusal.reason)?;
        Ok(self.partition.apply(&judged.event, &self.layers))
    }

    /// A reading of a sensor of its own, received when it was made.
    fn reading(&mut self, time: i64, layer: usize, sensor: &str, place: usize) {
        self.number += 1;
        let (lon, lat) = ((place % 1000) as f64 * 0.01, (place / 1000) as f64 * 0.01 + 1.0);
        let data =
            json!({"sensor": sensor, "property": format!("l{layer}"), "value": 1, "lon": lon, "lat": lat});
        let id = self.number.to_string();
        let applied = self.tell("observation", time, time, &id, &data);
        assert!(matches!(applied, Ok(Applied::Accepted { .. })), "{applied:?}");
    }
}

#[test]
fn batches_of_raw_events_close_by_bytes_and_all_of_them_stay_within_theirs() {
    let bytes = 16 * MIB;
    let mut rig = Rig::new(GridSettings {
        events: EventLogLimits { age: DAY, bytes },
        ..SETTINGS
    });
    // The longest texts that there are, within one minute: no watermark passes.
    let long = "s".repeat(1000);
    let mut most = 0;
    for number in 0..20_000 {
        rig.reading(number, 0, &format!("{long}{}", number % 10), 1);
        if number % 1000 == 0 {
            let view = rig.partition.view(&SETTINGS.calendar);
            let sum: usize = view.events.iter().map(|batch| batch.bytes).sum();
            assert!(
                sum <= bytes + MIB && view.event_bytes <= bytes,
                "{sum} {}",
                view.event_bytes
            );
            most = most.max(sum);
            for batch in &view.events {
                assert!(batch.bytes <= bytes / 4, "{}", batch.bytes);
                assert!(batch.batch.column(0).len() <= 8192);
            }
        }
    }
    // It was full, and not by much less than it may be.
    assert!(most > bytes / 2, "{most}");
}

#[test]
fn open_buckets_late_events_and_small_slices_count_against_the_bytes_of_the_grid() {
    // Many cells in a bucket that is open; a bucket for each of many minutes, layers and days; events that are late.
    let budget = 4 * MIB;
    for shape in 0..3 {
        let mut rig = Rig::new(SETTINGS);
        for number in 0..40_000_usize {
            let time = number as i64;
            match shape {
                0 => rig.reading(time, 0, "s", number),
                1 => rig.reading((number as i64 % 1400) * MINUTE, number / 1400 % 100, "s", 1),
                _ => rig.reading(
                    20 * HOUR - (number as i64 % 1000) * MINUTE,
                    number / 1000,
                    "s",
                    number,
                ),
            }
            if number % 500 == 0 {
                while rig.partition.slice_bytes() > budget && rig.partition.give_up_oldest().is_some() {}
                assert!(rig.partition.slice_bytes() <= budget, "{shape} {number}");
            }
        }
        let given_up = rig.partition.given_up().slices;
        assert!(given_up.iter().sum::<u64>() > 0, "{shape} {given_up:?}");
        // What comes later is counted as before.
        let later = 3 * DAY;
        rig.reading(later, 0, "s", 1);
        let view = rig.partition.view(&SETTINGS.calendar);
        let (slices, totals) = &view.layers[&rig.layers.find("l0").unwrap()];
        assert!(totals.count > 0 && slices.open.len() == 1);
    }
}

#[test]
fn an_hour_that_is_closed_early_loses_nothing_but_its_minutes() {
    let mut rig = Rig::new(SETTINGS);
    for number in 0..600_i64 {
        rig.reading(number * SECOND, 0, "s", 1);
    }
    assert!(rig.partition.give_up_oldest().is_some());
    // Of the same hour, after it was closed.
    for number in 600..700_i64 {
        rig.reading(number * SECOND, 0, "s", 1);
    }
    let view = rig.partition.view(&SETTINGS.calendar);
    let (slices, _) = &view.layers[&rig.layers.find("l0").unwrap()];
    let counts = |step: usize| -> u64 {
        let all = slices.steps[step].values();
        all.flat_map(|slice| slice.slice.count.iter().copied()).sum()
    };
    assert_eq!((slices.open.len(), counts(0), counts(1)), (0, 0, 700));
}

#[test]
fn entities_stay_within_their_number_and_their_bytes() {
    let settings = GridSettings {
        max_sensors: 500,
        max_reports: 500,
        max_units: 500,
        ..SETTINGS
    };
    let mut rig = Rig::new(settings);
    for number in 0..3000_i64 {
        // The names take twice what there is for each on average.
        let name = format!("{number}{}", "n".repeat(if number < 1500 { 1 } else { 1000 }));
        rig.reading(number * SECOND, 0, &name, 1);
        let place = json!({"lon": 1, "lat": 2});
        let mut report = place.clone();
        report["report"] = name.as_str().into();
        report["category"] = "l100".into();
        let mut unit = place;
        unit["unit"] = name.as_str().into();
        // All at one moment: none is older than another.
        rig.tell("report", 0, number, &format!("r{number}"), &report)
            .unwrap();
        rig.tell(
            "position",
            number * SECOND,
            number * SECOND,
            &format!("p{number}"),
            &unit,
        )
        .unwrap();
        let view = rig.partition.view(&SETTINGS.calendar);
        assert!(view.sensors.len() <= 500 && view.reports.len() <= 500 && view.units.len() <= 500);
        // What was told of last is there.
        assert!(
            view.sensors
                .get(KeyRef {
                    scope: "l0",
                    name: &name
                })
                .is_some(),
            "{number}"
        );
        assert!(
            view.units
                .get(KeyRef {
                    scope: "",
                    name: &name
                })
                .is_some()
        );
    }
    let view = rig.partition.view(&SETTINGS.calendar);
    let dropped = (
        view.forgotten.sensors,
        view.given_up.reports,
        view.forgotten.units,
    );
    assert_eq!(
        dropped,
        (
            3000 - view.sensors.len() as u64,
            3000 - view.reports.len() as u64,
            3000 - view.units.len() as u64
        )
    );
}

#[test]
fn hashes_stay_within_their_bytes_although_no_watermark_passes() {
    let mut rig = Rig::new(GridSettings {
        dedup_bytes: 1000 * 32,
        ..SETTINGS
    });
    rig.reading(HOUR, 0, "s", 1);
    // All late: the watermark stands still.
    for number in 0..5000_i64 {
        let (time, id) = (HOUR - (number % 50) * MINUTE, format!("late{number}"));
        let data = json!({"sensor": "s", "property": "l0", "value": 1, "lon": 1, "lat": 2});
        let told = rig.tell("observation", time, HOUR, &id, &data);
        assert!(
            matches!(told, Ok(Applied::Accepted { .. }) | Err(RefusalReason::TooLate)),
            "{told:?}"
        );
        let bytes = rig.partition.view(&SETTINGS.calendar).dedup_bytes;
        // The newest minute stays whatever it takes.
        assert!(bytes <= 1000 * 32 + 200 * 32, "{bytes}");
    }
}

#[test]
fn an_event_of_a_fast_clock_counts_where_it_says_and_moves_no_clock() {
    let mut rig = Rig::new(SETTINGS);
    let mut publisher = GridPublisher::new(
        SETTINGS.calendar,
        Resolution::Nine,
        std::sync::Arc::new(rig.layers.clone()),
        30 * SECOND,
    );
    let began = std::time::Instant::now();
    let mut look = |rig: &mut Rig, at: i64| {
        let now = began + std::time::Duration::from_micros(at as u64);
        let heard = Heard {
            view: rig.partition.view(&SETTINGS.calendar),
            heard: Some(now),
        };
        let layers = std::sync::Arc::new(rig.layers.clone());
        publisher.publish(vec![heard], layers, now).domains[0].clone()
    };
    rig.reading(10 * MINUTE, 0, "right", 1);
    let before = look(&mut rig, 10 * MINUTE);
    let data = json!({"sensor": "fast", "property": "l0", "value": 1, "lon": 1, "lat": 2});
    let fast = 14 * MINUTE + 50 * SECOND;
    rig.tell("observation", fast, 10 * MINUTE, "fast", &data).unwrap();
    assert_eq!(look(&mut rig, 10 * MINUTE), before);
    assert_eq!(
        before.newest_bucket_end,
        Some(EventTime::from_micros(START + 11 * MINUTE))
    );
    let view = rig.partition.view(&SETTINGS.calendar);
    let (slices, totals) = &view.layers[&rig.layers.find("l0").unwrap()];
    assert_eq!((slices.open.len(), totals.count), (2, 2));
    assert_eq!(totals.last_time, EventTime::from_micros(START + fast));
    // Clocks that are right go on; what was ahead is sealed in its time, once.
    for minute in 11..30 {
        rig.reading(minute * MINUTE, 0, "right", 1);
    }
    let after = look(&mut rig, 29 * MINUTE);
    assert_eq!(
        after.newest_bucket_end,
        Some(EventTime::from_micros(START + 30 * MINUTE))
    );
    let view = rig.partition.view(&SETTINGS.calendar);
    let (slices, _) = &view.layers[&rig.layers.find("l0").unwrap()];
    let bucket = EventTime::from_micros(START + 14 * MINUTE);
    assert_eq!(slices.steps[0][&bucket].slice.count.iter().sum::<u64>(), 2);
    // Beyond what is allowed it is refused, as before.
    let told = rig.tell("observation", 40 * MINUTE, 29 * MINUTE, "too fast", &data);
    assert_eq!(told, Err(RefusalReason::InFuture));
    // A historic feed has no other clock than its events'.
    rig.rules.valid = Some((EventTime::from_micros(0), EventTime::from_micros(i64::MAX)));
    rig.tell("observation", 50 * MINUTE, 29 * MINUTE, "historic", &data)
        .unwrap();
    assert_eq!(
        rig.partition.newest(),
        Some(EventTime::from_micros(START + 50 * MINUTE))
    );
}

#[test]
fn every_text_has_a_longest_length_and_it_is_told_before_any_other_reason() {
    let mut rig = Rig::new(SETTINGS);
    let long = |bytes: usize| "x".repeat(bytes);
    let identifier = 1024;
    let observation = json!({"sensor": "s", "property": "l0", "value": 1, "lon": 1, "lat": 2});
    let report = json!({"report": "r", "category": "l100", "lon": 1, "lat": 2});
    let position = json!({"unit": "u", "lon": 1, "lat": 2});
    let cases = [
        ("observation", &observation, "sensor", identifier),
        ("observation", &observation, "property", 512),
        ("observation", &observation, "unit", 128),
        ("report", &report, "report", identifier),
        ("report", &report, "category", 512),
        ("report", &report, "op", 128),
        ("report", &report, "channel", 128),
        ("report", &report, "reporter", identifier),
        ("report", &report, "outcome", 128),
        ("report", &report, "text", 64 << 10),
        ("position", &position, "unit", identifier),
        ("position", &position, "status", 128),
    ];
    for (kind, data, field, most) in cases {
        for (spoilt, refused) in [(false, most + 1), (true, most + 1), (false, 1_000_000)] {
            let mut data = data.clone();
            data[field] = long(refused).into();
            if spoilt {
                // Malformed besides: a field of the wrong type.
                data["lat"] = json!(["north"]);
            }
            let told = rig.tell(kind, 0, 0, &format!("{kind} {field}"), &data);
            assert_eq!(
                told,
                Err(RefusalReason::TooLarge),
                "{kind} {field} {refused} {spoilt}"
            );
        }
        let mut data = data.clone();
        data[field] = long(most).into();
        let told = rig.tell(kind, 0, 0, &format!("{kind} {field}"), &data);
        assert_ne!(told, Err(RefusalReason::TooLarge), "{kind} {field}");
    }
    // Attributes, and events of no known kind.
    for kind in ["observation", "riddle"] {
        let told = rig.tell(kind, 0, 0, &long(identifier + 1), &observation);
        assert_eq!(told, Err(RefusalReason::TooLarge), "{kind}");
    }
    for skills in [vec![long(65)], vec!["s".to_owned(); 33]] {
        let mut data = position.clone();
        data["skills"] = json!(skills);
        assert_eq!(
            rig.tell("position", 0, 0, "skills", &data),
            Err(RefusalReason::TooLarge)
        );
    }
    let mut deep = observation.clone();
    deep["more"] = serde_json::from_str(&format!("{}{}", "[".repeat(80), "]".repeat(80))).unwrap();
    assert_eq!(
        rig.tell("observation", 0, 0, "deep", &deep),
        Err(RefusalReason::TooLarge)
    );
    // What belongs to another kind means nothing, however long it is.
    let mut other = observation;
    other["reporter"] = long(5000).into();
    assert!(rig.tell("observation", 0, 0, "other", &other).is_ok());
}
