//! How many events a second go from JSON in memory to the grid: decode, edge, apply, publish; one thread, and one for each
//! core, as the server has workers. Beside it, on one thread, the least that the crates could do for it (`serde_json` into a
//! borrowed struct, and `h3o` for the cell), and, on all cores, ClickHouse parsing and aggregating the same lines to the same
//! layers, cells and minutes: it looks for no duplicates and keeps no reports or sensors.
//!
//! For ClickHouse `RISKGRID_PYTHON` is a Python with `others/requirements.txt`.

use std::borrow::Cow;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use h3o::{LatLng, Resolution};
use riskgrid_benches::{Outcome, grid_of, lines, measure, print_times};
use serde::Deserialize;

const EVENTS: u64 = 500_000;
const SENSORS: usize = 5_000;
const RUNS: usize = 7;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    lon: f64,
    lat: f64,
}

#[derive(Deserialize)]
struct Answered {
    version: String,
    times: Vec<f64>,
    events: usize,
    rows: u64,
}

fn main() -> Outcome<()> {
    let lines = lines(EVENTS, SENSORS);
    let bytes: usize = lines.iter().map(String::len).sum();
    println!("{} events of {} bytes", lines.len(), bytes / lines.len());
    let rate = |time: Duration| format!("{:.0} events/s", lines.len() as f64 / time.as_secs_f64());
    let (_, counted) = grid_of(&lines, false);
    println!("{counted} of them accepted");
    let ours = measure("decode, edge, apply, publish", || grid_of(&lines, false).1, rate);
    measure("the same, raw events kept", || grid_of(&lines, true).1, rate);
    let least = || {
        let mut sum = 0_u64;
        for line in &lines {
            if let Ok(event) = serde_json::from_str::<Event<'_>>(line)
                && let Ok(place) = LatLng::new(event.data.lat, event.data.lon)
            {
                sum = sum
                    .wrapping_add(u64::from(place.to_cell(Resolution::Nine)))
                    .wrapping_add(event.id.len() as u64);
            }
        }
        sum
    };
    let crates = measure("serde_json and h3o alone", least, rate);
    println!(
        "ours takes {:.2} times as long as the crates alone",
        ours.as_secs_f64() / crates.as_secs_f64()
    );

    let cores = std::thread::available_parallelism()?.get();
    let share = lines.len().div_ceil(cores);
    let on_all_cores = || {
        std::thread::scope(|scope| {
            let parts: Vec<_> = lines
                .chunks(share)
                .map(|part| scope.spawn(|| grid_of(part, false).1))
                .collect();
            parts
                .into_iter()
                .map(|part| part.join().unwrap_or_default())
                .sum::<u64>()
        })
    };
    if on_all_cores() != counted {
        return Err("the threads together accept other events than one".into());
    }
    let ours = measure(
        &format!("decode, edge, apply, publish on {cores} threads"),
        on_all_cores,
        rate,
    );
    beside_clickhouse(&lines, ours)
}

fn beside_clickhouse(lines: &[String], ours: Duration) -> Outcome<()> {
    let Ok(python) = std::env::var("RISKGRID_PYTHON") else {
        println!("SKIPPED ClickHouse: RISKGRID_PYTHON names no Python with benches/others/requirements.txt");
        return Ok(());
    };
    let mut file = tempfile::Builder::new().suffix(".ndjson").tempfile()?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/others/ndjson.py"))
        .arg(file.path())
        .arg(RUNS.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("ndjson.py failed".into());
    }
    let theirs: Answered = serde_json::from_slice(&output.stdout)?;
    if theirs.events != lines.len() {
        return Err(format!("ClickHouse counts {} events of {}", theirs.events, lines.len()).into());
    }
    let times = theirs.times.into_iter().map(Duration::from_secs_f64).collect();
    let name = format!("ClickHouse {} to {} rows", theirs.version, theirs.rows);
    let theirs = print_times(&name, times, |time| {
        format!("{:.0} events/s", lines.len() as f64 / time.as_secs_f64())
    });
    println!(
        "ClickHouse takes {:.2} times as long as ours",
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}
