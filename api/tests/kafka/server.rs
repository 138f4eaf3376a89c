//! The built binary as a process that is started, asked, stopped and killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crash_rig;
use crate::topic::unique;

/// How long anything may take before the test gives up.
const DEADLINE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(25);

/// A folder with a configuration and a node's state.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    client: reqwest::Client,
    running: Option<(Child, String)>,
    starts: usize,
}

/// What riskgrid says of the events that it has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    pub(crate) refused: u64,
}

impl Events {
    pub(crate) const fn read(self) -> u64 {
        self.accepted + self.duplicate + self.refused
    }
}

impl Node {
    /// Writes `config`; nothing runs yet.
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("riskgrid-node-")
            .tempdir()
            .expect("a folder");
        std::fs::write(folder.path().join("riskgrid.toml"), config).expect("the configuration is written");
        // Fails only where a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self {
            folder,
            client,
            running: None,
            starts: 0,
        }
    }

    /// Starts the process and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        self.launch().await;
        self.wait_ready().await;
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn launch(&mut self) {
        self.spawn();
        self.serves().await;
    }

    /// Starts the process.
    pub(crate) fn spawn(&mut self) {
        self.starts += 1;
        let child = Command::new(crash_rig::binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(self.path("riskgrid.toml"))
            .arg("--data-dir")
            .arg(self.path("data"))
            .stdin(Stdio::null())
            .stdout(File::create(self.output()).expect("a file"))
            .stderr(File::create(self.path(&format!("log-{}", self.starts))).expect("a file"))
            .spawn()
            .expect("the binary runs");
        self.running = Some((child, String::new()));
    }

    /// Waits until it answers.
    pub(crate) async fn serves(&mut self) {
        let began = Instant::now();
        loop {
            let said = std::fs::read_to_string(self.output()).expect("its output");
            if let Some(url) = said
                .lines()
                .find_map(|line| line.strip_prefix("riskgrid serves "))
                && said.ends_with('\n')
            {
                url.trim()
                    .clone_into(&mut self.running.as_mut().expect("it was started").1);
                break;
            }
            self.wait_a_little(began, "it serves").await;
        }
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn wait_ready(&mut self) {
        let began = Instant::now();
        while !self.get("/readyz").await.0.is_success() {
            self.wait_a_little(began, "it is ready").await;
        }
    }

    /// Waits until `/readyz` says that it is not ready, for this reason.
    pub(crate) async fn wait_not_ready(&mut self, reason: &str) {
        let began = Instant::now();
        loop {
            let (status, body) = self.get("/readyz").await;
            let body = String::from_utf8_lossy(&body).into_owned();
            if status == reqwest::StatusCode::SERVICE_UNAVAILABLE && body.contains(reason) {
                return;
            }
            self.wait_a_little(began, &format!("it is not ready: {reason}; it says {body}"))
                .await;
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let (mut child, _) = self.running.take().expect("it runs");
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.running.as_ref().expect("it runs").0.id();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &id.to_string()])
            .status();
        assert!(sent.expect("a shell").success());
    }

    /// SIGTERM, then waits for its end.
    pub(crate) async fn stop(&mut self) {
        let began = Instant::now();
        self.signal("TERM");
        let status: ExitStatus = loop {
            if let Some(status) = self
                .running
                .as_mut()
                .expect("it runs")
                .0
                .try_wait()
                .expect("its status")
            {
                break status;
            }
            assert!(began.elapsed() < DEADLINE, "it does not stop: {}", self.log());
            tokio::time::sleep(PAUSE).await;
        };
        assert!(status.success(), "stopped with {status}: {}", self.log());
        self.running = None;
    }

    /// Waits until as many events are read, and says what became of them.
    pub(crate) async fn wait_read(&mut self, events: u64) -> Events {
        let began = Instant::now();
        loop {
            let read = self.events().await;
            if read.read() >= events {
                return read;
            }
            self.wait_a_little(began, &format!("{events} events are read, not {read:?}"))
                .await;
        }
    }

    /// Asks the same again until the answer is that one.
    pub(crate) async fn wait_sql(&mut self, sql: &str, expected: &Value) {
        let began = Instant::now();
        loop {
            let rows = self.sql(sql).await;
            if rows == *expected {
                return;
            }
            self.wait_a_little(began, &format!("{sql}\nanswers {expected}, not {rows}"))
                .await;
        }
    }

    /// What `/metrics` says of events.
    pub(crate) async fn events(&self) -> Events {
        let page = self.get("/metrics").await.1;
        let page = String::from_utf8(page).expect("text");
        let value = |result: &str| {
            let name = format!("riskgrid_events_total{{result=\"{result}\"}} ");
            let line = page.lines().find_map(|line| line.strip_prefix(&name));
            line.and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("no {name} in {page}"))
        };
        Events {
            accepted: value("accepted"),
            duplicate: value("duplicate"),
            refused: value("refused"),
        }
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = String::from_utf8(self.get("/metrics").await.1).expect("text");
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// How many partitions it shows, and how many there are.
    pub(crate) async fn partitions(&self) -> (usize, usize) {
        let answer = self.client.get(self.url("/v1/layers")).send().await;
        let answer = answer.expect("an answer");
        let header = answer.headers()["riskgrid-partitions"].to_str().expect("text");
        let (have, total) = header.split_once('/').expect("have/total");
        (have.parse().expect("a number"), total.parse().expect("a number"))
    }

    /// The rows of an answer.
    pub(crate) async fn sql(&self, sql: &str) -> Value {
        let answer = self
            .client
            .post(self.url("/v1/sql"))
            .json(&json!({ "sql": sql }))
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let mut body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{sql}: {body}");
        body["rows"].take()
    }

    /// The rows of an answer of two columns, a name and a number.
    pub(crate) async fn numbers(&self, sql: &str) -> BTreeMap<String, u64> {
        let rows = self.sql(sql).await;
        let rows = rows.as_array().expect("rows").iter();
        rows.map(|row| {
            let name = row[0].as_str().unwrap_or_default().to_owned();
            (
                name,
                row[1]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{sql}: {row} holds no number")),
            )
        })
        .collect()
    }

    /// The answer as CSV, with its header line.
    pub(crate) async fn csv(&self, sql: &str) -> String {
        let request = self
            .client
            .post(self.url("/v1/sql"))
            .header("accept", "text/csv")
            .json(&json!({ "sql": sql }));
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.text().await.expect("text");
        assert!(status.is_success(), "{sql}: {body}");
        body
    }

    /// Posts a body of a media type.
    pub(crate) async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: String,
    ) -> (reqwest::StatusCode, Value) {
        let answer = self.post_for_answer(path, media_type, body).await;
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// Posts a body of a media type; the answer with its headers.
    pub(crate) async fn post_for_answer(
        &self,
        path: &str,
        media_type: &str,
        body: String,
    ) -> reqwest::Response {
        let request = self
            .client
            .post(self.url(path))
            .header("content-type", media_type)
            .body(body);
        request.send().await.expect("an answer")
    }

    /// Status and body.
    pub(crate) async fn get(&self, path: &str) -> (reqwest::StatusCode, Vec<u8>) {
        let answer = self.client.get(self.url(path)).send().await.expect("an answer");
        (answer.status(), answer.bytes().await.expect("a body").to_vec())
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.as_ref().expect("it runs").1)
    }

    /// A partition's checkpoints.
    pub(crate) fn checkpoints(&self, topic: &str, partition: i32) -> PathBuf {
        self.path("data/checkpoints").join(format!("{topic}@{partition}"))
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the process of the last start prints.
    fn output(&self) -> PathBuf {
        self.path(&format!("output-{}", self.starts))
    }

    /// What the process of the last start has written.
    pub(crate) fn whole_log(&self) -> String {
        std::fs::read_to_string(self.path(&format!("log-{}", self.starts))).unwrap_or_default()
    }

    /// The end of it.
    pub(crate) fn log(&self) -> String {
        let log = self.whole_log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    async fn wait_a_little(&mut self, began: Instant, until: &str) {
        if let Some(status) = self
            .running
            .as_mut()
            .and_then(|(child, _)| child.try_wait().ok().flatten())
        {
            panic!("ended with {status} before {until}: {}", self.log());
        }
        assert!(
            began.elapsed() < DEADLINE,
            "waited too long until {until}: {}",
            self.log()
        );
        tokio::time::sleep(PAUSE).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            // Ended already, or ends now.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `[kafka]` with a group and topics of the test's own.
pub(crate) fn kafka_section(brokers: &str, observations: &str, dead_letters: &str) -> String {
    let own = |name| unique(name);
    format!(
        "[kafka]\nbrokers = \"{brokers}\"\ngroup = \"{}\"\nobservations = \"{observations}\"\nreports = \"{}\"\n\
         positions = \"{}\"\ndead_letters = \"{dead_letters}\"\nrefresh = \"500ms\"\n",
        own("group"),
        own("reports"),
        own("positions"),
    )
}

/// A path as a TOML string.
pub(crate) fn toml_path(path: &Path) -> String {
    Value::from(path.to_str().expect("a path in UTF-8")).to_string()
}
