//! How the time of `hotspots(…)` grows with the number of cells: 50 000 beside a million, each with events of an hour.

use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_benches::in_process::rows;
use riskgrid_benches::{Outcome, grid_with, measure, settings};

/// Steps around the middle: 49 537 and 1 001 257 cells.
const RADII: [u32; 2] = [128, 577];
const CENTRE: (f64, f64) = (48.0, 9.0);
const END: &str = "2026-06-01T09:00:00Z";

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = SqlEngine::new(SqlLimits::default())?;
    let mut medians = Vec::new();
    for radius in RADII {
        let centre = LatLng::new(CENTRE.0, CENTRE.1)?.to_cell(Resolution::Nine);
        let cells: Vec<CellIndex> = centre.grid_disk(radius);
        // Every third cell twice, so that there is something to find.
        let events = cells.iter().enumerate().flat_map(|(number, cell)| {
            std::iter::repeat_n((number, *cell), if number.is_multiple_of(3) { 2 } else { 1 })
        });
        let lines = events
            .enumerate()
            .map(|(event, (number, cell))| line(event, number, cell));
        let (snapshot, _) = grid_with(lines, settings(false));
        let hot = format!(
            "SELECT cell, z, q FROM hotspots(layer => 'noise', window => INTERVAL '1 hour', at => '{END}', domain => 'observed', method => 'analytic')"
        );
        let found = runtime.block_on(rows(&engine, &snapshot, &hot))?;
        if found != cells.len() {
            return Err(format!("{found} of {} cells are in the answer", cells.len()).into());
        }
        medians.push(measure(
            &format!("hotspots of {found} cells"),
            || runtime.block_on(rows(&engine, &snapshot, &hot)),
            |_| String::new(),
        ));
    }
    if let [small, large] = medians.as_slice() {
        println!("{:.1} times as long", large.as_secs_f64() / small.as_secs_f64());
    }
    Ok(())
}

fn line(event: usize, cell: usize, index: CellIndex) -> String {
    let (minute, place) = (cell % 60, LatLng::from(index));
    format!(
        r#"{{"specversion":"1.0","id":"{event}","source":"//bench","type":"riskgrid.report.v1","time":"2026-06-01T08:{minute:02}:00Z","data":{{"category":"noise","lon":{},"lat":{}}}}}"#,
        place.lng(),
        place.lat()
    )
}
