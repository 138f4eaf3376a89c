//! Each file of a node's state is removed, emptied, cut in half and garbled in turn: the node starts with the same totals,
//! or refuses to and says what to do, and nothing else is touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::{Value, json};

use crate::server::{CANNOT, Refusal, Server, reading_at};

const NDJSON: &str = "application/x-ndjson";
/// Any of these is a remedy.
const REMEDIES: [&str; 4] = [
    "from a backup",
    "echo riskgrid-",
    "Remove the file",
    "remove the folder",
];
const DATABASE: &str = "decisions.sqlite";
/// Files that hold nothing, or that SQLite makes and removes as it likes.
const OF_NO_MATTER: [&str; 4] = ["-wal", "-shm", "lock", "opened.json"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Removed,
    Empty,
    FirstHalf,
    Garbage,
}

const DAMAGES: [Damage; 4] = [Damage::Removed, Damage::Empty, Damage::FirstHalf, Damage::Garbage];

fn damage(path: &Path, damage: Damage) {
    let bytes = fs::read(path).unwrap();
    match damage {
        Damage::Removed => fs::remove_file(path).unwrap(),
        Damage::Empty => fs::write(path, "").unwrap(),
        Damage::FirstHalf => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
        Damage::Garbage => {
            let garbage = (0..bytes.len().max(8)).map(|index| (index * 151 + 77) as u8);
            fs::write(path, garbage.collect::<Vec<u8>>()).unwrap();
        }
    }
}

/// The bytes of all files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    all
}

fn put(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    fs::remove_dir_all(folder).unwrap();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A server with events of learnt layers, refused ones, rules and a webhook, in several checkpoints.
async fn server() -> Server {
    let mut server = Server::start();
    let time = Utc::now();
    for number in 0..3 {
        let mut event = reading_at(
            &number.to_string(),
            &format!("s{number}"),
            f64::from(number),
            time,
        );
        event["data"]["property"] = json!(format!("layer {number}"));
        let body = format!("{event}\nnot an event, number {number}");
        assert_eq!(server.post(NDJSON, body).await.status, 202);
        let hook = json!({"name": format!("hook {number}"), "url": "http://127.0.0.1:9/"});
        assert_eq!(
            server.post_json("/v1/webhooks", &hook).await.status,
            201,
            "{hook}"
        );
        server
            .rows_become("SELECT sum(count) FROM cells", &json!([[number + 1]]))
            .await;
        server.stop().await;
        server.restart();
    }
    server
}

/// All that must not change.
async fn totals(server: &Server) -> Value {
    let cells = server
        .rows("SELECT layer, sum(count), sum(sum) FROM cells GROUP BY layer ORDER BY layer")
        .await;
    let letters = server
        .rows("SELECT count(*), count(DISTINCT hash), max(size) FROM dead_letters")
        .await;
    let hooks = server.get("/v1/webhooks").await.body;
    json!({"cells": cells, "letters": letters, "hooks": hooks})
}

/// What the database of decisions holds, with the log that lies beside it: the pages of a copy, but for its head, which counts
/// changes.
async fn rows_of_database(files: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for name in [DATABASE, "decisions.sqlite-wal"] {
        if let Some(bytes) = files.get(Path::new(name)) {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
    }
    let url = format!("sqlite://{}", folder.path().join(DATABASE).display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let copy = folder.path().join("copy.sqlite");
    let mut statement = sqlx::QueryBuilder::<sqlx::Sqlite>::new("VACUUM INTO ");
    statement.push_bind(copy.display().to_string());
    statement.build().execute(&pool).await.unwrap();
    pool.close().await;
    fs::read(copy).unwrap().split_off(100)
}

fn is_of_no_matter(name: &Path) -> bool {
    let name = name.to_string_lossy();
    OF_NO_MATTER.iter().any(|ending| name.ends_with(ending))
}

/// Starts with one file damaged; what is wrong about what happens then, if anything.
async fn is_well_met(
    server: &mut Server,
    name: &Path,
    how: Damage,
    expected: &Value,
) -> Result<bool, String> {
    damage(&server.data().join(name), how);
    let before = files(&server.data());
    let fault = match server.restart_or_refusal() {
        Ok(()) => {
            let mut seen = Value::Null;
            // The journal may be read again.
            for _ in 0..100 {
                seen = totals(server).await;
                if seen == *expected {
                    server.kill();
                    return Ok(true);
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            server.kill();
            Some(format!("it serves, with {seen}"))
        }
        Err(Refusal { status, said }) => {
            let after = files(&server.data());
            // The seal among them: where the start broke it, it is made anew, of the same files.
            let mut lost = before
                .iter()
                .find(|(name, bytes)| !is_of_no_matter(name) && after.get(*name) != Some(*bytes));
            // SQLite moves its log into the database when it is closed: what matters is what both hold.
            if lost.is_some_and(|(name, _)| name == Path::new(DATABASE))
                && rows_of_database(&before).await == rows_of_database(&after).await
            {
                lost = before.iter().find(|(name, bytes)| {
                    let name = name.as_path();
                    name != Path::new(DATABASE) && !is_of_no_matter(name) && after.get(name) != Some(*bytes)
                });
            }
            // The last line is the refusal; before it may stand warnings of what was read on the way.
            let refusal = said.lines().last().unwrap_or_default();
            match lost {
                Some((lost, _)) => Some(format!("{} was changed: {said}", lost.display())),
                None if status != CANNOT => Some(format!("it ends with {status}: {said}")),
                None if !REMEDIES.iter().any(|remedy| refusal.contains(remedy)) => {
                    Some(format!("it does not say what to do: {said}"))
                }
                None => None,
            }
        }
    };
    match fault {
        Some(fault) => Err(format!("{} {how:?}: {fault}", name.display())),
        None => Ok(false),
    }
}

async fn walk(server: &mut Server, expected: &Value, is_walked: impl Fn(&str) -> bool) {
    let whole = files(&server.data());
    let mut faults = Vec::new();
    let (mut served, mut refused) = (0, 0);
    for name in whole.keys().filter(|name| is_walked(&name.to_string_lossy())) {
        for how in DAMAGES {
            put(&server.data(), &whole);
            match is_well_met(server, name, how, expected).await {
                Ok(true) => served += 1,
                Ok(false) => refused += 1,
                Err(fault) => faults.push(fault),
            }
        }
    }
    put(&server.data(), &whole);
    server.restart();
    assert_eq!(totals(server).await, *expected);
    println!("{served} starts with the same totals, {refused} refused");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(served > 0 && refused > 0, "{served} {refused}");
}

#[tokio::test]
async fn after_a_stop_whatever_is_lost_of_any_file_is_told_or_does_not_matter() {
    let mut server = server().await;
    let expected = totals(&server).await;
    server.stop().await;
    assert!(server.data().join("sealed.json").exists());
    walk(&mut server, &expected, |_| true).await;
}

/// Then nothing tells a log that was cut off by hand from one that was cut off by the kill.
#[tokio::test]
async fn after_a_kill_whatever_is_lost_of_the_small_files_is_told_or_does_not_matter() {
    let mut server = server().await;
    let expected = totals(&server).await;
    server.kill();
    walk(&mut server, &expected, |name| {
        Path::new(name).extension().is_none_or(|ending| ending != "jnl")
            && !name.ends_with("-wal")
            && !name.starts_with("dead-letters/keyspaces")
    })
    .await;
}

#[tokio::test]
async fn the_id_of_a_node_without_kafka_is_not_made_anew_and_the_remedy_works() {
    let mut server = server().await;
    let expected = totals(&server).await;
    server.stop().await;
    let file = server.data().join("kafka-instance-id");
    let id = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let said = server.is_refused(CANNOT);
    assert!(said.contains(&format!("echo {} > ", id.trim())), "{said}");
    assert!(!file.exists());
    fs::write(&file, format!("{}\n", id.trim())).unwrap();
    server.restart();
    assert_eq!(totals(&server).await, expected);
    server.stop().await;
    // Of another node: what only this one can have written is taken all the same.
    fs::write(&file, "riskgrid-0123456789abcdef").unwrap();
    server.restart();
    assert_eq!(totals(&server).await, expected);
}

#[tokio::test]
async fn a_journal_without_what_came_before_it_is_refused_until_that_is_given_up() {
    let mut server = Server::not_started();
    server.configure("journal_retention = \"0s\"");
    server.restart();
    for number in 0..3 {
        let event = reading_at(&number.to_string(), "s", 1.0, Utc::now());
        assert_eq!(server.post(NDJSON, event.to_string()).await.status, 202);
    }
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[3]]))
        .await;
    server.stop().await;
    // Housekeeping comes right at the start, and once a minute.
    server.restart();
    server.stop().await;
    let folder = server.data().join("checkpoints/journal@0");
    fs::remove_dir_all(&folder).unwrap();
    let said = server.is_refused(CANNOT);
    assert!(
        said.contains("journal@0") && said.contains("from a backup"),
        "{said}"
    );
    fs::create_dir(&folder).unwrap();
    server.restart();
    let event = reading_at("9", "s", 1.0, Utc::now());
    assert_eq!(server.post(NDJSON, event.to_string()).await.status, 202);
    server
        .rows_become("SELECT sum(count) <= 2 FROM cells", &json!([[true]]))
        .await;
}
