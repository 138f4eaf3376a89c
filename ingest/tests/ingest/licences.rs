//! What is linked in may be linked in: the licences and sources that `deny.toml` allows, looked up in what cargo itself says
//! of every crate of the lock file. `cargo deny` says the same and more, where it is installed.
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

#[test]
fn every_crate_has_a_licence_and_a_source_that_are_allowed() {
    let allowed = allowed("allow = [");
    let registries = allowed_in_line("allow-registry = [");
    assert!(allowed.contains("MIT"), "deny.toml is read: {allowed:?}");
    assert_eq!(registries.len(), 1, "deny.toml is read: {registries:?}");

    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 300, "all of them are looked at");
    let mut refused = Vec::new();
    for package in packages {
        let (name, version) = (&package["name"], &package["version"]);
        let Some(source) = package["source"].as_str() else {
            continue; // ours
        };
        if !registries.iter().any(|registry| source.ends_with(registry)) {
            refused.push(format!("{name} {version}: from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            refused.push(format!("{name} {version}: licence `{licence}`"));
        }
    }
    assert!(
        refused.is_empty(),
        "deny.toml does not allow:\n{}",
        refused.join("\n")
    );
}

#[test]
fn a_licence_is_allowed_by_what_its_expression_says() {
    let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    for yes in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(yes, &allowed), "{yes}");
    }
    for no in [
        "",
        "GPL-3.0-only",
        "MIT AND MPL-2.0",
        "Apache-2.0",
        "no licence at all",
    ] {
        assert!(!is_allowed(no, &allowed), "{no}");
    }
}

fn is_allowed(licence: &str, allowed: &BTreeSet<String>) -> bool {
    Expression::parse_mode(licence, ParseMode::LAX)
        .is_ok_and(|expression| expression.evaluate(|requirement| allowed.contains(&requirement.to_string())))
}

fn deny() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    std::fs::read_to_string(path).expect("deny.toml")
}

/// The texts of a list in `deny.toml`, an item a line.
fn allowed(list: &str) -> BTreeSet<String> {
    let text = deny();
    let (_, rest) = text.split_once(list).expect("the list is there");
    let (items, _) = rest.split_once(']').expect("a list ends");
    items.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn allowed_in_line(list: &str) -> BTreeSet<String> {
    allowed(list)
        .into_iter()
        .map(|registry| registry.trim_start_matches("https://").to_owned())
        .collect()
}

/// What cargo says of the crates that this platform links; they are on disk, or this test would not have been built.
fn metadata() -> Value {
    let host = Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8(host.stdout).expect("words");
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", host])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("cargo");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}
