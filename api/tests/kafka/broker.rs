//! Brokers: one for all tests of this binary, and brokers of a test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::skip;

static SHARED: OnceLock<Option<Broker>> = OnceLock::new();

/// Ends the broker once this process is gone, however it went: the watcher's standard input is a pipe that only this
/// process holds.
const WATCHER: &str = r#"cat > "$2/alive"; "$1" kill "$2"; rm -rf "$2""#;

/// `host:port` of the shared broker, which is started by the first that asks. None, and said so, where there is none.
pub(crate) fn brokers() -> Option<String> {
    let shared = SHARED.get_or_init(Broker::start);
    shared.as_ref().map(|broker| broker.address.clone())
}

/// A broker with a folder and a port of its own.
pub(crate) struct Broker {
    script: PathBuf,
    folder: PathBuf,
    watcher: Child,
    advertised: Option<String>,
    /// `host:port`; the same after a restart.
    pub(crate) address: String,
}

impl Broker {
    /// Starts one. None, and said so, where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(None)
    }

    /// Starts one that tells its clients to come by another address.
    pub(crate) fn start_as(advertised: Option<&str>) -> Option<Self> {
        let script = skip::kafka_script()?;
        let folder = tempfile::Builder::new()
            .prefix("riskgrid-kafka-")
            .tempdir()
            .expect("a folder")
            .keep();
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh"])
            .args([&script, &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut broker = Self {
            script,
            folder,
            watcher,
            advertised: advertised.map(str::to_owned),
            address: String::new(),
        };
        broker.address = broker.run("start");
        Some(broker)
    }

    /// kill -9.
    pub(crate) fn kill(&self) {
        self.run("kill");
    }

    /// Starts it again on its data and its port; returns when it serves.
    pub(crate) fn restart(&self) {
        assert_eq!(self.run("start"), self.address);
    }

    /// The last line that the script prints.
    fn run(&self, verb: &str) -> String {
        let mut command = Command::new(&self.script);
        command.arg(verb).arg(&self.folder);
        if let Some(advertised) = &self.advertised {
            command.env("RISKGRID_KAFKA_ADVERTISED", advertised);
        }
        let output = command.output().expect("the broker's script runs");
        assert!(
            output.status.success(),
            "{verb}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said = String::from_utf8_lossy(&output.stdout);
        said.lines().last().unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // It ends the broker first.
        let _ = self.watcher.wait();
    }
}
