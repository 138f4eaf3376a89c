//! How long a restart takes after `kill -9`: from the start of the process until SQL over HTTP first gives the right
//! total, by the size of the checkpoint; the files are in the page cache. Events are spread over a day, so that nearly
//! each makes a row of its own; all are in the checkpoint, and none is read again from the journal.
//!
//! Beside it the same files read with `std::fs`, without looking at what is in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riskgrid_benches::server::Server;
use riskgrid_benches::{Outcome, events_wanted, measure, over_a_day, print_times};
use riskgrid_fixtures::load::Truth;
use serde_json::Value;

const EVENTS: [u64; 2] = [1_000_000, 5_000_000];
const SENSORS: usize = 20_000;
const RUNS: usize = 7;

#[tokio::main]
async fn main() -> Outcome<()> {
    let wanted = events_wanted(0)?;
    let sizes = if wanted == 0 {
        EVENTS.to_vec()
    } else {
        vec![wanted]
    };
    for events in sizes {
        restart(events).await?;
    }
    Ok(())
}

async fn restart(events: u64) -> Outcome<()> {
    let mut server = Server::new("")?;
    server.start()?;
    let truth = server.fill(&over_a_day(events, SENSORS)).await?;
    let rows = server.sql("SELECT count(*) FROM cells").await?;
    // An orderly stop writes the last checkpoint; what is timed are starts after kill -9.
    server.stop()?;
    server.start()?;
    server.holds(&truth).await?;
    server.kill()?;
    let files = checkpoint_files(&server.data_dir().join("checkpoints"))?;
    let bytes = read_all(&files)?;
    println!(
        "{events} events, {} cell-buckets, a checkpoint of {:.1} MB in {} files",
        rows[0][0],
        bytes as f64 / 1e6,
        files.len()
    );
    let (mut serving, mut answering) = (Vec::new(), Vec::new());
    let mut processor = Duration::ZERO;
    for _ in 0..RUNS {
        let (served, answered) = start(&mut server, &truth).await?;
        processor += server.processor_time()?;
        serving.push(served);
        answering.push(answered);
        server.kill()?;
    }
    let rate = |time: Duration| format!("{:.0} MB/s", bytes as f64 / 1e6 / time.as_secs_f64());
    print_times("start until it serves", serving, rate);
    let ours = print_times("start until the first right answer", answering, rate);
    println!(
        "  processor time of a start and its answer {:.2?}",
        processor / RUNS as u32
    );
    let least = measure("the same files, std::fs alone", || read_all(&files).ok(), rate);
    println!(
        "ours takes {:.1} times as long as reading",
        ours.as_secs_f64() / least.as_secs_f64()
    );
    Ok(())
}

/// Starts the process, and gives the times until it serves and until the total is right.
async fn start(server: &mut Server, truth: &Truth) -> Outcome<(Duration, Duration)> {
    let began = Instant::now();
    server.start()?;
    let served = began.elapsed();
    let sum = server.sql("SELECT sum(count) FROM cells").await?;
    let answered = began.elapsed();
    let right = truth.accepted() - truth.news;
    if sum[0][0] != right {
        return Err(format!("the first answer after a restart is {sum}, right is {right}").into());
    }
    Ok((served, answered))
}

/// The files that the newest manifest of each partition names.
fn checkpoint_files(checkpoints: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(checkpoints)? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        let mut manifests = Vec::new();
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            if path.to_string_lossy().ends_with(".manifest.json") {
                manifests.push(path);
            }
        }
        // Names sort by epoch, then by number.
        let Some(newest) = manifests.into_iter().max() else {
            // The catalogue lies here too.
            continue;
        };
        let manifest: Value = serde_json::from_slice(&fs::read(newest)?)?;
        let steps = manifest["steps"].as_array().into_iter().flatten();
        for file in steps.flat_map(|step| step["files"].as_array().into_iter().flatten()) {
            files.push(folder.join(file["name"].as_str().ok_or("a file without a name")?));
        }
    }
    if files.is_empty() {
        return Err("there is no checkpoint".into());
    }
    Ok(files)
}

fn read_all(files: &[PathBuf]) -> Outcome<usize> {
    let mut bytes = 0;
    for file in files {
        bytes += std::hint::black_box(fs::read(file)?).len();
    }
    Ok(bytes)
}
