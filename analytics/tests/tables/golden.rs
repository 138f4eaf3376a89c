//! The table functions: one golden file each, over a grid with a worked example, a lone event, a constant field, readings.

use std::sync::Arc;

use riskgrid_ingest::MINUTE;
use riskgrid_ingest::grid::GridSnapshot;

use crate::golden_files;
use crate::hotspots::GOLDEN;
use crate::made::{ENGINE, Made, csv, grid};

const FAR: u64 = 0x0891_9a40_0003_ffff;

/// From 08:00: `noise` as in the worked example; at 08:10 one `noise` far away and one `flooding`; at 08:20 two `noise` in
/// each of the seven cells; `water` once in each of them, of a level a tenth of the example's count.
fn made() -> Arc<GridSnapshot> {
    let mut events = Vec::new();
    for (cell, count) in GOLDEN {
        events.extend((0..count).map(|number| Made::at_cell("noise", number as i64 * 1000, cell)));
        events.push(Made {
            value: count as f64 / 10.0,
            ..Made::at_cell("water", 0, cell)
        });
    }
    events.push(Made::at_cell("noise", 10 * MINUTE, FAR));
    events.push(Made::at_cell("flooding", 10 * MINUTE, GOLDEN[2].0));
    for (cell, _) in GOLDEN {
        events.extend((0..2).map(|number| Made::at_cell("noise", 20 * MINUTE + number, cell)));
    }
    grid(&events)
}

#[tokio::test]
async fn golden_files_of_table_functions() {
    let grid = made();
    let ask = async |sql: &str| csv(&ENGINE, &grid, sql).await;
    let (files, wrong) = golden_files::run("tests/tables/golden", ask).await;
    assert!(files >= 2, "one file a function");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
