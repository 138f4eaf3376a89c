//! Whether the server stays within its memory while 20 million events come by HTTP, spread over a day of event time, so
//! that nearly each would be a row of its own: `grid.memory` makes the past coarser; raw events, event hashes and reports
//! have limits of their own. Everything must still be counted.
//!
//! More than the budgets and what a server without events may take is an error.

use riskgrid_benches::server::Server;
use riskgrid_benches::{Outcome, events_wanted, over_a_day};

const EVENTS: u64 = 20_000_000;
const SENSORS: usize = 20_000;
const MEBIBYTE: usize = 1 << 20;
const GRID: usize = 256 * MEBIBYTE;
const RAW_EVENTS: usize = 64 * MEBIBYTE;
const HASHES: usize = 256 * MEBIBYTE;
const REPORTS: usize = 200_000;
/// Code, buffers, sensors and reports, open buckets, and what readers and a checkpoint hold of the past a little longer.
const BESIDE: usize = 1024 * MEBIBYTE;

#[tokio::main]
async fn main() -> Outcome<()> {
    let events = events_wanted(EVENTS)?;
    let mut server = Server::new(&format!(
        "[grid]\nmemory = \"{}MiB\"\nevents_bytes = \"{}MiB\"\nmax_reports = {REPORTS}\n[edge]\ndedup_bytes = \"{}MiB\"\n",
        GRID / MEBIBYTE,
        RAW_EVENTS / MEBIBYTE,
        HASHES / MEBIBYTE,
    ))?;
    server.start()?;
    let empty = server.peak_bytes()?;
    server.fill(&over_a_day(events, SENSORS)).await?;
    let peak = server.peak_bytes()?;
    let budget = GRID + RAW_EVENTS + HASHES + BESIDE;
    let mebibytes = |bytes: usize| bytes / MEBIBYTE;
    println!(
        "{events} events: at most {} MiB resident, {} MiB before the first; the budgets are {} MiB and {} MiB beside them",
        mebibytes(peak),
        mebibytes(empty),
        mebibytes(budget - BESIDE),
        mebibytes(BESIDE),
    );
    if peak > budget {
        return Err(format!("more than {} MiB", mebibytes(budget)).into());
    }
    Ok(())
}
