//! Checkpoints that cannot be trusted, through the program: the one before is used, or the start is refused with what to
//! do and nothing is touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::server::{CANNOT, Server, reading_at};

const NDJSON: &str = "application/x-ndjson";
const TOTALS: &str = "SELECT sum(count), sum(sum) FROM cells";
const MANIFEST: &str = ".manifest.json";
/// Of all events, so that one that is posted again is the same.
static TIME: LazyLock<DateTime<Utc>> = LazyLock::new(Utc::now);
const WHAT_TO_DO: &str = "restore it from a backup, or remove the folder";

/// A server with some events in several checkpoints, killed.
async fn killed_server() -> Server {
    let mut server = Server::start();
    for number in 0..4 {
        post(&server, number).await;
        server.writes_a_checkpoint().await;
        server.stop().await;
        server.restart();
    }
    server.kill();
    server
}

async fn post(server: &Server, number: u32) {
    let event = reading_at(&number.to_string(), "river-1", f64::from(number), *TIME);
    assert_eq!(server.post(NDJSON, event.to_string()).await.status, 202);
}

async fn totals_are(server: &Server, count: u32, sum: u32) {
    server
        .rows_become(TOTALS, &json!([[count, f64::from(sum)]]))
        .await;
}

fn folder(server: &Server) -> PathBuf {
    server.data().join("checkpoints/journal@0")
}

/// The files of one kind, oldest first.
fn files(server: &Server, ending: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder(server)).unwrap();
    let mut files: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

fn cut_in_half(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

#[tokio::test]
async fn behind_a_torn_checkpoint_the_journal_is_read_again_from_the_one_before() {
    let mut server = killed_server().await;
    cut_in_half(&files(&server, ".state").pop().unwrap());
    server.restart();
    totals_are(&server, 4, 6).await;
    server.kill();
    cut_in_half(&files(&server, MANIFEST).pop().unwrap());
    server.restart();
    totals_are(&server, 4, 6).await;
    // An event from before the damage is still known.
    post(&server, 0).await;
    post(&server, 9).await;
    totals_are(&server, 5, 15).await;
}

#[tokio::test]
async fn without_a_whole_checkpoint_the_start_is_refused_and_removing_the_folder_reads_the_journal_again() {
    let mut server = killed_server().await;
    for manifest in files(&server, MANIFEST) {
        cut_in_half(&manifest);
    }
    let before = bytes_of(&folder(&server));
    let said = server.is_refused(CANNOT);
    let place = folder(&server).display().to_string();
    assert!(said.contains(&place) && said.contains(WHAT_TO_DO), "{said}");
    assert!(bytes_of(&folder(&server)) == before, "touched: {said}");

    fs::remove_dir_all(folder(&server)).unwrap();
    server.restart();
    totals_are(&server, 4, 6).await;
}

#[tokio::test]
async fn a_newer_format_is_refused_and_nothing_is_touched() {
    let mut server = killed_server().await;
    let manifest = files(&server, MANIFEST).pop().unwrap();
    let whole = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, whole.replace("\"format\": 3", "\"format\": 4")).unwrap();
    let before = bytes_of(&folder(&server));
    let said = server.is_refused(CANNOT);
    assert!(
        said.contains("format 4") && said.contains("start the version that wrote it"),
        "{said}"
    );
    assert!(bytes_of(&folder(&server)) == before, "touched: {said}");
    // By the version that wrote it.
    fs::write(&manifest, whole).unwrap();
    server.restart();
    totals_are(&server, 4, 6).await;
}

#[tokio::test]
async fn a_journal_that_is_not_the_one_the_checkpoint_read_is_refused() {
    let mut server = killed_server().await;
    let (journal, backup) = (server.data().join("journal"), server.data().join("backup"));
    fs::rename(&journal, &backup).unwrap();
    let before = bytes_of(&folder(&server));
    let said = server.is_refused(CANNOT);
    assert!(
        said.contains("ends at offset 0, and its checkpoint has read up to 4") && said.contains("journal@0"),
        "{said}"
    );
    assert!(bytes_of(&folder(&server)) == before, "touched: {said}");
    fs::remove_dir_all(&journal).unwrap();
    fs::rename(&backup, &journal).unwrap();
    server.restart();
    totals_are(&server, 4, 6).await;
    post(&server, 9).await;
    totals_are(&server, 5, 15).await;
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_of_checkpoints_is_named() {
    let mut server = killed_server().await;
    let folder = server.data().join("checkpoints");
    let kept = server.data().join("kept");
    fs::rename(&folder, &kept).unwrap();
    fs::write(&folder, "not a folder").unwrap();
    let said = server.is_refused(CANNOT);
    assert!(said.contains(&folder.display().to_string()), "{said}");
    assert_eq!(fs::read(&folder).unwrap(), b"not a folder");
}
