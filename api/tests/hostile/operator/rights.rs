//! Nobody but its user reads a node's state.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use chrono::Utc;
use serde_json::json;

use crate::server::{Server, reading_at};

const NDJSON: &str = "application/x-ndjson";

/// Paths below a folder that others have rights to; links are not looked behind.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_symlink() {
            continue;
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            open.push(format!("{:03o} {}", mode, path.display()));
        }
        if metadata.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    open
}

fn open_up(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_folder = path.is_dir();
        fs::set_permissions(
            &path,
            fs::Permissions::from_mode(if is_folder { 0o755 } else { 0o644 }),
        )
        .unwrap();
        if is_folder {
            open_up(&path);
        }
    }
}

#[tokio::test]
async fn what_is_made_is_the_users_only_and_what_was_wider_is_narrowed_and_told() {
    let mut server = Server::start();
    let body = format!("{}\ngarbage", reading_at("1", "s", 1.0, Utc::now()));
    assert_eq!(server.post(NDJSON, body).await.status, 202);
    let hook = json!({"name": "ops", "url": "http://127.0.0.1:9/"});
    assert_eq!(server.post_json("/v1/webhooks", &hook).await.status, 201);
    server.writes_a_checkpoint().await;
    let data = server.data();
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    server.kill();

    // As an older version left it, with a link to what is somebody else's.
    open_up(&data);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let elsewhere = server.path("elsewhere");
    fs::write(&elsewhere, "theirs").unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o644)).unwrap();
    symlink(&elsewhere, data.join("journal/link")).unwrap();
    server.restart_or_refusal().unwrap();
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    let said = server.said();
    for name in ["data ", "kafka-instance-id", "decisions.sqlite"] {
        assert!(
            said.lines()
                .any(|line| line.contains(name.trim()) && line.contains("mode")),
            "{name}: {said}"
        );
    }
    assert!(said.contains("0755") && said.contains("0644"), "{said}");
    assert_eq!(
        fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777,
        0o644
    );
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;
}
