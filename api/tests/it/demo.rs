//! The demo, and the console as a browser shows it.

use std::process::{Child, Command};

use crate::crash_rig::binary;
use crate::server::{eventually, fixture, program, spawn, terminate};

/// Ends the demo with the test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_demo_fires_an_alert_delivers_it_and_shows_it_in_a_browser() {
    let mut command = Command::new(binary());
    command.args([
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--speed",
        "2000",
        "--sensors",
        "300",
    ]);
    let (process, lines) = spawn(&mut command);
    let mut demo = Demo(process);
    let mut url = String::new();
    eventually("a webhook is received", async || {
        while let Ok(line) = lines.try_recv() {
            if let Some(page) = line.trim().strip_prefix("the page") {
                page.trim().clone_into(&mut url);
            }
            if line.contains("webhook received, signature good") {
                return Some(());
            }
        }
        None
    })
    .await;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    if let (Some(node), Some(_)) = (program("RISKGRID_NODE"), program("RISKGRID_CHROMIUM")) {
        let pictures = tempfile::tempdir().unwrap();
        let mut browser = Command::new(node);
        browser
            .arg(fixture("browser/console.mjs"))
            .arg(&url)
            .arg(pictures.path());
        let seen = tokio::task::spawn_blocking(move || browser.output().unwrap())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&seen.stdout);
        let complained = String::from_utf8_lossy(&seen.stderr);
        assert!(seen.status.success(), "{said}\n{complained}");
    }
    terminate(&demo.0);
    let status = eventually("the demo ends", async || demo.0.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}
