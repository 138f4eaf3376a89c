//! A full disk: the intake answers 503 and keeps nothing of the request, everything else goes on, and what was
//! acknowledged is there after a kill and after room is made.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::server::{Answer, Server, eventually, reading_at};
use crate::small_disk::SmallDisk;

const NDJSON: &str = "application/x-ndjson";
const DISK_MEGABYTES: u32 = 48;
/// A file that takes room until it is removed.
const BALLAST: usize = 24 << 20;
/// Events of one request.
const EVENTS: u64 = 20;
/// Requests that must be answered 503 before the test goes on.
const REFUSED: usize = 5;
/// The disk is full long before.
const MOST_REQUESTS: u64 = 5_000;
const TOTALS: &str = "SELECT sum(count), sum(sum) FROM cells";

/// A server on a small disk, and the numbers of the requests that were acknowledged and refused.
struct Filling {
    server: Server,
    time: DateTime<Utc>,
    next: u64,
    acknowledged: Vec<u64>,
    refused: Vec<u64>,
}

/// Events that no other request has, of a size of its own, each with the request's number as its value.
fn request(number: u64, time: DateTime<Utc>) -> String {
    let padding = "x".repeat(2_000 + (number * 389 % 2_000) as usize);
    let events = (0..EVENTS).map(|index| {
        let sensor = format!("river-{}", number % 50);
        let mut event = reading_at(&format!("{number}-{index}"), &sensor, number as f64, time);
        event["padding"] = json!(padding);
        event.to_string()
    });
    events.collect::<Vec<_>>().join("\n")
}

fn is_refused_for_now(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.media_type.as_str(), &answer.body["type"]),
        (
            503,
            "application/problem+json",
            &json!("urn:riskgrid:problem:unavailable")
        ),
        "{answer:?}"
    );
    assert!(
        answer.retry_after.is_some_and(|seconds| seconds > 0),
        "{answer:?}"
    );
}

impl Filling {
    fn start(storage: &str) -> Option<Self> {
        let disk = SmallDisk::mount(DISK_MEGABYTES)?;
        std::fs::write(disk.outside().join("ballast"), vec![1; BALLAST]).unwrap();
        Some(Self {
            server: Server::start_on(Some(disk), storage),
            time: Utc::now(),
            next: 0,
            acknowledged: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// Byte by byte the same each time.
    async fn send(&self, number: u64) -> Answer {
        self.server.post(NDJSON, request(number, self.time)).await
    }

    async fn post(&mut self) -> bool {
        let number = self.next;
        self.next += 1;
        let answer = self.send(number).await;
        if answer.status == 202 {
            assert_eq!(answer.body, json!({"accepted": EVENTS, "refused": []}));
            self.acknowledged.push(number);
            return true;
        }
        is_refused_for_now(&answer);
        self.refused.push(number);
        false
    }

    async fn fill(&mut self) {
        while self.refused.len() < REFUSED {
            assert!(self.next < MOST_REQUESTS, "the disk does not fill");
            self.post().await;
        }
        assert!(self.acknowledged.len() > 50, "{:?}", self.acknowledged);
    }

    /// On the full disk the process goes on.
    async fn serves(&self) {
        let health = self.server.client.get(format!("{}/healthz", self.server.url));
        assert_eq!(health.send().await.unwrap().text().await.unwrap(), "ok\n");
        assert_eq!(self.server.rows("SELECT 1 + 1").await, [json!([2])]);
        assert!(!self.server.rows(TOTALS).await.is_empty());
    }

    fn make_room(&self) {
        std::fs::remove_file(self.server.data().with_file_name("ballast")).unwrap();
    }

    /// Exactly what was acknowledged is counted.
    async fn counts_what_it_acknowledged(&self) {
        let events = EVENTS * self.acknowledged.len() as u64;
        let sum = EVENTS * self.acknowledged.iter().sum::<u64>();
        self.server
            .rows_become(TOTALS, &json!([[events, sum as f64]]))
            .await;
    }

    /// Each request that was refused is sent again, and taken.
    async fn takes_what_it_refused(&mut self) {
        for number in std::mem::take(&mut self.refused) {
            let answer = self.send(number).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            self.acknowledged.push(number);
        }
        assert!(self.post().await);
        self.counts_what_it_acknowledged().await;
    }
}

async fn killed_on_the_full_disk(storage: &str) {
    let Some(mut filling) = Filling::start(storage) else {
        return;
    };
    filling.fill().await;
    filling.serves().await;
    filling.server.kill();
    filling.make_room();
    filling.server.restart();
    // Comes after everything that the journal holds; with one refused request before it the sum would be another.
    assert!(filling.post().await);
    filling.counts_what_it_acknowledged().await;
    filling.takes_what_it_refused().await;
    filling.server.kill();
    filling.server.restart();
    filling.counts_what_it_acknowledged().await;
}

#[tokio::test]
async fn killed_with_the_journals_reserve_used_up() {
    killed_on_the_full_disk("").await;
}

/// Without a reserve writes are torn wherever the disk ends, the checkpoints' too.
#[tokio::test]
async fn killed_with_not_a_byte_left() {
    killed_on_the_full_disk("min_free = 0").await;
}

#[tokio::test]
async fn with_room_made_it_goes_on_without_a_restart() {
    let Some(mut filling) = Filling::start("min_free = 0") else {
        return;
    };
    filling.fill().await;
    // What is refused for good cannot be kept now either, or was just so.
    let garbage = filling.server.post(NDJSON, "garbage").await;
    if garbage.status != 400 {
        is_refused_for_now(&garbage);
    }
    filling.serves().await;
    filling.make_room();
    eventually("events are taken again", async || {
        let number = filling.refused[0];
        let answer = filling.send(number).await;
        (answer.status == 202).then_some(())
    })
    .await;
    // The one just taken is a duplicate now: it counts once.
    filling.takes_what_it_refused().await;
    eventually("a refusal is kept again", async || {
        let answer = filling.server.post(NDJSON, "other garbage").await;
        (answer.status == 400).then_some(())
    })
    .await;
    let kept = "SELECT DISTINCT reason FROM dead_letters WHERE size = 13";
    filling
        .server
        .rows_become(kept, &Value::Array(vec![json!(["malformed"])]))
        .await;
    filling.server.stop().await;
    filling.server.restart();
    filling.counts_what_it_acknowledged().await;
}
