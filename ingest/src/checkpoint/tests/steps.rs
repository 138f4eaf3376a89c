//! Any chain of steps makes the partition that was never restarted, however steps were merged and whichever tries failed.

use std::collections::BTreeMap;

use arrow::compute::concat_batches;
use proptest::prelude::*;

use super::super::item::Part;
use super::super::restore::restore;
use super::*;
use crate::grid::{EVENT_SCHEMA, GridSettings};

/// So few reports that some are dropped.
const REPORTS: usize = 12;

/// An event: of a kind, so many seconds after the one before (or late), about one of a few things.
#[derive(Clone, Copy, Debug)]
struct Told {
    kind: u8,
    seconds: i64,
    thing: u8,
}

#[derive(Clone, Debug)]
enum Act {
    Tell(Vec<Told>),
    /// A step that keeps so many of those before, as far as there are; it may fail.
    Save {
        keep: usize,
        fails: bool,
    },
    /// Goes on from what was saved.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let told =
        (0_u8..4, -400_i64..120, 0_u8..30).prop_map(|(kind, seconds, thing)| Told { kind, seconds, thing });
    let act = prop_oneof![
        4 => prop::collection::vec(told, 1..30).prop_map(Act::Tell),
        3 => (0_usize..4, 0_u8..4).prop_map(|(keep, luck)| Act::Save { keep, fails: luck == 0 }),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..20)
}

fn json(told: Told, number: usize, time: EventTime) -> String {
    let mut place = serde_json::json!({"lon": 113.9 + 0.01 * f64::from(told.thing), "lat": 22.5});
    let (kind, mut data) = match told.kind {
        0 => (
            "observation",
            serde_json::json!({"sensor": told.thing.to_string(), "property": "water", "value": number}),
        ),
        1 | 2 => {
            let op = ["open", "update", "close"][number % 3];
            (
                "report",
                serde_json::json!({"report": told.thing.to_string(), "category": "flooding", "op": op}),
            )
        }
        _ => (
            "position",
            serde_json::json!({"unit": told.thing.to_string(), "status": "available"}),
        ),
    };
    data.as_object_mut()
        .unwrap()
        .append(place.as_object_mut().unwrap());
    serde_json::json!({
        "specversion": "1.0", "id": number.to_string(), "source": "//test",
        "type": format!("riskgrid.{kind}.v1"), "time": time.to_string(), "data": data,
    })
    .to_string()
}

fn layers() -> LayerTable {
    let settings = [
        serde_json::json!({"id": "water", "kind": "observation", "unit": "m"}),
        serde_json::json!({"id": "flooding", "kind": "report"}),
    ]
    .map(|layer| serde_json::from_value::<LayerSettings>(layer).unwrap());
    LayerTable::new(&settings, 8).unwrap()
}

fn parts_of(state: PartitionState) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    state
        .into_files(|bytes| {
            files.push(bytes.to_vec());
            Ok(())
        })
        .unwrap();
    files
}

fn read(files: &[Vec<u8>]) -> Vec<Part> {
    files.iter().map(|bytes| Part::read(bytes).unwrap()).collect()
}

/// All that a partition holds, in an order of its own.
fn contents(partition: &mut Partition, layers: &LayerTable) -> String {
    let files = parts_of(PartitionState::take(partition, layers, 0, Vec::new()));
    let mut part = read(&files).pop().unwrap();
    let mut head = part.head.take().unwrap();
    // Names of saves, and not of what was saved.
    head.generation = 0;
    head.reports_dropped = None;
    head.layers.sort_by(|a, b| a.0.cmp(&b.0));
    let sensors = part.sensors.iter().map(|one| format!("{one:?}"));
    let reports = part.reports.iter().map(|one| format!("{one:?}"));
    let units = part.units.iter().map(|one| format!("{one:?}"));
    let mut entities: Vec<String> = sensors.chain(reports).chain(units).collect();
    entities.sort();
    part.events.append(&mut part.open_events);
    let events = concat_batches(&EVENT_SCHEMA, &part.events).unwrap();
    let slices: BTreeMap<_, _> = part
        .slices
        .iter()
        .map(|(layer, step, timed)| {
            let rows: Vec<_> = timed.slice.rows().collect();
            ((layer, step, timed.span.start), (timed.revision, rows))
        })
        .collect();
    let open: BTreeMap<_, _> = part
        .open_buckets
        .iter()
        .map(|(layer, start, slice)| ((layer, start), slice.rows().collect::<Vec<_>>()))
        .collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}\n{entities:?}\n{:?}\n{events:?}\n{slices:?}\n{open:?}",
        head.next_offset,
        head.newest,
        head.sealed_to,
        head.counts,
        head.dedup_floor,
        head.layers,
        head.given_up,
        part.hashes
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_chain_of_steps_makes_the_partition_that_was_never_restarted(acts in acts()) {
        let settings = GridSettings { max_reports: REPORTS, ..SETTINGS };
        let layers = layers();
        let new = || Partition::new(id(), LIVE_DOMAIN.into(), settings, 0);
        let (mut partition, mut steady) = (new(), new());
        // Those that were saved: each step with its generation, and the log that it covers.
        let mut steps: Vec<(u64, Vec<Vec<u8>>)> = Vec::new();
        let mut log: Vec<(String, EventTime)> = Vec::new();
        let mut now = EventTime::from_micros(START);
        for act in acts.into_iter().chain([Act::Save { keep: 9, fails: false }, Act::Restart]) {
            match act {
                Act::Tell(all) => for told in all {
                    let time = now.plus(told.seconds * SECOND);
                    now = now.plus(told.seconds.max(0) * SECOND);
                    log.push((json(told, log.len(), time), now));
                    let (json, received) = log.last().unwrap();
                    apply(&mut steady, &layers, json, *received);
                    apply(&mut partition, &layers, json, *received);
                    partition.advance_to(log.len() as i64);
                    steady.advance_to(log.len() as i64);
                },
                Act::Save { keep, fails } => {
                    let kept = &steps[..keep.min(steps.len())];
                    let since = kept.last().map_or(0, |(generation, _)| *generation);
                    // As a checkpoint does of both: late events are folded in.
                    PartitionState::take(&mut steady, &layers, 0, Vec::new());
                    let state = PartitionState::take(&mut partition, &layers, since, Vec::new());
                    let generation = state.generation();
                    let files = parts_of(state);
                    if !fails {
                        steps.truncate(keep);
                        steps.push((generation, files));
                    }
                }
                Act::Restart => {
                    let chain: Vec<Vec<Part>> = steps.iter().map(|(_, files)| read(files)).collect();
                    partition = if chain.is_empty() { new() } else {
                        restore(chain, settings, &layers).unwrap().partition
                    };
                    // The log is read again from there.
                    let next = usize::try_from(partition.next_offset()).unwrap();
                    for (number, (json, received)) in log.iter().enumerate().skip(next) {
                        apply(&mut partition, &layers, json, *received);
                        partition.advance_to(number as i64 + 1);
                    }
                }
            }
        }
        // Revisions count how often late events were folded in, which a restart does at other moments.
        prop_assert_eq!(
            without_revisions(&contents(&mut partition, &layers)),
            without_revisions(&contents(&mut steady, &layers))
        );
    }
}

/// Slices are written as `(revision, rows)`.
fn without_revisions(text: &str) -> String {
    let mut text = text.to_owned();
    for revision in 0..100 {
        text = text.replace(&format!("): ({revision}, ["), "): ([");
    }
    text
}
