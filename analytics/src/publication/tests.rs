#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use chrono_tz::Tz;
use h3o::{CellIndex, Resolution};
use proptest::prelude::*;
use riskgrid_ingest::grid::{Calendar, Span, Step, parent_of};
use riskgrid_ingest::{DAY, EventTime, HOUR, MINUTE, SECOND};

use super::*;

/// 2026-11-22T08:00:00Z
const START: i64 = 1_795_334_400 * SECOND;

fn key() -> RoundingKey {
    let bytes: Vec<u8> = (0..32).collect();
    RoundingKey::of(&bytes)
}

fn hour() -> Span {
    let start = EventTime::from_micros(START);
    Span {
        start,
        end: start.plus(HOUR),
    }
}

const THRESHOLD: Threshold = Threshold { k: 5, min_sources: 3 };

fn atom(cell: u64, count: u64, sources: u64) -> Atom {
    Atom { cell, count, sources }
}

fn judged(atoms: Vec<Atom>) -> Judged {
    judge(&key(), THRESHOLD, "flooding", hour(), (Resolution::Seven, atoms))
}

#[test]
fn the_worked_example_is_the_contracts() {
    let atoms = vec![
        atom(0x0874_11ca_00ff_ffff, 4, 0b1111),
        atom(0x0874_11ca_01ff_ffff, 5, 0b111),
        atom(0x0874_11ca_02ff_ffff, 6, 0b111),
        atom(0x0874_11ca_03ff_ffff, 9, 0b1_1111),
        atom(0x0874_11ca_04ff_ffff, 12, 0b11),
        atom(0x0874_11ca_05ff_ffff, 17, 0b111_1111),
        atom(0x0874_11ca_06ff_ffff, 1, 0b1),
        atom(0x0874_11c0_00ff_ffff, 2, 0b1 << 40),
        atom(0x0874_11c0_01ff_ffff, 2, 0b11 << 50),
        atom(0x0874_11c0_40ff_ffff, 1, 0b1 << 60),
    ];
    let judged = judged(atoms);
    assert_eq!(
        judged.cells,
        [
            (0x0874_11ca_01ff_ffff, 5),
            (0x0874_11ca_02ff_ffff, 5),
            (0x0874_11ca_03ff_ffff, 5),
            (0x0874_11ca_05ff_ffff, 20)
        ]
    );
    assert_eq!(
        judged.rests,
        [
            (Some(0x0834_11cf_ffff_ffff), 5),
            (Some(0x0854_11ca_3fff_ffff), 15)
        ]
    );
    assert_eq!(judged.unpublished, 0);
}

#[test]
fn what_is_left_at_last_is_of_the_whole_layer_or_of_nothing() {
    // On different sides of the world: only the layer holds both.
    let far = |base: u8| {
        u64::from(
            CellIndex::base_cells()
                .nth(base.into())
                .unwrap()
                .center_child(Resolution::Seven)
                .unwrap(),
        )
    };
    let both = judged(vec![atom(far(3), 4, 0b11), atom(far(77), 4, 0b100)]);
    assert_eq!((both.cells.len(), both.rests.len(), both.unpublished), (0, 1, 0));
    assert_eq!(both.rests[0].0, None);
    let few = judged(vec![atom(far(3), 2, 0b11), atom(far(77), 2, 0b100)]);
    assert_eq!((few.rests.len(), few.unpublished), (0, 4));
    assert_eq!(judged(Vec::new()), Judged::default());
}

#[test]
fn weeks_begin_on_a_local_monday() {
    let calendar = Calendar::new(MINUTE, Tz::America__New_York);
    // A Sunday; clocks changed on the first of November.
    let week = PublicStep::Week.span(&calendar, EventTime::from_micros(START));
    assert_eq!(week.start.to_string(), "2026-11-16T05:00:00Z");
    assert_eq!(week.end.to_string(), "2026-11-23T05:00:00Z");
    let long = PublicStep::Week.span(&calendar, week.start.plus(-16 * DAY));
    assert_eq!(long.seconds(), 7 * 86_400 + 3600);
    assert_eq!("7d".parse(), Ok(PublicStep::Week));
    assert_eq!(
        "2h".parse::<PublicStep>().unwrap_err().to_string(),
        "`2h` is no step of what is published; steps are 1h, 1d, 7d"
    );
}

/// Atoms below a few parents, near and far.
fn atoms() -> impl Strategy<Value = Vec<Atom>> {
    let parents = [
        0x0854_11ca_3fff_ffff_u64,
        0x0854_11c0_3fff_ffff,
        0x0851_fb46_ffff_ffff,
    ];
    let cells: Vec<u64> = parents
        .into_iter()
        .filter_map(|parent| CellIndex::try_from(parent).ok())
        .flat_map(|parent| parent.children(Resolution::Seven).take(20))
        .map(u64::from)
        .collect();
    let one = (0..12_u64, prop::collection::vec(0..64_u32, 1..6));
    prop::collection::btree_map(prop::sample::select(cells), one, 0..40).prop_map(|atoms| {
        let bits = |bits: Vec<u32>| bits.into_iter().fold(0, |all, bit| all | 1 << bit);
        let atoms = atoms.into_iter();
        atoms
            .map(|(cell, (count, sources))| atom(cell, count, bits(sources)))
            .collect()
    })
}

/// A linear system over the true counts of atoms, brought to its reduced form: what exact arithmetic on sums of disjoint and
/// nested groups could tell. Each row is a sum of atoms that is known.
fn reduced(mut rows: Vec<Vec<i64>>) -> Vec<Vec<i64>> {
    let width = rows.first().map_or(0, Vec::len);
    let mut done = 0;
    for column in 0..width {
        let Some(pivot) = (done..rows.len()).find(|row| rows[*row][column] != 0) else {
            continue;
        };
        rows.swap(done, pivot);
        for row in 0..rows.len() {
            if row != done && rows[row][column] != 0 {
                let (by, of) = (rows[done][column], rows[row][column]);
                let pivot = rows[done].clone();
                for (value, pivot) in rows[row].iter_mut().zip(pivot) {
                    *value = *value * by - pivot * of;
                }
            }
        }
        done += 1;
    }
    rows.truncate(done);
    rows
}

proptest! {
    #[test]
    fn every_event_is_in_one_row_or_none_and_every_row_stands_for_enough(atoms in atoms()) {
        let judged = judged(atoms.clone());
        let mut left: BTreeMap<u64, Atom> =
            atoms.iter().filter(|atom| atom.count > 0).map(|atom| (atom.cell, *atom)).collect();
        let mut groups: Vec<Vec<Atom>> = Vec::new();
        for (cell, _) in &judged.cells {
            groups.push(vec![left.remove(cell).unwrap()]);
        }
        // The finer rests took first.
        let level = |cell: Option<u64>| cell.map_or(-1, |cell| (cell >> 52 & 15) as i64);
        let mut rests = judged.rests.clone();
        rests.sort_by_key(|(cell, _)| -level(*cell));
        for (cell, _) in &rests {
            let holds = |atom: u64| cell.is_none_or(|cell| {
                let resolution = Resolution::try_from((cell >> 52 & 15) as u8).unwrap();
                parent_of(atom, resolution) == cell
            });
            let held: Vec<u64> = left.keys().copied().filter(|atom| holds(*atom)).collect();
            groups.push(held.into_iter().map(|cell| left.remove(&cell).unwrap()).collect());
        }
        prop_assert_eq!(left.values().map(|atom| atom.count).sum::<u64>(), judged.unpublished);
        let shown = judged.cells.iter().map(|(_, count)| *count).chain(rests.iter().map(|(_, count)| *count));
        for (group, shown) in groups.iter().zip(shown) {
            let count: u64 = group.iter().map(|atom| atom.count).sum();
            let sources = group.iter().fold(0, |all, atom| all | atom.sources);
            prop_assert!(count >= THRESHOLD.k && sources.count_ones() >= THRESHOLD.min_sources);
            prop_assert!(shown % THRESHOLD.k == 0 && shown.abs_diff(count) < THRESHOLD.k);
        }
        // Whoever adds and subtracts numbers that are shown, sums of them by parent among them, gets no sum of few events.
        let number: BTreeMap<u64, usize> = atoms.iter().zip(0..).map(|(atom, at)| (atom.cell, at)).collect();
        let row = |cells: Vec<u64>| {
            let mut row = vec![0; atoms.len()];
            for cell in cells {
                row[number[&cell]] = 1;
            }
            row
        };
        let mut rows: Vec<Vec<i64>> = groups.iter().map(|group| row(group.iter().map(|atom| atom.cell).collect())).collect();
        for coarser in [Resolution::Six, Resolution::Five, Resolution::Four, Resolution::Zero] {
            let mut by_parent: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for (cell, _) in &judged.cells {
                by_parent.entry(parent_of(*cell, coarser)).or_default().push(*cell);
            }
            rows.extend(by_parent.into_values().map(row));
        }
        for row in reduced(rows) {
            let known: i64 = row.iter().zip(&atoms).map(|(by, atom)| by * atom.count as i64).sum();
            let scale = row.iter().map(|by| by.abs()).max().unwrap_or(1).max(1);
            prop_assert!(known.abs() / scale >= THRESHOLD.k as i64, "{row:?}");
        }
    }

    #[test]
    fn steps_hold_their_time_and_follow_each_other(seconds in 1_262_304_000i64..1_893_456_000, zone in prop::sample::select(vec![
        Tz::UTC, Tz::Asia__Shanghai, Tz::America__New_York, Tz::America__St_Johns, Tz::Africa__Cairo,
    ])) {
        let calendar = Calendar::new(MINUTE, zone);
        let time = EventTime::from_micros(seconds * SECOND);
        for step in PublicStep::ALL {
            let span = step.span(&calendar, time);
            prop_assert!(span.contains(time));
            prop_assert_eq!(step.span(&calendar, span.end).start, span.end);
            prop_assert_eq!(step.span(&calendar, span.start), span);
        }
        let (day, week) = (calendar.span(Step::Day, time), PublicStep::Week.span(&calendar, time));
        prop_assert!(week.start <= day.start && day.end <= week.end);
    }
}

proptest! {
    #[test]
    fn sums_at_every_resolution_are_those_of_the_atoms(steps in prop::collection::vec(atoms(), 1..4)) {
        let mut layer = PublishedLayer::default();
        for (number, atoms) in (0..).zip(&steps) {
            let start = EventTime::from_micros(START + number * HOUR);
            let span = Span { start, end: start.plus(HOUR) };
            let judged = judge(&key(), THRESHOLD, "flooding", span, (Resolution::Seven, atoms.clone()));
            let again = judge(&key(), THRESHOLD, "flooding", span, (Resolution::Seven, atoms.clone()));
            prop_assert_eq!(&judged, &again);
            layer.add(PublishedStep::of(span, Resolution::Seven, judged));
        }
        let start = EventTime::from_micros(START);
        // A window is snapped outward to whole steps.
        let (span, found) = layer.within(start.plus(1), start.plus(HOUR + 1)).unwrap();
        prop_assert_eq!(span.start, start);
        prop_assert_eq!(found.len(), steps.len().min(2));
        let all: u64 = found.iter().flat_map(|step| &step.cells).map(|(_, count)| count).sum();
        for level in 0..=9 {
            let (resolution, sums, suppressed) = PublishedLayer::sums(&found, Resolution::try_from(level).unwrap());
            prop_assert_eq!(resolution, Resolution::try_from(level.min(7)).unwrap());
            prop_assert_eq!(sums.values().sum::<u64>(), all);
            prop_assert_eq!(suppressed, found.iter().map(|step| step.suppressed()).sum::<u64>());
        }
        // A step stays as it was published first.
        let first = layer.steps().next().unwrap().as_ref().clone();
        layer.add(PublishedStep { cells: Vec::new(), ..first.clone() });
        prop_assert_eq!(layer.steps().next().unwrap().as_ref(), &first);
        prop_assert!(layer.within(start.plus(-2 * HOUR), start.plus(-HOUR)).is_none());
    }
}
