//! How many events a second go from JSON in memory to the grid: decode, edge, apply, publish; one thread.
//! Beside it the least that the crates could do for it: `serde_json` into a borrowed struct, and `h3o` for the cell.

use std::borrow::Cow;

use h3o::{LatLng, Resolution};
use riskgrid_benches::{grid_of, lines, measure};
use serde::Deserialize;

const EVENTS: u64 = 500_000;
const SENSORS: usize = 5_000;

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

fn main() {
    let lines = lines(EVENTS, SENSORS);
    let bytes: usize = lines.iter().map(String::len).sum();
    println!("{} events of {} bytes", lines.len(), bytes / lines.len());
    let rate = |time: std::time::Duration| format!("{:.0} events/s", lines.len() as f64 / time.as_secs_f64());
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
}
