//! A disk that fills: with what is refused too, and to the end.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::server::{Server, eventually, reading_at};
use crate::small_disk::SmallDisk;

const NDJSON: &str = "application/x-ndjson";
const MEGABYTES: u32 = 64;
/// A tenth of the disk: what `storage.min_free` comes to on such a small one.
const RESERVE: u64 = (MEGABYTES as u64) << 20 >> 4;
const LETTERS: &str = "SELECT count(*) FROM dead_letters";

fn ballast(server: &Server) -> std::path::PathBuf {
    server.data().with_file_name("ballast")
}

fn free(server: &Server) -> u64 {
    let output = std::process::Command::new("stat")
        .args(["--file-system", "--format", "%a %S"])
        .arg(server.data())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut numbers = said
        .split_whitespace()
        .map(|number| number.parse::<u64>().unwrap());
    numbers.next().unwrap() * numbers.next().unwrap()
}

/// Leaves so many bytes free.
fn fill_up_to(server: &Server, left: u64) {
    let more = free(server).saturating_sub(left);
    fs::write(ballast(server), vec![1; usize::try_from(more).unwrap()]).unwrap();
}

async fn metric(server: &Server, name: &str) -> f64 {
    let page = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    let line = page.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("{name} is there: {page}"))
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

async fn makes_a_webhook(server: &Server, name: &str) {
    let hook = json!({"name": name, "url": "http://127.0.0.1:9/"});
    let answer = server.post_json("/v1/webhooks", &hook).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn refused_events_alone_do_not_fill_the_disk_and_what_must_go_on_does() {
    let Some(disk) = SmallDisk::mount(MEGABYTES) else {
        return;
    };
    let mut server = Server::start_on(Some(disk), "");
    assert_eq!(
        metric(&server, "riskgrid_writes_without_room_total{writer=\"intake\"}").await,
        0.0
    );
    let event = reading_at("1", "s", 1.0, Utc::now());
    assert_eq!(server.post(NDJSON, event.to_string()).await.status, 202);
    let (mut kept, mut unavailable) = (0, 0);
    for number in 0_u64..2_000 {
        // Larger than any buffer, and another one each time.
        let garbage = format!("garbage {number} {}", "x".repeat(200_000 + number as usize));
        let answer = server.post(NDJSON, garbage).await;
        match answer.status {
            400 | 202 => kept += 1,
            503 => unavailable += 1,
            _ => panic!("{answer:?}"),
        }
        if unavailable == 5 {
            break;
        }
    }
    assert!(unavailable == 5 && kept > 20, "{kept} {unavailable}");
    assert!(free(&server) > RESERVE / 2, "{} bytes are free", free(&server));
    let mut large = reading_at("2", "s", 1.0, Utc::now());
    large["padding"] = json!("x".repeat(300_000));
    let answer = server.post(NDJSON, large.to_string()).await;
    assert_eq!(answer.status, 503, "accepted events stop with the refused ones");
    assert!(metric(&server, "riskgrid_writes_without_room_total{writer=\"intake\"}").await >= 5.0);

    // Somebody else fills it further: decisions and checkpoints go on.
    fill_up_to(&server, RESERVE / 3);
    makes_a_webhook(&server, "ops").await;
    let failures = metric(&server, "riskgrid_checkpoint_failures_total").await;
    assert_eq!(failures, 0.0);
    server.rows_become(LETTERS, &json!([[kept]])).await;
    server.stop().await;
    server.restart();
    server.rows_become(LETTERS, &json!([[kept]])).await;
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;

    fs::remove_file(ballast(&server)).unwrap();
    eventually("there is room again", async || {
        let answer = server
            .post(NDJSON, reading_at("2", "s", 1.0, Utc::now()).to_string())
            .await;
        // The letters alone may leave less than the reserve.
        (answer.status == 202 || free(&server) < RESERVE * 2).then_some(())
    })
    .await;
}

/// Accepted at the door, refused once its partition is known.
fn late(number: u32, now: DateTime<Utc>) -> Value {
    reading_at(&format!("late-{number}"), "s", 1.0, now - TimeDelta::days(30))
}

#[tokio::test]
async fn a_node_that_waits_for_its_disk_says_so_stops_when_asked_and_loses_nothing() {
    const LATE: u32 = 20;
    let Some(disk) = SmallDisk::mount(MEGABYTES) else {
        return;
    };
    let mut server = Server::start_on(Some(disk), "");
    let now = Utc::now();
    assert_eq!(
        server
            .post(NDJSON, reading_at("1", "s", 1.0, now).to_string())
            .await
            .status,
        202
    );
    let body: Vec<String> = (0..LATE).map(|number| late(number, now).to_string()).collect();
    assert_eq!(server.post(NDJSON, body.join("\n")).await.status, 202);
    server.rows_become(LETTERS, &json!([[LATE]])).await;
    server.stop().await;
    // All of the journal is to be read again, with less left than a dead letter asks for.
    let checkpoint = server.data().join("checkpoints/journal@0");
    let kept = server.data().with_file_name("kept");
    fs::rename(&checkpoint, &kept).unwrap();
    server.restart();
    fill_up_to(&server, RESERVE / 4);
    server.kill();
    if checkpoint.exists() {
        fs::remove_dir_all(&checkpoint).unwrap();
    }
    server.restart_or_refusal().unwrap();
    eventually("it is not ready, and says that ingest stands still", async || {
        let answer = server.get("/readyz").await;
        answer.body["detail"]
            .as_str()?
            .contains("stands still")
            .then_some(())
    })
    .await;
    assert!(metric(&server, "riskgrid_snapshot_age_seconds").await > 5.0);
    assert!(
        metric(
            &server,
            "riskgrid_writes_without_room_total{writer=\"dead_letters\"}"
        )
        .await
            > 0.0
    );
    assert_eq!(server.rows("SELECT 1 + 1").await, [json!([2])]);
    assert_eq!(
        server.said().matches("ingest waits for the disk").count(),
        1,
        "told once: {}",
        server.said()
    );
    tokio::time::timeout(Duration::from_secs(30), server.stop())
        .await
        .expect("it stops");

    fs::remove_file(ballast(&server)).unwrap();
    server.restart();
    server
        .rows_become("SELECT sum(count) FROM cells", &json!([[1]]))
        .await;
    server.rows_become(LETTERS, &json!([[LATE]])).await;
    let read = "SELECT count(*) FROM dead_letters WHERE reason = 'too_late'";
    server.rows_become(read, &json!([[LATE]])).await;
}
