//! Three questions over a day of events, through SQL with planning, beside DuckDB and ClickHouse answering them from their own
//! tables of the same events: the top cells of a layer, hotspots (of ClickHouse the sums over neighbours alone, which are a
//! part of the way), and all raw events grouped by cell. The answers are compared before a time is believed. Then a layer
//! hour by hour, beside the same from its minutes.
//!
//! `RISKGRID_PYTHON` is a Python with `others/requirements.txt`. `RISKGRID_BENCH_EVENTS` sets how many events; past 20 M
//! the raw events are not kept here, and the third question is left out.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, UInt64Type};
use datafusion::arrow::ipc::writer::FileWriter;
use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::sql::{SqlEngine, SqlLimits};
use riskgrid_benches::in_process::batches;
use riskgrid_benches::{Outcome, events_wanted, grid_with, print_times, settings};
use riskgrid_fixtures::random::SplitMix64;
use riskgrid_ingest::grid::{EventLogLimits, GridSettings, GridSnapshot};
use riskgrid_ingest::{DAY, EventTime};
use serde::Deserialize;

/// Where the invented city is.
const CENTRE: (f64, f64) = (22.53, 113.93);
/// Cells within so many steps of it: 27 361.
const RADIUS: u32 = 95;
/// Four that count reports, four of sensors.
const LAYERS: [&str; 8] = [
    "noise",
    "flooding",
    "rubbish",
    "fallen_tree",
    "water_level",
    "wind",
    "rain",
    "pm10",
];
const LAYER: &str = LAYERS[0];
/// When the day begins: neither an hour nor a day, as a window that ends now does not.
const START: &str = "2026-06-01T00:34:00Z";
const RUNS: usize = 21;
/// Raw events past which their table is not made.
const MOST_RAW: u64 = 20_000_000;

#[derive(Deserialize)]
struct Answered {
    times: Vec<f64>,
    #[serde(default)]
    rows: Vec<(u64, u64)>,
    #[serde(default)]
    number: u64,
    #[serde(default)]
    sum: u64,
}

#[derive(Deserialize)]
struct Other {
    version: String,
    top: Answered,
    scan: Answered,
    neighbours: Option<Answered>,
}

#[derive(Deserialize)]
struct Others {
    #[serde(rename = "DuckDB")]
    duckdb: Other,
    #[serde(rename = "ClickHouse")]
    clickhouse: Other,
}

fn main() -> Outcome<()> {
    let Ok(python) = std::env::var("RISKGRID_PYTHON") else {
        println!("SKIPPED: RISKGRID_PYTHON names no Python with benches/others/requirements.txt");
        return Ok(());
    };
    let events = events_wanted(10_000_000)?;
    let keeps_raw = events <= MOST_RAW;
    let start = EventTime::parse_rfc3339(START).ok_or("the start is no time")?;
    let end = start.plus(DAY);
    let began = Instant::now();
    let made = Made::new(events, start);
    let grid = GridSettings {
        events: EventLogLimits {
            age: 2 * DAY,
            bytes: if keeps_raw { 8 << 30 } else { 0 },
        },
        ..settings(true)
    };
    let (snapshot, counted) = grid_with((0..events).map(|number| made.line(number)), grid);
    if counted != events {
        return Err(format!("{counted} of {events} events were accepted").into());
    }
    println!(
        "{events} events of a day, {} layers, in the grid after {:.0?}",
        LAYERS.len(),
        began.elapsed()
    );

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.arrow");
    made.write(&file)?;
    let (from, to) = (start.to_string(), end.to_string());
    let plain = |time: &str| time.trim_end_matches('Z').replace('T', " ");
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/others/others.py"))
        .arg(&file)
        .args([LAYER, &plain(&from), &plain(&to), &RUNS.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("others.py failed".into());
    }
    let others: Others = serde_json::from_slice(&output.stdout)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = SqlEngine::new(SqlLimits::default())?;
    let ask = |sql: &str| -> Outcome<(Vec<Duration>, Vec<RecordBatch>)> {
        let answer = runtime.block_on(batches(&engine, &snapshot, sql))?;
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let began = Instant::now();
            runtime.block_on(batches(&engine, &snapshot, sql))?;
            times.push(began.elapsed());
        }
        Ok((times, answer))
    };

    let top = format!(
        "SELECT cell, sum(count) AS events FROM cells WHERE layer = '{LAYER}' AND bucket >= TIMESTAMP '{from}' \
         AND bucket < TIMESTAMP '{to}' GROUP BY cell ORDER BY events DESC, cell LIMIT 100"
    );
    let (ours, answer) = ask(&top)?;
    let rows: Vec<(u64, u64)> = answer
        .iter()
        .flat_map(|batch| {
            let cells = batch
                .column(0)
                .as_primitive::<UInt64Type>()
                .values()
                .iter()
                .copied();
            let counts = batch
                .column(1)
                .as_primitive::<UInt64Type>()
                .values()
                .iter()
                .copied();
            cells.zip(counts).collect::<Vec<_>>()
        })
        .collect();
    if rows != others.duckdb.top.rows || rows != others.clickhouse.top.rows {
        return Err("the top cells differ".into());
    }
    compare(
        "top 100 cells of a layer, 24 h",
        ours,
        &[
            ("DuckDB", &others.duckdb, &others.duckdb.top),
            ("ClickHouse", &others.clickhouse, &others.clickhouse.top),
        ],
    );

    let hot = format!(
        "SELECT * FROM hotspots(layer => '{LAYER}', window => INTERVAL '24 hours', at => '{to}', method => 'analytic')"
    );
    let (ours, answer) = ask(&hot)?;
    if let Some(near) = &others.clickhouse.neighbours {
        let cells: usize = answer.iter().map(RecordBatch::num_rows).sum();
        let seven_times: f64 = answer
            .iter()
            .map(|batch| {
                let values = batch.column(1).as_primitive::<Float64Type>().values();
                values.iter().sum::<f64>() * 7.0
            })
            .sum();
        // Every value is summed at its cell and at the six round it.
        if cells as u64 != near.number || seven_times as u64 != near.sum {
            return Err(format!("hotspots has {cells} cells and ClickHouse {}", near.number).into());
        }
        compare(
            "hotspots, 24 h (ClickHouse: neighbour sums)",
            ours,
            &[("ClickHouse", &others.clickhouse, near)],
        );
    }

    if keeps_raw {
        let scan = "SELECT cell, count(*) AS events FROM events GROUP BY cell";
        let (ours, answer) = ask(scan)?;
        let cells: usize = answer.iter().map(RecordBatch::num_rows).sum();
        let sum: i64 = answer
            .iter()
            .map(|batch| {
                let counts = batch
                    .column(1)
                    .as_primitive::<datafusion::arrow::datatypes::Int64Type>();
                counts.values().iter().sum::<i64>()
            })
            .sum();
        for other in [&others.duckdb.scan, &others.clickhouse.scan] {
            if (cells as u64, sum as u64) != (other.number, other.sum) {
                return Err("the grouped raw events differ".into());
            }
        }
        compare(
            "all raw events by cell",
            ours,
            &[
                ("DuckDB", &others.duckdb, &others.duckdb.scan),
                ("ClickHouse", &others.clickhouse, &others.clickhouse.scan),
            ],
        );
    }

    let by_hour = |rows: &str| {
        format!(
            "SELECT date_trunc('hour', bucket) AS hour, sum(count) AS events FROM {rows} GROUP BY hour ORDER BY hour"
        )
    };
    let of_layer = format!("cells WHERE layer = '{LAYER}'");
    // The limit keeps the scan from adding up.
    let of_minutes = format!("(SELECT * FROM {of_layer} LIMIT {events})");
    let (ours, answer) = ask(&by_hour(&of_layer))?;
    let (minutes, same) = ask(&by_hour(&of_minutes))?;
    if answer != same {
        return Err("hours and their minutes differ".into());
    }
    println!("\nevents of a layer by hour, 24 h");
    let ours = print_times("riskgrid", ours, |_| String::new());
    print_times("riskgrid, from minutes", minutes, |minutes| {
        format!("{:.1} times as long", minutes.as_secs_f64() / ours.as_secs_f64())
    });
    planning(&runtime, &engine, &snapshot)
}

/// Prints ours and theirs, and how many times as long theirs took.
fn compare(question: &str, ours: Vec<Duration>, others: &[(&str, &Other, &Answered)]) {
    println!("\n{question}");
    let ours = print_times("riskgrid", ours, |_| String::new());
    for (name, other, answered) in others {
        let times = answered
            .times
            .iter()
            .map(|milliseconds| Duration::from_secs_f64(milliseconds / 1000.0))
            .collect();
        print_times(&format!("{name} {}", other.version), times, |theirs| {
            format!("{:.1} times ours", theirs.as_secs_f64() / ours.as_secs_f64())
        });
    }
}

/// What a statement costs that reads nothing.
fn planning(
    runtime: &tokio::runtime::Runtime,
    engine: &SqlEngine,
    snapshot: &Arc<GridSnapshot>,
) -> Outcome<()> {
    let sql = "SELECT cell, sum(count) AS events FROM cells WHERE layer = 'none' GROUP BY cell ORDER BY events DESC LIMIT 100";
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        runtime.block_on(batches(engine, snapshot, sql))?;
        times.push(began.elapsed());
    }
    println!();
    print_times("the top cells of a layer that has none", times, |_| {
        "planning".to_owned()
    });
    Ok(())
}

/// Events by number, always the same.
struct Made {
    cells: Vec<(u64, LatLng)>,
    events: u64,
    start: EventTime,
}

struct One {
    layer: &'static str,
    cell: u64,
    place: LatLng,
    time: EventTime,
    value: Option<f64>,
}

impl Made {
    fn new(events: u64, start: EventTime) -> Self {
        let centre = LatLng::new(CENTRE.0, CENTRE.1).map(|centre| centre.to_cell(Resolution::Nine));
        let cells: Vec<CellIndex> = centre.map(|centre| centre.grid_disk(RADIUS)).unwrap_or_default();
        Self {
            cells: cells
                .into_iter()
                .map(|cell| (cell.into(), LatLng::from(cell)))
                .collect(),
            events,
            start,
        }
    }

    fn one(&self, number: u64) -> One {
        let mut random = SplitMix64::stream(1, number);
        let layer = LAYERS[(random.unit() * LAYERS.len() as f64) as usize];
        // The square makes the cells in the middle busier than those at the edge.
        let share = random.unit();
        let (cell, place) = self.cells[(share * share * self.cells.len() as f64) as usize];
        One {
            layer,
            cell,
            place,
            time: self
                .start
                .plus((i128::from(number) * i128::from(DAY) / i128::from(self.events)) as i64),
            value: LAYERS[4..]
                .contains(&layer)
                .then(|| (random.unit() * 1000.0).round() / 10.0),
        }
    }

    fn line(&self, number: u64) -> String {
        let One {
            layer,
            place,
            time,
            value,
            ..
        } = self.one(number);
        let (lon, lat) = (place.lng(), place.lat());
        match value {
            Some(value) => format!(
                r#"{{"specversion":"1.0","id":"{number}","source":"//bench/{layer}","type":"riskgrid.observation.v1","time":"{time}","data":{{"sensor":"s{}","property":"{layer}","value":{value},"lon":{lon},"lat":{lat}}}}}"#,
                number % 50_000
            ),
            None => format!(
                r#"{{"specversion":"1.0","id":"{number}","source":"//bench/{layer}","type":"riskgrid.report.v1","time":"{time}","data":{{"category":"{layer}","report":"r{}","severity":2,"lon":{lon},"lat":{lat},"channel":"phone"}}}}"#,
                number % 1_000_000
            ),
        }
    }

    /// The same events in a file for the others.
    fn write(&self, path: &std::path::Path) -> Outcome<()> {
        use datafusion::arrow::array::{Float64Array, StringArray, TimestampMicrosecondArray, UInt64Array};
        let batch = |from: u64| -> Outcome<RecordBatch> {
            let events: Vec<One> = (from..self.events.min(from + 100_000))
                .map(|number| self.one(number))
                .collect();
            Ok(RecordBatch::try_from_iter([
                (
                    "layer",
                    Arc::new(StringArray::from_iter_values(events.iter().map(|one| one.layer))) as _,
                ),
                (
                    "cell",
                    Arc::new(UInt64Array::from_iter_values(events.iter().map(|one| one.cell))) as _,
                ),
                (
                    "time",
                    Arc::new(
                        TimestampMicrosecondArray::from_iter_values(
                            events.iter().map(|one| one.time.micros()),
                        )
                        .with_timezone("UTC"),
                    ) as _,
                ),
                (
                    "value",
                    Arc::new(events.iter().map(|one| one.value).collect::<Float64Array>()) as _,
                ),
            ])?)
        };
        let mut writer = FileWriter::try_new(File::create(path)?, &batch(0)?.schema())?;
        for from in (0..self.events).step_by(100_000) {
            writer.write(&batch(from)?)?;
        }
        writer.finish()?;
        Ok(())
    }
}
