//! A real Kafka for the length of the process, by the script that the tests use.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Outcome;

/// Ends the broker once this process is gone, however it went: the watcher's standard input is a pipe that only this
/// process holds.
const WATCHER: &str = r#"cat > "$2/alive"; "$1" kill "$2"; rm -rf "$2""#;

/// Starts a broker and gives its `host:port`; none where `RISKGRID_TEST_KAFKA` names no script.
pub fn start() -> Outcome<Option<String>> {
    let script = std::env::var_os("RISKGRID_TEST_KAFKA").map(PathBuf::from);
    let Some(script) = script.filter(|script| script.is_file()) else {
        return Ok(None);
    };
    let folder = tempfile::Builder::new()
        .prefix("riskgrid-kafka-")
        .tempdir()?
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
        .spawn()?;
    // Never closed by us: the end of the process does it.
    std::mem::forget(watcher.stdin.take());
    let started = Command::new(&script).arg("start").arg(&folder).output()?;
    let said = String::from_utf8_lossy(&started.stdout);
    if !started.status.success() {
        return Err(format!("no broker: {}", String::from_utf8_lossy(&started.stderr)).into());
    }
    Ok(said.lines().last().map(|address| address.trim().to_owned()))
}
