//! `riskgrid serve` as a process of its own: the release binary, on a free port and in a folder of its own, asked over
//! HTTP, and killed in the end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use riskgrid_fixtures::load::{self, Truth};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Outcome;

/// How long anything may take before a bench gives up.
const DEADLINE: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of one request when a grid is filled.
const LINES: usize = 5_000;
/// Linux counts processor time in hundredths of a second, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// A server that runs, or one that is about to be started.
pub struct Server {
    folder: TempDir,
    /// For requests to it; connections are kept.
    pub client: Client,
    process: Option<Child>,
    url: String,
}

/// What riskgrid says of the events that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCounts {
    /// Those that count.
    pub accepted: u64,
    /// Those that were there before.
    pub duplicate: u64,
    /// Those that went to the dead letters.
    pub refused: u64,
}

impl EventCounts {
    /// All of them.
    pub const fn read(self) -> u64 {
        self.accepted + self.duplicate + self.refused
    }
}

impl Server {
    /// An empty folder with `settings` (TOML) in it; nothing runs yet.
    pub fn new(settings: &str) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("riskgrid-bench-").tempdir()?;
        std::fs::write(folder.path().join("riskgrid.toml"), settings)?;
        Ok(Self {
            folder,
            client: client()?,
            process: None,
            url: String::new(),
        })
    }

    /// Starts it; returns when it says where it serves.
    pub fn start(&mut self) -> Outcome<()> {
        let log = self.folder.path().join("log");
        let mut process = Command::new(binary()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(self.folder.path().join("riskgrid.toml"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let output = process.stdout.take();
        self.process = Some(process);
        let (sender, first_line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output?).lines();
            sender.send(lines.next()?.ok()?).ok()?;
            // Read to its end, or the program could not print.
            lines.map_while(Result::ok).last()
        });
        let line = first_line.recv_timeout(DEADLINE).unwrap_or_default();
        let Some(url) = line.strip_prefix("riskgrid serves ") else {
            return Err(format!(
                "riskgrid does not serve; its log:\n{}",
                std::fs::read_to_string(log)?
            )
            .into());
        };
        url.trim().clone_into(&mut self.url);
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// SIGTERM: returns when it has written its last checkpoint and ended.
    pub fn stop(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            Command::new("kill")
                .args(["-TERM", &process.id().to_string()])
                .status()?;
            let status = process.wait()?;
            if !status.success() {
                return Err(format!("riskgrid ended with {status}").into());
            }
        }
        Ok(())
    }

    /// Where its state is.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The address of a path of it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Posts lines; all must be taken.
    pub async fn post_lines(&self, lines: String, count: usize) -> Outcome<()> {
        let request = self
            .client
            .post(self.url("/v1/events"))
            .header("content-type", "application/x-ndjson")
            .body(lines);
        let answer: Value = succeeded(request.send().await?).await?.json().await?;
        if answer["accepted"] == count {
            Ok(())
        } else {
            Err(format!("of {count} events not all are accepted: {answer}").into())
        }
    }

    /// Posts all lines of a load in order, and waits until the grid has them. The counts are then those of the truth.
    pub async fn fill(&self, options: &load::Options) -> Outcome<Truth> {
        let mut lines = load::generate(options);
        loop {
            let (mut body, mut count) = (String::new(), 0);
            for line in lines.by_ref().take(LINES) {
                body.push_str(&line.json);
                body.push('\n');
                count += 1;
            }
            if count == 0 {
                break;
            }
            self.post_lines(body, count).await?;
        }
        let truth = lines.into_truth();
        eventually("the events are in the grid", async || {
            let counts = self.events().await?;
            Ok((counts.read() >= truth.lines).then_some(()))
        })
        .await?;
        self.holds(&truth).await?;
        Ok(truth)
    }

    /// Whether the server's totals are those of the truth; an error where they are not.
    pub async fn holds(&self, truth: &Truth) -> Outcome<()> {
        let counts = self.events().await?;
        let expected = EventCounts {
            accepted: truth.accepted(),
            duplicate: truth.duplicates,
            refused: truth.refused_total(),
        };
        let sum = self.sql("SELECT sum(count) FROM cells").await?;
        let in_cells = truth.accepted() - truth.news;
        if counts == expected && sum[0][0] == in_cells {
            Ok(())
        } else {
            Err(
                format!("the grid has {counts:?} and {sum} in cells; right are {expected:?} and {in_cells}")
                    .into(),
            )
        }
    }

    /// The rows of a query.
    pub async fn sql(&self, sql: &str) -> Outcome<Value> {
        let request = self.client.post(self.url("/v1/sql")).json(&json!({ "sql": sql }));
        let mut answer: Value = succeeded(request.send().await?).await?.json().await?;
        Ok(answer["rows"].take())
    }

    /// What `/metrics` says of events.
    pub async fn events(&self) -> Outcome<EventCounts> {
        let page = succeeded(self.client.get(self.url("/metrics")).send().await?)
            .await?
            .text()
            .await?;
        let value = |result: &str| -> Outcome<u64> {
            let name = format!("riskgrid_events_total{{result=\"{result}\"}} ");
            let line = page.lines().find_map(|line| line.strip_prefix(&name));
            Ok(line.ok_or_else(|| format!("no {name}in /metrics"))?.parse()?)
        };
        Ok(EventCounts {
            accepted: value("accepted")?,
            duplicate: value("duplicate")?,
            refused: value("refused")?,
        })
    }

    /// The processor time that it has used, by `/proc`: there on Linux only.
    pub fn processor_time(&self) -> Outcome<Duration> {
        let process = self.process.as_ref().ok_or("it does not run")?;
        processor_time(&process.id().to_string())
    }

    /// The most resident memory that it has had, in bytes.
    pub fn peak_bytes(&self) -> Outcome<usize> {
        let process = self.process.as_ref().ok_or("it does not run")?;
        memory_of(&process.id().to_string(), "VmHWM:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// The processor time of a process, or of this one (`self`).
pub fn processor_time(process: &str) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the program's name in brackets; user and system time are the 14th and 15th.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let mut ticks = 0;
    for field in after_name.split(' ').skip(11).take(2) {
        ticks += field.parse::<u32>()?;
    }
    Ok(TICK * ticks)
}

/// What the kernel says of the memory of a process, or of this one (`self`), in bytes: `VmRSS:`, `VmHWM:`, …
pub fn memory_of(process: &str, what: &str) -> Outcome<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes = kibibytes.ok_or_else(|| format!("the kernel tells no {what}"))?;
    Ok(kibibytes.parse::<usize>()? * 1024)
}

/// A client that no proxy is between.
pub fn client() -> Outcome<Client> {
    // An error means that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::builder().no_proxy().timeout(DEADLINE).build()?)
}

/// The answer, where its status is one of success; its text as the error else.
pub async fn succeeded(answer: Response) -> Outcome<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    Err(format!(
        "{} answers {status}: {}",
        answer.url().clone(),
        answer.text().await?
    )
    .into())
}

/// Looks until there is something to see.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("not within {DEADLINE:?}: {what}").into())
}

/// The release binary: benches lie in `deps` beside it.
fn binary() -> Outcome<PathBuf> {
    let bench = std::env::current_exe()?;
    let folder = bench.ancestors().nth(2).ok_or("the bench is in no folder")?;
    let path = folder.join("riskgrid");
    if path.exists() {
        return Ok(path);
    }
    Err(format!(
        "{} is missing; make it with `cargo build --release`",
        path.display()
    )
    .into())
}
