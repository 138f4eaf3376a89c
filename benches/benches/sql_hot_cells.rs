//! How long SQL takes for the hot cells of a layer, and for `hotspots(…)`, over a day; planning included, warm.
//! Beside it the same sum asked of the snapshot itself, without SQL.

use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_benches::in_process::rows;
use riskgrid_benches::{grid_of, lines, measure};
use riskgrid_ingest::DAY;
use riskgrid_ingest::grid::GridSnapshot;

const EVENTS: u64 = 1_000_000;
const SENSORS: usize = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (snapshot, counted) = grid_of(&lines(EVENTS, SENSORS), false);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = SqlEngine::new(SqlLimits::default())?;
    let largest = snapshot
        .layers
        .iter()
        .max_by_key(|(index, _)| snapshot.totals(*index).map_or(0, |totals| totals.count));
    let Some((index, layer)) = largest else {
        return Err("no layer".into());
    };
    let cells = snapshot.sum(
        index,
        snapshot.snap(index, snapshot_end(&snapshot).plus(-DAY), snapshot_end(&snapshot)),
        snapshot.resolution,
    );
    println!("{counted} events, layer {} has {} cells", layer.id, cells.len());
    let none = |_: std::time::Duration| String::new();
    let top = format!(
        "SELECT cell, sum(count) AS events FROM cells WHERE layer = '{}' GROUP BY cell ORDER BY events DESC LIMIT 100",
        layer.id
    );
    assert_eq!(
        runtime.block_on(rows(&engine, &snapshot, &top))?,
        cells.len().min(100)
    );
    measure(
        "SQL: top 100 cells of a layer",
        || runtime.block_on(rows(&engine, &snapshot, &top)),
        none,
    );
    let hot = format!(
        "SELECT * FROM hotspots(layer => '{}', window => INTERVAL '24 hours', at => '{}')",
        layer.id,
        snapshot_end(&snapshot)
    );
    println!(
        "hotspots gives {} cells",
        runtime.block_on(rows(&engine, &snapshot, &hot))?
    );
    measure(
        "SQL: hotspots over 24 h",
        || runtime.block_on(rows(&engine, &snapshot, &hot)),
        none,
    );
    let span = snapshot.snap(index, snapshot_end(&snapshot).plus(-DAY), snapshot_end(&snapshot));
    measure(
        "the sum by cell, without SQL",
        || snapshot.sum(index, span, snapshot.resolution).len(),
        none,
    );
    Ok(())
}

fn snapshot_end(snapshot: &GridSnapshot) -> riskgrid_ingest::EventTime {
    let newest = snapshot
        .domains
        .iter()
        .filter_map(|clock| clock.newest_bucket_end)
        .max();
    newest.unwrap_or(riskgrid_ingest::EventTime::from_micros(0))
}
