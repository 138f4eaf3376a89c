//! The crash test: `riskgrid generate` sends events with trouble while the server is killed again and again at random
//! moments. In the end each cell and minute, each total and each refused line must be what the generator says.
//! The tests of the journal and of Kafka both run it.

mod plan;
mod truth;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use plan::Plan;
use plan::{Kill, Moment};
pub(crate) use truth::{Counts, Truth, pairs};

/// How long any step may take; generous, for busy machines.
const DEADLINE: Duration = Duration::from_mins(4);
/// Everything is sent, and nothing was read for so long: nothing more will come. A reader that stands still is noticed and
/// made anew well before.
const STANDSTILL: Duration = Duration::from_secs(90);
/// Short, so that a kill comes soon after what it waits for.
const PAUSE: Duration = Duration::from_millis(10);
/// A checkpoint may be quicker than one can look; then the kill comes between two.
const WATCH_FOR_CHECKPOINT: Duration = Duration::from_secs(3);

/// The server that is killed.
pub(crate) trait Victim {
    /// Starts the process and does not wait for it.
    fn spawn(&mut self);
    /// Waits until requests are answered.
    async fn ready(&mut self);
    /// kill -9.
    fn kill(&mut self);
    /// The page at a path; none when it is not answered.
    async fn page(&self, path: &str) -> Option<String>;
    /// The answer to a query as CSV.
    async fn csv(&self, sql: &str) -> String;
    /// The folder of checkpoints.
    fn checkpoints(&self) -> PathBuf;
}

/// The program under test: the one built with the tests, or that which `RISKGRID_BIN` names.
pub(crate) fn binary() -> PathBuf {
    match std::env::var_os("RISKGRID_BIN").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => env!("CARGO_BIN_EXE_riskgrid").into(),
    }
}

/// Sends all events of the plan to `target`, kills as the plan says, and returns the truth once everything is sent and read.
pub(crate) async fn run(victim: &mut impl Victim, plan: &Plan, target: &[&str]) -> Truth {
    println!("{plan}");
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut start_up = start(victim).await;
    let mut sender = Sender::start(plan, target, folder.path());
    let mut in_checkpoints = 0;
    let mut while_sending = 0;
    for kill in &plan.kills {
        wait_read(victim, &mut sender, kill.after).await;
        while_sending += u32::from(sender.is_running());
        in_checkpoints += u32::from(strike(victim, kill, start_up).await);
        start_up = start(victim).await;
    }
    println!(
        "{} kills, {while_sending} of them while events were sent, {in_checkpoints} inside a checkpoint, in {:?}",
        plan.kills.len(),
        began.elapsed()
    );
    sender.finishes().await;
    let truth = Truth::read(folder.path());
    everything_is_read(victim, &truth).await;
    truth
}

/// Waits for as many accepted events and duplicates as there must be; more accepted ones, or an end before, fail at once.
async fn everything_is_read(victim: &impl Victim, truth: &Truth) {
    let mut last = (Counts::default(), Instant::now());
    wait("the rest is read", async || {
        let counts = Counts::of(&victim.page("/metrics").await?);
        let (accepted, duplicate) = (truth.accepted, truth.duplicate);
        let expected = format!("{counts:?}, expected accepted: {accepted}, duplicate: {duplicate}");
        assert!(counts.accepted <= accepted, "counted twice: {expected}");
        if counts.accepted == accepted && counts.duplicate >= duplicate {
            return Some(());
        }
        if counts != last.0 {
            last = (counts, Instant::now());
        }
        assert!(last.1.elapsed() < STANDSTILL, "nothing more comes: {expected}");
        None
    })
    .await;
}

/// Kills; tells whether it was inside a checkpoint.
async fn strike(victim: &mut impl Victim, kill: &Kill, start_up: Duration) -> bool {
    match kill.moment {
        Moment::Reading => {
            victim.kill();
            false
        }
        Moment::Checkpoint => {
            let inside = a_checkpoint_is_written(&victim.checkpoints()).await;
            victim.kill();
            inside
        }
        Moment::StartUp(share) => {
            victim.kill();
            victim.spawn();
            // No condition to wait for: any moment of the start will do.
            tokio::time::sleep(start_up.mul_f64(share)).await;
            victim.kill();
            false
        }
    }
}

async fn start(victim: &mut impl Victim) -> Duration {
    let began = Instant::now();
    victim.spawn();
    victim.ready().await;
    began.elapsed()
}

/// Waits until so many events are read; when everything is sent and nothing more comes, it fails.
async fn wait_read(victim: &impl Victim, sender: &mut Sender, events: u64) {
    let mut last = (Counts::default(), Instant::now());
    wait(&format!("{events} events are read"), async || {
        let counts = Counts::of(&victim.page("/metrics").await?);
        if counts.read() >= events {
            return Some(());
        }
        if sender.is_running() || counts != last.0 {
            last = (counts, Instant::now());
        }
        assert!(
            last.1.elapsed() < STANDSTILL,
            "nothing more comes before {events} events are read: {:?}",
            last.0
        );
        None
    })
    .await;
}

/// Waits for the state file of a checkpoint whose manifest is not there yet.
async fn a_checkpoint_is_written(folder: &Path) -> bool {
    let is_state = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "state");
    let before = files(folder);
    let began = Instant::now();
    while began.elapsed() < WATCH_FOR_CHECKPOINT {
        let now = files(folder);
        let mut new = now.iter().filter(|path| is_state(path) && !before.contains(path));
        if new.any(|state| !now.contains(&manifest_of(state))) {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// The manifest that names a state file of the same checkpoint: `epoch-number-file.state`.
fn manifest_of(state: &Path) -> PathBuf {
    let stem = state.file_stem().unwrap_or_default().to_string_lossy();
    let checkpoint = stem.rsplit_once('-').map_or(&*stem, |(checkpoint, _)| checkpoint);
    state.with_file_name(format!("{checkpoint}.manifest.json"))
}

/// The files in the folders of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    entries(folder)
        .iter()
        .flat_map(|folder| entries(folder))
        .collect()
}

async fn wait(what: &str, mut look: impl AsyncFnMut() -> Option<()>) {
    let began = Instant::now();
    while look().await.is_none() {
        assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// `riskgrid generate`, which sends again what the server did not acknowledge.
struct Sender {
    process: Child,
    log: PathBuf,
}

impl Sender {
    fn start(plan: &Plan, target: &[&str], folder: &Path) -> Self {
        let log = folder.join("generate.log");
        let output = std::fs::File::create(&log).unwrap();
        let process = Command::new(binary())
            .arg("generate")
            .args(target)
            .args(plan.flags())
            .arg("--expect")
            .arg(folder.join(Truth::TOTALS))
            .arg("--expect-cells")
            .arg(folder.join(Truth::CELLS))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { process, log }
    }

    /// Panics when it has failed.
    fn is_running(&mut self) -> bool {
        match self.process.try_wait().unwrap() {
            None => true,
            Some(status) => {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                assert!(status.success(), "generate ended with {status}: {said}");
                false
            }
        }
    }

    async fn finishes(&mut self) {
        wait("generate has sent everything", async || {
            (!self.is_running()).then_some(())
        })
        .await;
        println!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
