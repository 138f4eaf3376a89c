//! The sign-in of the page, in a browser; and what the compose file starts, by its own lines.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use super::Guarded;
use super::oidc::Issuer;
use crate::server::{Server, eventually, fixture, program, reading};

#[tokio::test]
async fn people_sign_in_with_a_key_or_at_the_issuer_and_are_offered_what_they_may_do() {
    let (Some(node), Some(chromium)) = (program("RISKGRID_NODE"), program("RISKGRID_CHROMIUM")) else {
        return;
    };
    let issuer = Issuer::start().await;
    let mut server = Server::not_started();
    if let Some(issuer) = &issuer {
        server.configure(&issuer.configuration(&server));
    }
    let admin = super::made_in(&server, &["--name", "first", "--role", "admin"]);
    server.restart();
    let guarded = Guarded { server, admin };
    let rule = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "above": 3.5,
        "severity": "major"});
    let made = guarded
        .ask(Method::POST, "/v1/rules", Some(&guarded.admin), Some(rule))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let high = guarded
        .server
        .client
        .post(format!("{}/v1/events", guarded.server.url))
        .bearer_auth(&guarded.admin)
        .header("content-type", "application/json")
        .body(reading("1", "river-7", 4.0, 0).to_string());
    assert_eq!(high.send().await.unwrap().status(), 202);
    eventually("the alert", async || {
        (guarded.rows("SELECT count(*) FROM alerts").await == json!([[1]])).then_some(())
    })
    .await;
    let keys = json!({
        "analyst": guarded.key(json!({"role": "analyst"})).await,
        "operator": guarded.key(json!({"role": "operator"})).await,
    });
    let mut browser = Command::new(node);
    browser
        .arg(fixture("browser/sign-in.mjs"))
        .arg(&guarded.server.url)
        .env("RISKGRID_KEYS", keys.to_string())
        .env("RISKGRID_CHROMIUM", chromium);
    if issuer.is_some() {
        browser.args(["ann", "ANN", "operator"]);
    }
    let seen = tokio::task::spawn_blocking(move || browser.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&seen.stdout);
    let complained = String::from_utf8_lossy(&seen.stderr);
    assert!(seen.status.success(), "{said}\n{complained}");
}

/// A line of the compose file that begins so, without that.
fn line_of(compose: &str, begin: &str) -> String {
    let mut lines = compose.lines().map(str::trim_start);
    lines
        .find_map(|line| line.strip_prefix(begin))
        .unwrap_or_else(|| panic!("no line begins with {begin}"))
        .to_owned()
}

#[tokio::test]
async fn what_the_compose_file_starts_is_guarded_and_its_first_key_is_in_its_volume() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let compose = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    let configuration = std::fs::read_to_string(root.join("fixtures/compose/riskgrid.toml")).unwrap();
    let server = Server::not_started();
    let volume = server.data();
    std::fs::create_dir_all(&volume).unwrap();
    // The step that makes the key, as the shell of its container runs it.
    let step = line_of(&compose, "- umask 077");
    let step = format!(
        "umask 077{}",
        step.replace("/var/lib/riskgrid", &volume.display().to_string())
    );
    let binary = crate::crash_rig::binary();
    let programs = binary.parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let made = || {
        let run = Command::new("/bin/sh")
            .args(["-c", &step])
            .env("PATH", &path)
            .status()
            .unwrap();
        assert!(run.success());
        std::fs::read_to_string(volume.join("first.key")).unwrap()
    };
    let key = made();
    assert_eq!(made(), key, "a second start keeps it");
    // The configuration of the image, but for the broker, the folder and the port.
    let address = "127.0.0.1:0";
    let configuration = configuration
        .replace("/var/lib/riskgrid", &volume.display().to_string())
        .replace("0.0.0.0:8080", address)
        .replace("brokers = \"kafka:9092\"", "brokers = \"\"");
    let file = server.path("compose.toml");
    std::fs::write(&file, configuration).unwrap();
    let (process, lines) = crate::server::spawn(
        Command::new(crate::crash_rig::binary())
            .args(["serve", "--config"])
            .arg(&file),
    );
    let process = Stopped(process);
    let line = lines.recv_timeout(crate::server::DEADLINE).unwrap();
    let url = line.trim().strip_prefix("riskgrid serves ").unwrap().to_owned();
    let client = crate::server::client();
    let status = async |path: &str, key: Option<&str>| {
        let request = client.get(format!("{url}{path}"));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/v1/layers", None).await, 401);
    assert_eq!(status("/v1/keys", Some(key.trim())).await, 200);
    // The check of its health, by bash alone.
    let check = {
        let begin = compose.find("exec 3<>").unwrap();
        let end = begin + compose[begin..].find("interval:").unwrap();
        compose[begin..end].trim().replace("$$", "$").replace('\n', " ")
    };
    let port = url.rsplit(':').next().unwrap();
    let check = check.replace("127.0.0.1/8080", &format!("127.0.0.1/{port}"));
    let healthy = Command::new("bash").args(["-c", &check]).output().unwrap();
    assert!(
        healthy.status.success(),
        "{check}: {}",
        String::from_utf8_lossy(&healthy.stderr)
    );
    drop(process);
}

/// A process that ends with the test.
struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
