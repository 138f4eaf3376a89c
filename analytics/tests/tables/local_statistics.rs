//! `hotspots`, `local_moran`, `trends` and `bursts` through SQL: their digits do not depend on how many threads, partitions or batches made them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use h3o::CellIndex;
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_ingest::SECOND;
use riskgrid_ingest::grid::GridSnapshot;

use crate::made::{Made, csv, grid};

/// Three hundred reports in and around a district, over this many partitions, each partition's in another order.
fn district(partitions: i32) -> Arc<GridSnapshot> {
    let centre = CellIndex::try_from(0x0894_11ca_1b67_ffff).unwrap();
    let cells: Vec<CellIndex> = centre.grid_disk_safe(6).collect();
    let mut events: Vec<Made> = (0..300_usize)
        .map(|number| Made {
            partition: (number % 7) as i32 % partitions,
            // Multiples of 97 and squares pile up in some cells and leave others empty.
            ..Made::at_cell(
                "noise",
                (number % 60) as i64 * SECOND,
                cells[(number * number * 97) % cells.len()].into(),
            )
        })
        .collect();
    if partitions > 1 {
        events.reverse();
    }
    grid(&events)
}

#[tokio::test]
async fn threads_and_partitions_do_not_change_a_digit() {
    let window = "'noise', at => '2026-11-22T08:01:00Z', window => INTERVAL '1 minute'";
    let calls = [
        format!("hotspots({window}, method => 'exact')"),
        format!("hotspots({window}, method => 'analytic', fdr => 'by')"),
        format!("hotspots({window}, method => 'permutation', permutations => 199, seed => 3)"),
        format!("hotspots({window}, weights => 'bisquare', distance => 900, method => 'permutation')"),
        format!("hotspots({window}, weights => 'distance', distance => 700)"),
        format!("local_moran({window}, method => 'exact')"),
        format!("local_moran({window}, method => 'permutation', k => 2, permutations => 199)"),
        "trends('noise', at => '2026-11-22T08:05:00Z', window => INTERVAL '15 minutes', step => INTERVAL '1 minute', method => 'plain')"
            .to_owned(),
        "bursts('noise', at => '2026-11-22T10:00:00Z', baseline => INTERVAL '3 hours', gap => INTERVAL '1 hour')".to_owned(),
        "bursts('noise', at => '2026-11-22T09:00:00Z', model => 'farrington')".to_owned(),
    ];
    let grids = [district(1), district(3)];
    let mut first: Vec<String> = Vec::new();
    for threads in [1, 2, 7] {
        let engine = SqlEngine::new(SqlLimits {
            threads: NonZeroUsize::new(threads).unwrap(),
            ..SqlLimits::default()
        })
        .unwrap();
        for (grid, partitions) in grids.iter().zip([1, 3]) {
            let mut answers = Vec::new();
            for call in &calls {
                let sql = format!("SELECT * FROM {call} ORDER BY cell");
                answers.push(csv(&engine, grid, &sql).await.unwrap());
            }
            if first.is_empty() {
                let rows = answers[0].lines().count() - 1;
                assert!(rows > 100, "{rows} rows");
                first.clone_from(&answers);
            }
            for (call, (answer, expected)) in calls.iter().zip(answers.iter().zip(&first)) {
                assert_eq!(
                    answer, expected,
                    "{call}, {threads} threads, {partitions} partitions"
                );
            }
        }
    }
}
