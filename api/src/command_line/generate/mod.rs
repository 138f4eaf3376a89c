//! `riskgrid generate`: synthetic load with its expected totals, to Kafka, to a server, or into a file.

mod expectation;
mod feeder;
mod file;
mod http;
mod kafka;
mod plan;
mod target;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::{VerbResult, asked_to_stop};
use feeder::Feeder;
use plan::LoadArguments;
use target::{Target, TargetArguments};

/// How long what is under way may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  # 100 000 clean events of the last hour, to a server
  riskgrid generate --http http://127.0.0.1:8080

  # a million with trouble: 5 % late, 2 % sent twice, 1 % bad; what must come out goes to a file
  riskgrid generate --http http://127.0.0.1:8080 --events 1000000 --late 0.05 --duplicates 0.02 --bad 0.01 --expect truth.json

  # live, to Kafka: 2 000 a second for five minutes, ten times as many in the first 5 s of each minute
  riskgrid generate --kafka 127.0.0.1:9092 --events 600000 --rate 2000 --burst-every 60s

  # look at some; make a day of them for later
  riskgrid generate --file - --events 3
  riskgrid generate --file day.ndjson.gz --events 5000000 --span 1d --start 2026-09-14T00:00:00Z

  # compare
  riskgrid sql \"SELECT layer, sum(count), sum(sum) FROM cells GROUP BY layer ORDER BY layer\"
  riskgrid sql \"SELECT reason, count(*) FROM dead_letters GROUP BY reason ORDER BY reason\"

The totals hold for a server that was empty, or whose newest event is not newer than --start: what is a day older than
the newest is refused as too_late. They are exact for any number of Kafka partitions.";

/// What to make and where to send it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GenerateArguments {
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    load: LoadArguments,
    /// Write the expected totals as JSON: read, accepted, duplicate, refused by reason, count and sum of each layer.
    #[arg(long, value_name = "FILE", help_heading = "What must come out")]
    expect: Option<PathBuf>,
    /// Write the expected count and sum of each layer, cell (H3 resolution 9) and minute as CSV.
    #[arg(long, value_name = "FILE", help_heading = "What must come out")]
    expect_cells: Option<PathBuf>,
}

pub(super) async fn run(arguments: GenerateArguments) -> VerbResult {
    let now = chrono::Utc::now().timestamp_micros();
    let mut plan = arguments.load.plan(now)?;
    if !arguments.target.is_file() {
        plan.must_not_be_in_future(now)?;
    }
    if arguments.expect_cells.is_some() {
        plan.options.cells = Some(expectation::RESOLUTION);
    }
    // Opened first, so that a path that cannot be written is told before anything is sent.
    let expect = arguments.expect.as_deref().map(create).transpose()?;
    let expect_cells = arguments.expect_cells.as_deref().map(create).transpose()?;

    let bar = ProgressBar::new(plan.options.lines);
    bar.set_style(
        ProgressStyle::with_template("[{wide_bar}] {human_pos} of {human_len}, {per_sec}, {eta} {msg}")?
            .progress_chars("=> "),
    );
    let mut target = Target::open(&arguments.target, &bar).await?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        // Without signals nobody can ask; the load then runs to its end.
        if asked_to_stop().await.is_ok() {
            let _ = stop.send(true);
        }
    });
    let began = Instant::now();
    let mut feeder = Feeder::new(&plan, target.lines_at_once(), stopped.clone());
    let sent = send_all(&mut target, &mut feeder, stopped, &bar).await;
    bar.finish_and_clear();
    if sent? == Reached::Nobody {
        // Whoever read our lines has seen enough.
        return Ok(());
    }
    target.finish()?;
    let took = began.elapsed();

    let truth = feeder.into_truth();
    if let Some(mut file) = expect {
        serde_json::to_writer_pretty(&mut file, &expectation::as_json(&truth, &plan))?;
        file.write_all(b"\n")?;
        file.flush()?;
    }
    if let Some(mut file) = expect_cells {
        expectation::write_cells(&truth, &mut file)?;
        file.flush()?;
    }
    let mut text = expectation::as_text(&truth, took);
    text.push_str(&target.remarks());
    if arguments.target.is_standard_output() {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
    Ok(())
}

/// Whether all lines were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    All,
    /// The reader of standard output went away.
    Nobody,
}

/// Sends batch after batch; the next is made while one is under way.
async fn send_all(
    target: &mut Target,
    feeder: &mut Feeder,
    stopped: watch::Receiver<bool>,
    bar: &ProgressBar,
) -> Result<Reached, Box<dyn std::error::Error + Send + Sync>> {
    let mut batch = feeder.next().await;
    while let Some(lines) = batch {
        let count = lines.len() as u64;
        let (sent, next) = tokio::select! {
            both = async { tokio::join!(target.send(lines), feeder.next()) } => both,
            () = grace_is_over(stopped.clone()) => {
                return Err("stopped before the last lines were acknowledged; they may have arrived or not".into());
            }
        };
        match sent {
            Ok(()) => {}
            Err(error) if target::is_broken_pipe(&*error) => return Ok(Reached::Nobody),
            Err(error) => return Err(error),
        }
        bar.inc(count);
        batch = next;
    }
    Ok(Reached::All)
}

async fn grace_is_over(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_ok() {
        tokio::time::sleep(GRACE).await;
    } else {
        // Nobody is left who could ask.
        std::future::pending::<()>().await;
    }
}

fn create(path: &std::path::Path) -> Result<BufWriter<File>, String> {
    let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufWriter::new(file))
}
