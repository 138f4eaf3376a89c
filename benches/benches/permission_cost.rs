//! What a permission costs: the hot cells of a layer in SQL, and the sum that a tile is made of, over a day of a million events,
//! in open mode (an admin), with all rights by a role and a scope of everything, and in a scope of a hundred areas that together
//! hold most of the city. Asked in turn, so that all meet the same machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use riskgrid_analytics::permission::{Permission, Role, Scope};
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_benches::in_process::rows_for;
use riskgrid_benches::{Outcome, grid_of, lines, print_times};
use riskgrid_fixtures::CENTRE;
use riskgrid_ingest::DAY;
use riskgrid_ingest::grid::{GridSnapshot, Span};
use riskgrid_ingest::places::{Area, AreaIndex, Places, Shape};

const EVENTS: u64 = 1_000_000;
const SENSORS: usize = 20_000;
const RUNS: usize = 101;
/// Areas a side of the square that they make, and their width in degrees.
const SIDE: usize = 10;
const WIDTH: f64 = 0.06;

/// A hundred squares around the city's centre, without gaps.
fn areas() -> Outcome<Vec<Area>> {
    let (lon, lat) = CENTRE;
    let corner = |number: usize, centre: f64| centre + (number as f64 - SIDE as f64 / 2.0) * WIDTH;
    let mut areas = Vec::with_capacity(SIDE * SIDE);
    for (column, row) in (0..SIDE).flat_map(|column| (0..SIDE).map(move |row| (column, row))) {
        let (west, south) = (corner(column, lon), corner(row, lat));
        let (east, north) = (west + WIDTH, south + WIDTH);
        let ring = vec![
            [west, south],
            [east, south],
            [east, north],
            [west, north],
            [west, south],
        ];
        areas.push(Area {
            id: format!("a{column}-{row}").into(),
            name: format!("{column} {row}"),
            level: "square".into(),
            parent: None,
            population: None,
            shape: Shape::new(vec![vec![ring]])?,
        });
    }
    Ok(areas)
}

fn main() -> Outcome<()> {
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
    let places = Arc::new(Places {
        areas: AreaIndex::new(areas()?)?,
        ..Places::default()
    });
    let scope = Scope {
        areas: places
            .areas
            .areas()
            .iter()
            .map(|area| area.id.to_string())
            .collect(),
        ..Scope::ALL
    };
    let scoped = Permission::within(Role::Analyst, scope, &places, snapshot.resolution);
    let permissions = [
        ("open mode", Arc::new(Permission::admin())),
        ("all rights", Arc::new(Permission::everywhere(Role::Analyst))),
        ("a hundred areas", Arc::new(scoped)),
    ];
    let end = newest(&snapshot);
    let span = snapshot.snap(index, end.plus(-DAY), end);
    for (name, seen) in &permissions {
        let sums = snapshot.sum_within(index, span, snapshot.resolution, seen.cells());
        println!("{name}: {} cells of {} in {counted} events", sums.len(), layer.id);
    }
    let top = format!(
        "SELECT cell, sum(count) AS events FROM cells WHERE layer = '{}' GROUP BY cell ORDER BY events DESC LIMIT 100",
        layer.id
    );
    in_turn("SQL: top 100 cells of a layer", &permissions, |seen| {
        runtime.block_on(rows_for(&engine, &snapshot, seen, &top))?;
        Ok(())
    })?;
    in_turn("a tile's sum over 24 h", &permissions, |seen| {
        std::hint::black_box(sum(&snapshot, span, seen, index));
        Ok(())
    })
}

fn sum(snapshot: &GridSnapshot, span: Span, seen: &Permission, index: riskgrid_ingest::LayerIndex) -> usize {
    snapshot
        .sum_within(index, span, snapshot.resolution, seen.cells())
        .len()
}

/// Times the same for each permission, one after the other and again, and what each takes over the first.
fn in_turn(
    what: &str,
    permissions: &[(&str, Arc<Permission>)],
    work: impl Fn(&Arc<Permission>) -> Outcome<()>,
) -> Outcome<()> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); permissions.len()];
    for run in 0..RUNS + 5 {
        for ((_, seen), times) in permissions.iter().zip(&mut times) {
            let began = Instant::now();
            work(seen)?;
            // The first ones warm what is kept between questions.
            if run >= 5 {
                times.push(began.elapsed());
            }
        }
    }
    let mut open = None;
    for ((name, _), times) in permissions.iter().zip(times) {
        let show = |median: Duration| {
            let open: Duration = open.unwrap_or(median);
            format!(
                "{:+.1} %",
                (median.as_secs_f64() / open.as_secs_f64() - 1.0) * 100.0
            )
        };
        let median = print_times(&format!("{what}, {name}"), times, show);
        open.get_or_insert(median);
    }
    Ok(())
}

fn newest(snapshot: &GridSnapshot) -> riskgrid_ingest::EventTime {
    let ends = snapshot
        .domains
        .iter()
        .filter_map(|clock| clock.newest_bucket_end);
    ends.max().unwrap_or(riskgrid_ingest::EventTime::from_micros(0))
}
