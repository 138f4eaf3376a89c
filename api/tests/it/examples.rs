//! What the documents show is run: every block of `README.md` and `docs/`, against a server, in the order of its page.
//!
//! A page's `toml` is checked by `check-config`, and its server runs with it (but for Kafka's); its `sh` is run by bash beside
//! that server, `http://127.0.0.1:8080` being where it listens; its `sql` is asked. Words behind the language of a block:
//! - `no-run (why)`: it is not run; there are few of those;
//! - `stopped`: the server is stopped while it is run.
//!
//! A comment that begins with `# {` is an answer: the block must print that line.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::crash_rig;
use crate::server::{Server, reading, skip};

/// At most so many blocks are not run.
const MOST_NOT_RUN: usize = 11;
/// The page whose events are there when another page is run, as with one who reads in order.
const FIRST_PAGE: &str = "docs/getting-started.md";
/// Before each block of a shell: an answer that is an error ends it; verbs that ask a server ask this one.
const PRELUDE: &str = r#"set -eu -o pipefail
curl() { command curl --fail-with-body "$@"; }
riskgrid() {
  case $1 in
    sql | dead-letters | audit) "$RISKGRID_PROGRAM" "$@" --url "$RISKGRID_URL" ;;
    *) "$RISKGRID_PROGRAM" "$@" ;;
  esac
}
"#;

/// The files that configurations of the pages name.
const FILES: [(&str, &str); 5] = [
    (
        "city.geojson",
        r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"Boston"},"geometry":
        {"type":"Polygon","coordinates":[[[-71.2,42.2],[-70.9,42.2],[-70.9,42.4],[-71.2,42.4],[-71.2,42.2]]]}}]}"#,
    ),
    (
        "boston.geojson.gz",
        r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"Dorchester","pop":126909},"geometry":
        {"type":"Polygon","coordinates":[[[-71.1,42.27],[-71.03,42.27],[-71.03,42.33],[-71.1,42.33],[-71.1,42.27]]]}}]}"#,
    ),
    (
        "us_hospitals.csv.gz",
        "ID,NAME,LONGITUDE,LATITUDE,BEDS,TRAUMA\n7,Carney Hospital,-71.0657,42.2776,159,\n",
    ),
    ("people_by_area.csv", "id,people\nboston,675647\n"),
    (
        "reports.csv.gz",
        "CASE_ENQUIRY_ID,OPEN_DT,LONGITUDE,LATITUDE,REASON,Source\n\
         1,2015-06-01T08:00:00,-71.06,42.30,Street Lights,Constituent Call\n\
         2,2015-06-01T08:05:00,-71.07,42.31,Street Lights,Citizens Connect App\n\
         3,2015-06-01T08:06:00,-71.0587,42.3594,Sanitation,Constituent Call\n",
    ),
];

/// One block of a page.
struct Block {
    /// `docs/sql.md:12`.
    place: String,
    language: String,
    words: String,
    text: String,
}

impl Block {
    fn is_run(&self) -> bool {
        !self.language.is_empty() && !self.words.starts_with("no-run")
    }
}

#[test]
fn few_blocks_of_the_documents_are_not_run_and_each_says_why() {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    let mut not_run = Vec::new();
    for block in &blocks {
        let Block {
            place,
            language,
            words,
            text,
        } = block;
        match language.as_str() {
            "" => assert!(
                !text.contains("curl ") && !text.contains("riskgrid "),
                "{place}: commands without `sh`"
            ),
            "sh" | "sql" | "toml" => {}
            other => panic!("{place}: nothing here runs `{other}`"),
        }
        if let Some(why) = words.strip_prefix("no-run") {
            let why = why.trim().trim_matches(['(', ')']);
            assert!(why.split_whitespace().count() >= 2, "{place}: not run, but why?");
            not_run.push(place);
        } else {
            assert!(
                matches!(words.as_str(), "" | "stopped"),
                "{place}: what is `{words}`?"
            );
        }
    }
    let run = blocks.iter().filter(|block| block.is_run()).count();
    assert!(run >= 15, "only {run} blocks are run");
    assert!(not_run.len() <= MOST_NOT_RUN, "not run: {not_run:?}");
}

#[tokio::test]
async fn every_metric_is_in_the_page_of_operations_and_no_other_is() {
    let server = Server::start();
    // Some are of a partition, which is there once it has a record.
    let event = reading("first", "river-7", 1.0, 60).to_string();
    assert_eq!(server.post("application/json", event).await.status, 202);
    server
        .rows_become("SELECT count(*) FROM events", &json!([[1]]))
        .await;
    let page = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, table) = text
        .split_once("| metric | what |")
        .expect("the table of metrics");
    let (table, _) = table.split_once("\n\n").unwrap_or((table, ""));
    let told: BTreeSet<&str> = table
        .split('`')
        .filter(|name| name.starts_with("riskgrid_"))
        .collect();
    let mut shown: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect();
    assert!(shown.len() > 40, "{page}");
    // Those that there are with Kafka only.
    shown.extend([
        "riskgrid_kafka_connected",
        "riskgrid_kafka_lag",
        "riskgrid_kafka_stalls_total",
    ]);
    assert_eq!(told, shown);
}

#[tokio::test]
async fn every_block_of_the_documents_runs() {
    if !has_curl() {
        skip("there is no curl");
        return;
    }
    let first = blocks(FIRST_PAGE);
    for page in pages() {
        let blocks = blocks(&page);
        let is_empty = !blocks.iter().any(Block::is_run);
        if is_empty {
            continue;
        }
        println!("{page}");
        let mut server = server_of(&blocks);
        for block in first.iter().filter(|block| block.is_run()) {
            run(&mut server, block).await;
        }
        server
            .rows_become(
                "SELECT count(*) > 0 FROM layers WHERE layer = 'flooding'",
                &json!([[true]]),
            )
            .await;
        if page == "docs/feeds.md" {
            // Of three rows two have a place.
            let counted = "SELECT count(*) FROM events WHERE source = '//boston/311'";
            server.rows_become(counted, &json!([[2]])).await;
        }
        if page != FIRST_PAGE {
            for block in blocks.iter().filter(|block| block.is_run()) {
                run(&mut server, block).await;
            }
        }
        // Whatever was copied, purged and put back.
        let seen = "SELECT count(*) > 0 FROM events WHERE layer = 'flooding'";
        server.rows_become(seen, &json!([[true]])).await;
        server.stop().await;
    }
}

/// A server with what the page configures, in a folder with the files that it names.
fn server_of(blocks: &[Block]) -> Server {
    let mut server = Server::not_started();
    std::os::unix::fs::symlink(server.data(), server.path("riskgrid-data")).unwrap();
    for (name, text) in FILES {
        let bytes = if Path::new(name).extension().is_some_and(|ending| ending == "gz") {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.finish().unwrap()
        } else {
            text.as_bytes().to_vec()
        };
        fs::write(server.path(name), bytes).unwrap();
    }
    let mut configuration = String::new();
    for block in blocks {
        if block.language != "toml" || !block.is_run() {
            continue;
        }
        let file = server.path("page.toml");
        fs::write(&file, &block.text).unwrap();
        let output = Command::new(crash_rig::binary())
            .args(["check-config", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", block.place);
        if !block.text.contains("[kafka]") {
            configuration += &block.text;
        }
    }
    server.configure(&configuration);
    server.restart();
    server
}

async fn run(server: &mut Server, block: &Block) {
    let place = &block.place;
    match block.language.as_str() {
        "sh" => {
            let stopped = block.words == "stopped";
            if stopped {
                server.stop().await;
            }
            let printed = shell(server, block);
            for line in block.text.lines().filter(|line| line.starts_with("# {")) {
                let answer = line.trim_start_matches("# ");
                assert!(
                    printed.contains(answer),
                    "{place} does not print {answer} but:\n{printed}"
                );
            }
            if stopped {
                server.restart();
            }
        }
        "sql" => {
            for statement in block.text.split(';').filter(|text| !text.trim().is_empty()) {
                let answer = server.post_json("/v1/sql", &json!({ "sql": statement })).await;
                assert_eq!(answer.status, 200, "{place}: {}", answer.body);
            }
        }
        _ => {}
    }
}

/// What the block prints; it must end well.
fn shell(server: &Server, block: &Block) -> String {
    let script = block.text.replace("http://127.0.0.1:8080", &server.url);
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!("{PRELUDE}{script}"))
        .current_dir(server.path(""))
        .env("RISKGRID_PROGRAM", crash_rig::binary())
        .env("RISKGRID_URL", &server.url)
        .env("RISKGRID_STORAGE__DATA_DIR", server.data())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {}\n{printed}\n{said}",
        block.place,
        output.status
    );
    printed
}

fn has_curl() -> bool {
    Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `README.md`, and the pages of `docs/` in order.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    pages.push("README.md".to_owned());
    pages.sort();
    assert!(pages.len() >= 10, "the pages are found: {pages:?}");
    pages
}

fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(words) = line.strip_prefix("```") else {
            if let Some(block) = &mut open {
                block.text += line;
                block.text.push('\n');
            }
            continue;
        };
        if let Some(block) = open.take() {
            blocks.push(block);
        } else {
            let (language, words) = words.split_once(' ').unwrap_or((words, ""));
            open = Some(Block {
                place: format!("{page}:{number}"),
                language: language.to_owned(),
                words: words.to_owned(),
                text: String::new(),
            });
        }
    }
    assert!(open.is_none(), "{page}: a block does not end");
    blocks
}
