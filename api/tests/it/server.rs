//! A server in a folder of its own that is started, stopped and killed; requests to it; skips.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::crash_rig;
use crate::small_disk::SmallDisk;

/// How long anything may take before a test gives up; generous, for busy machines.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Long enough for the events of tests: none expires while one runs.
const SETTINGS: &str = "[webhooks]\nallow_private = true\n[storage]\ncheckpoint_every = \"1s\"\n";

/// A running `riskgrid serve`, or one that is about to be started again.
pub(crate) struct Server {
    folder: TempDir,
    /// Where its data are, when not in the folder.
    disk: Option<SmallDisk>,
    process: Option<Child>,
    /// What it prints.
    lines: Option<mpsc::Receiver<String>>,
    /// Where it listens; port 0 is another one at each start.
    port: u16,
    checkpoint_every: String,
    /// Variables of its next start.
    environment: Vec<(&'static str, String)>,
    /// Its address, as `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// For requests to it.
    pub(crate) client: Client,
}

/// Exit status of a start that the machine or the state prevents.
pub(crate) const CANNOT: i32 = 1;
/// Exit status of a start that the command line or the configuration prevents.
pub(crate) const WRONG_CONFIGURATION: i32 = 2;

/// A start that was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The exit status.
    pub(crate) status: i32,
    /// What it said.
    pub(crate) said: String,
}

impl Server {
    /// Starts one with an empty journal.
    pub(crate) fn start() -> Self {
        let mut server = Self::not_started();
        server.restart();
        server
    }

    /// One with an empty journal; nothing runs yet.
    pub(crate) fn not_started() -> Self {
        // Often, so that a kill lands after some checkpoint and before the next.
        Self::new(0, "100ms", None, "")
    }

    /// Starts one with its data on a disk of its own. `storage` is added to that section.
    pub(crate) fn start_on(disk: Option<SmallDisk>, storage: &str) -> Self {
        let mut server = Self::new(0, "100ms", disk, storage);
        server.restart();
        server
    }

    /// One that will be at the same address after each start; nothing runs yet.
    pub(crate) fn new_on_a_port_of_its_own(checkpoint_every: &str) -> Self {
        // Below those that systems give to others meanwhile.
        let first = 20_000 + (std::process::id() % 10_000) as u16;
        let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        Self::new((first..32_000).find(is_free).unwrap(), checkpoint_every, None, "")
    }

    fn new(port: u16, checkpoint_every: &str, disk: Option<SmallDisk>, storage: &str) -> Self {
        let server = Self {
            folder: tempfile::tempdir().unwrap(),
            disk,
            process: None,
            lines: None,
            port,
            checkpoint_every: checkpoint_every.to_owned(),
            environment: Vec::new(),
            url: format!("http://127.0.0.1:{port}"),
            client: client(),
        };
        server.configure(storage);
        server
    }

    /// Sets a variable of the environment of its next starts.
    #[allow(dead_code, reason = "asked by the hostile tests only")]
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    /// Waits until its process has ended by itself.
    #[allow(dead_code, reason = "asked by the hostile tests only")]
    pub(crate) async fn ends(&mut self) {
        let mut process = self.process.take().expect("it was started");
        eventually("the process ends", async || process.try_wait().unwrap()).await;
    }

    /// Writes the configuration that the next start reads. `storage` is added to that section; sections may follow.
    pub(crate) fn configure(&self, storage: &str) {
        std::fs::write(self.configuration(), format!("{SETTINGS}{storage}\n")).unwrap();
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("riskgrid.toml")
    }

    /// The id of its process.
    #[allow(dead_code, reason = "asked by the hostile tests only")]
    pub(crate) fn process_id(&self) -> u32 {
        self.process.as_ref().expect("it was started").id()
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs another verb of the program, which asks this server.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(crash_rig::binary())
            .args(arguments)
            .args(["--url", &self.url])
            .output()
            .unwrap()
    }

    /// Runs another verb of the program on the data of this server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(crash_rig::binary())
            .args(arguments)
            .arg("--config")
            .arg(self.configuration())
            .arg("--data-dir")
            .arg(self.data())
            .output()
            .unwrap()
    }

    /// Starts it again on the same data.
    pub(crate) fn restart(&mut self) {
        self.spawn();
        self.serves();
    }

    /// Starts the process.
    pub(crate) fn spawn(&mut self) {
        let (process, lines) = spawn(&mut self.command());
        self.process = Some(process);
        self.lines = Some(lines);
    }

    /// Waits until it serves.
    pub(crate) fn serves(&mut self) {
        let lines = self.lines.take().expect("it was started");
        let line = lines
            .recv_timeout(DEADLINE)
            .expect("the server says where it serves");
        line.strip_prefix("riskgrid serves ")
            .expect(&line)
            .clone_into(&mut self.url);
    }

    /// Starts it again when it must refuse to, with this exit status; what it says about it.
    pub(crate) fn is_refused(&mut self, status: i32) -> String {
        match self.restart_or_refusal() {
            Err(refusal) => {
                assert_eq!(refusal.status, status, "{}", refusal.said);
                refusal.said
            }
            Ok(()) => panic!("it serves: {}", self.said()),
        }
    }

    /// Starts it again; what it says when it refuses to.
    pub(crate) fn restart_or_refusal(&mut self) -> Result<(), Refusal> {
        let mut command = self.command();
        command.stderr(std::fs::File::create(self.log()).unwrap());
        let (mut process, lines) = spawn(&mut command);
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => {
                line.strip_prefix("riskgrid serves ")
                    .expect(&line)
                    .clone_into(&mut self.url);
                self.process = Some(process);
                Ok(())
            }
            Err(end) => {
                // Ended already when its output has.
                process.kill().unwrap();
                let status = process.wait().unwrap();
                let said = self.said();
                assert_eq!(end, mpsc::RecvTimeoutError::Disconnected, "{said}");
                let Some(status) = status.code() else {
                    panic!("{status} {said}");
                };
                Err(Refusal { status, said })
            }
        }
    }

    /// What the process has logged that [`restart_or_refusal`](Self::restart_or_refusal) started.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn command(&self) -> Command {
        let program = crash_rig::binary();
        let (mut command, data) = match &self.disk {
            Some(disk) => (disk.command(&program), disk.inside().join("data")),
            None => (Command::new(program), self.data()),
        };
        command
            .args([
                "serve",
                "--listen",
                &format!("127.0.0.1:{}", self.port),
                "--config",
            ])
            .arg(self.configuration())
            .arg("--data-dir")
            .arg(data)
            .env("RISKGRID_STORAGE__CHECKPOINT_EVERY", &self.checkpoint_every)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The folder of its data.
    pub(crate) fn data(&self) -> PathBuf {
        let folder = self.disk.as_ref().map(SmallDisk::outside);
        folder
            .unwrap_or_else(|| self.folder.path().to_owned())
            .join("data")
    }

    /// SIGKILL: nothing is said goodbye to.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// SIGTERM; it must end well.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        terminate(&process);
        let status = eventually("the server ends", async || process.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }

    /// Posts a body of events.
    pub(crate) async fn post(&self, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .client
            .post(format!("{}/v1/events", self.url))
            .header("content-type", media_type)
            .body(body);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Posts JSON to any path.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).json(body);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Gets any path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(
            self.client
                .get(format!("{}{path}", self.url))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Waits until this run of the server has written a checkpoint.
    pub(crate) async fn writes_a_checkpoint(&self) {
        eventually("a checkpoint", async || {
            let page = self
                .client
                .get(format!("{}/metrics", self.url))
                .send()
                .await
                .ok()?;
            let page = page.text().await.ok()?;
            let age = page.split_once("\nriskgrid_checkpoint_age_seconds ")?.1;
            (!age.starts_with("NaN")).then_some(())
        })
        .await;
    }

    /// The rows of a query that must succeed.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        let answer = self.post_json("/v1/sql", &json!({ "sql": sql })).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        answer.body["rows"].as_array().unwrap().clone()
    }

    /// Asks until the rows are as expected; what was last seen is told when they never are.
    pub(crate) async fn rows_become(&self, sql: &str, expected: &Value) {
        let start = Instant::now();
        loop {
            let rows = Value::Array(self.rows(sql).await);
            if rows == *expected {
                return;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "{sql} gives {rows}, expected {expected}"
            );
            pause().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        Self {
            status: response.status().as_u16(),
            media_type: header("content-type").unwrap_or_default().to_owned(),
            retry_after: header("retry-after").map(|seconds| seconds.parse().unwrap()),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        }
    }
}

/// A client that no proxy is between.
pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap();
    });
    Client::builder().no_proxy().timeout(DEADLINE).build().unwrap()
}

/// Starts a program; the lines it prints come through the channel.
pub(crate) fn spawn(command: &mut Command) -> (Child, mpsc::Receiver<String>) {
    let mut process = command
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // The pipe is read to its end even when nobody listens, or the program would stall.
            let _ = sender.send(line);
        }
    });
    (process, lines)
}

/// Asks a process to end, as an operator does.
pub(crate) fn terminate(process: &Child) {
    let status = Command::new("kill")
        .args(["-TERM", &process.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        pause().await;
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// The program that an environment variable names; without it the test is skipped, and says so.
pub(crate) fn program(variable: &str) -> Option<String> {
    let path = std::env::var(variable).unwrap_or_default();
    if !path.is_empty() && Path::new(&path).exists() {
        return Some(path);
    }
    skip(&format!("{variable} names no program"));
    None
}

/// Says that a test is skipped.
pub(crate) fn skip(reason: &str) {
    let line = format!("SKIPPED: {reason}");
    println!("{line}");
    if let Ok(file) = std::env::var("RISKGRID_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// A file of the fixtures.
pub(crate) fn fixture(path: &str) -> String {
    format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// An observation of the water level at the invented city, `seconds` before now.
pub(crate) fn reading(id: &str, sensor: &str, value: f64, seconds: i64) -> Value {
    reading_at(
        id,
        sensor,
        value,
        Utc::now() - chrono::TimeDelta::seconds(seconds),
    )
}

/// An observation of the water level at the invented city.
pub(crate) fn reading_at(id: &str, sensor: &str, value: f64, time: DateTime<Utc>) -> Value {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    json!({"specversion": "1.0", "id": id, "source": format!("//test/{sensor}"), "type": "riskgrid.observation.v1",
        "time": time.to_rfc3339(), "data": {"sensor": sensor, "property": "water_level", "value": value, "unit": "m",
        "lon": lon, "lat": lat}})
}
