//! What a statement costs that finds next to nothing: parsing, planning, starting, the way of its rows to the reader.

use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_benches::in_process::rows;
use riskgrid_benches::{Outcome, grid_of, lines, print_times, times_of};

/// Runs of one statement.
const RUNS: usize = 301;
const STATEMENTS: [(&str, &str); 4] = [
    (
        "top cells of a layer",
        "SELECT cell, sum(count) AS events FROM cells WHERE layer = 'none' AND bucket >= now() - INTERVAL '24 hours' \
         GROUP BY cell ORDER BY events DESC, cell LIMIT 100",
    ),
    (
        "hotspots of a window without events",
        "SELECT * FROM hotspots(layer => 'water_level', at => '2000-01-01T00:00:00Z')",
    ),
    (
        "hot cells with their area",
        "SELECT h.cell, h.z, a.name FROM hotspots(layer => 'water_level', at => '2000-01-01T00:00:00Z') h \
         JOIN areas a ON h3_in_area(h.cell, a.area) WHERE h.class = 'hot_99' ORDER BY h.z DESC LIMIT 20",
    ),
    ("one row", "SELECT 1"),
];

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = SqlEngine::new(SqlLimits::default())?;
    let (snapshot, _) = grid_of(&lines(1000, 10), false);
    for (name, sql) in STATEMENTS {
        let ask = async || {
            rows(&engine, &snapshot, sql).await?;
            Ok(())
        };
        let times = runtime.block_on(times_of(RUNS, ask))?;
        print_times(name, times, |_| String::new());
    }
    Ok(())
}
