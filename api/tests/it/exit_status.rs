//! The exit status is a promise: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong. A start
//! that is refused leaves the state as it found it.

use std::net::TcpListener;

use serde_json::json;

use crate::server::{CANNOT, Server, WRONG_CONFIGURATION, reading};

const NDJSON: &str = "application/x-ndjson";

#[test]
fn a_wrong_command_line_or_configuration_ends_with_two() {
    for (settings, says) in [
        ("min_fre = \"1MiB\"", "did you mean `min_free`?"),
        ("[console]\nbase_map = \"nowhere.json\"", "console.base_map"),
        (
            "[server]\ncors_origins = [\"map.example\"]",
            "server.cors_origins",
        ),
        (
            "[server]\ntrusted_proxies = [\"proxy\"]",
            "server.trusted_proxies",
        ),
        ("[grid]\nresolution = 16", "grid.resolution"),
        ("[[feeds]]\nname = \"a\"", "from"),
    ] {
        let mut server = Server::not_started();
        server.configure(settings);
        let said = server.is_refused(WRONG_CONFIGURATION);
        let refusal = said.lines().last().unwrap_or_default();
        assert!(said.contains(says) && !refusal.is_empty(), "{settings}: {said}");
    }
    let server = Server::not_started();
    for (arguments, says) in [
        (["serve", "--no-such-flag"], "--no-such-flag"),
        (["serve", "--speed=0"], "must be a number above 0"),
        (["servee", "--log=json"], "servee"),
    ] {
        let output = server.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
    let output = std::process::Command::new(crate::crash_rig::binary())
        .args(["serve", "--config", "/nowhere/riskgrid.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let help = std::process::Command::new(crate::crash_rig::binary())
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit status: 0"));
}

#[tokio::test]
async fn a_start_that_the_machine_prevents_ends_with_one_and_leaves_the_state_sealed() {
    let mut server = Server::new_on_a_port_of_its_own("100ms");
    server.restart();
    assert_eq!(
        server
            .post(NDJSON, reading("1", "s", 1.0, 0).to_string())
            .await
            .status,
        202
    );
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;

    // Another process has the state.
    let output = server.run(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(CANNOT), "{said}");
    assert!(said.contains("is in use by another riskgrid process"), "{said}");

    let port = server.url.rsplit(':').next().unwrap().to_owned();
    server.stop().await;
    assert!(server.data().join("sealed.json").exists());
    let taken = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let said = server.is_refused(CANNOT);
    assert!(said.contains("is another riskgrid running?"), "{said}");
    // What was whole is sealed again, and what it had taken up is let go.
    assert!(server.data().join("sealed.json").exists(), "{said}");
    assert!(!server.data().join("opened.json").exists());
    drop(taken);
    server.restart();
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;
    server.stop().await;
}
