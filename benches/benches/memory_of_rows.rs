//! How many bytes of memory a sealed row costs, of 10 million of a report layer and of 10 million of an observation
//! layer, in slices of a thousand cells as the grid keeps them.
//!
//! Beside it the widths alone: eight bytes of cell, and each aggregate at its own width. More than 48 bytes of a report
//! layer, or 112 of an observation layer, is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use riskgrid_benches::server::memory_of;
use riskgrid_benches::{Outcome, events_wanted};
use riskgrid_ingest::grid::{CellAggregate, Slice, Span, TimedSlice};
use riskgrid_ingest::{EventTime, LayerKind, MINUTE};

const ROWS: u64 = 10_000_000;
const ROWS_OF_A_SLICE: u64 = 1_000;
/// The lowest id of a cell at resolution 9 in the order of cells; how the cells lie changes no byte.
const FIRST_CELL: u64 = 0x0890_0000_0000_3fff;

fn main() -> Outcome<()> {
    let wanted = events_wanted(ROWS)?;
    // What is freed the kernel need not get back: the first would hide what the second takes.
    let mut kept = Vec::new();
    for (kind, name, most) in [
        (LayerKind::Report, "report", 48.0),
        (LayerKind::Observation, "observation", 112.0),
    ] {
        let before = memory_of("self", "VmRSS:")?;
        let slices = slices(kind, wanted);
        let resident = memory_of("self", "VmRSS:")?.saturating_sub(before) as f64;
        let rows: usize = slices.values().map(|slice| slice.slice.len()).sum();
        let widths: usize = slices.values().map(|slice| slice.slice.bytes()).sum();
        let (resident, widths) = (resident / rows as f64, widths as f64 / rows as f64);
        println!(
            "{rows} sealed rows of the kind {name}: {resident:.1} bytes of resident memory a row, the widths alone {widths:.1}"
        );
        if resident > most {
            return Err(format!(
                "a sealed row of a {name} layer takes {resident:.1} bytes, more than {most}"
            )
            .into());
        }
        kept.push(slices);
    }
    Ok(())
}

/// Slices as one partition keeps them of a layer.
fn slices(kind: LayerKind, rows: u64) -> BTreeMap<EventTime, Arc<TimedSlice>> {
    let row = |number: u64| {
        let aggregate = CellAggregate {
            count: 1,
            weight: 1,
            ..CellAggregate::default()
        };
        (FIRST_CELL + (number << 18), aggregate)
    };
    let sealed: Vec<_> = (0..ROWS_OF_A_SLICE).map(row).collect();
    let minutes = 0..i64::try_from(rows / ROWS_OF_A_SLICE).unwrap_or(i64::MAX);
    let timed = minutes.map(|minute| {
        let start = EventTime::from_micros(minute * MINUTE);
        let slice = TimedSlice {
            span: Span {
                start,
                end: start.plus(MINUTE),
            },
            revision: 0,
            slice: Slice::from_sorted(kind, &sealed),
        };
        (start, Arc::new(slice))
    });
    timed.collect()
}
