//! One broker for all tests of this binary.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::skip;

static BROKERS: OnceLock<Option<String>> = OnceLock::new();

/// Ends the broker once this process is gone, however it went: the watcher's standard input is a pipe that only this
/// process holds.
const WATCHER: &str = r#"cat > "$2/alive"; "$1" kill "$2"; rm -rf "$2""#;

/// `host:port` of the broker, which is started by the first that asks. None, and said so, where there is none.
pub(crate) fn brokers() -> Option<String> {
    BROKERS.get_or_init(start).clone()
}

fn start() -> Option<String> {
    let script = skip::kafka_script()?;
    let folder = tempfile::Builder::new()
        .prefix("riskgrid-kafka-")
        .tempdir()
        .expect("a folder")
        .keep();
    #[allow(
        clippy::zombie_processes,
        reason = "it outlives this process, to end the broker after it"
    )]
    let mut watcher = Command::new("sh")
        .args(["-c", WATCHER, "sh"])
        .args([&script, &folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    // Never closed by us: the end of the process does it.
    std::mem::forget(watcher.stdin.take());
    let started = Command::new(&script)
        .arg("start")
        .arg(&folder)
        .output()
        .expect("the broker's script runs");
    let said = String::from_utf8_lossy(&started.stdout);
    let address = said.lines().last().unwrap_or_default().trim();
    assert!(
        started.status.success(),
        "no broker: {}",
        String::from_utf8_lossy(&started.stderr)
    );
    Some(address.to_owned())
}
