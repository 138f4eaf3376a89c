//! What does not belong in a topic, between events that do: the stream goes on, the good are counted, and each other
//! record is accounted for under its place, in SQL and in the dead-letter topic. And the HTTP intake, whose log is
//! Kafka.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::broker;
use crate::server::{Events, Node, kafka_section};
use crate::topic::{PARTITIONS, Topic, unique};

/// Bytes kept of a record that is too large, and of one that the topic would not take; others are kept whole.
const KEPT: usize = 64 * 1024;
const BOUNDS: &str =
    "[edge]\nbounds = [113.7, 22.4, 114.7, 22.9]\n\n[storage]\ncheckpoint_every = \"500ms\"\n";

/// A reading of a gauge within the bounds.
fn reading(id: &str, time: DateTime<Utc>) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "//sensors/river-7", "type": "riskgrid.observation.v1",
        "time": time.to_rfc3339_opts(SecondsFormat::Secs, true),
        "data": {
            "sensor": "river-7", "property": "water_level", "value": 3.25, "unit": "m", "lon": 113.93, "lat": 22.53,
        },
    })
}

/// As many bytes of JSON, by an attribute that nobody knows.
fn padded(mut event: Value, bytes: usize) -> Vec<u8> {
    event["padding"] = json!("");
    let bare = event.to_string().len();
    event["padding"] = "x".repeat(bytes - bare).into();
    event.to_string().into_bytes()
}

/// One of each kind, with the reason for which it is refused.
fn garbage(now: DateTime<Utc>) -> Vec<(&'static str, Vec<u8>)> {
    let text = |event: Value| event.to_string().into_bytes();
    let at = |time: &str| text(reading("elsewhen", time.parse().expect("a time")));
    let mut swapped = reading("swapped", now);
    // Legal, as latitudes reach 90; only the bounds can tell.
    swapped["data"]["lon"] = json!(22.53);
    swapped["data"]["lat"] = json!(67.93);
    let mut impossible = reading("impossible", now);
    impossible["data"]["lon"] = json!(22.53);
    impossible["data"]["lat"] = json!(113.93);
    let mut typed = reading("typed", now);
    typed["type"] = json!("riskgrid.rumour.v1");
    let mut placeless = reading("placeless", now);
    placeless["data"]["lon"] = Value::Null;
    vec![
        ("malformed", b"\xff\xfe\x00garbage\x01".to_vec()),
        ("malformed", Vec::new()),
        ("malformed", b"\"text\"".to_vec()),
        (
            "malformed",
            reading("nan", now)
                .to_string()
                .replace("3.25", "NaN")
                .into_bytes(),
        ),
        // Below edge.max_event, above what a producer takes by default.
        ("malformed", vec![b'{'; 1_040_000]),
        ("too_large", vec![b'x'; 10_000_000]),
        ("too_large", padded(reading("large", now), 2_000_000)),
        ("unknown_type", text(typed)),
        ("missing_field", text(placeless)),
        ("in_future", at("2100-01-01T00:00:00Z")),
        ("too_late", at("1970-01-01T00:00:00Z")),
        ("invalid_position", text(swapped)),
        ("invalid_position", text(impossible)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_between_good_events_is_accounted_for() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let dead_letters = unique("dead-letters");
    let config = format!(
        "{}\n{BOUNDS}",
        kafka_section(&brokers, &topic.name, &dead_letters)
    );
    let mut node = Node::new(&config);
    node.start().await;

    let now = Utc::now();
    let garbage = garbage(now);
    let mut records: Vec<(i32, Vec<u8>)> = Vec::new();
    // Partition, offset and reason of each record that must be refused, and what is kept of it.
    let mut refused: BTreeMap<(i32, i64), (&str, &[u8])> = BTreeMap::new();
    let mut good = 0_u64;
    for partition in 0..PARTITIONS {
        let mut offset = 0;
        for (reason, record) in &garbage {
            // A good one before each, so that there is a newest event for 1970 to be late behind.
            let event = reading(
                &format!("{partition}-{offset}"),
                now - TimeDelta::seconds(60 - offset),
            );
            records.push((partition, event.to_string().into_bytes()));
            records.push((partition, record.clone()));
            refused.insert(
                (partition, offset + 1),
                (
                    reason,
                    if record.len() > 1_000_000 {
                        &record[..KEPT]
                    } else {
                        record
                    },
                ),
            );
            offset += 2;
            good += 1;
        }
        let last = reading(&format!("{partition}-last"), now);
        records.push((partition, last.to_string().into_bytes()));
        good += 1;
    }
    topic.produce(records).await;

    let all = Events {
        accepted: good,
        duplicate: 0,
        refused: refused.len() as u64,
    };
    let expected: Vec<Value> = refused
        .iter()
        .map(|((partition, offset), (reason, _))| json!([partition, offset, 0, reason]))
        .collect();
    let sql = format!(
        "SELECT partition, \"offset\", \"index\", reason FROM dead_letters WHERE topic = '{}' ORDER BY 1, 2",
        topic.name
    );
    for killed in [false, true] {
        if killed {
            node.kill();
            node.start().await;
        }
        assert_eq!(node.wait_read(all.read()).await, all);
        assert_eq!(
            node.numbers("SELECT layer, sum(count) FROM cells GROUP BY layer")
                .await,
            numbers([("water_level", good)])
        );
        assert_eq!(node.sql(&sql).await, json!(expected));
    }
    let sizes = "SELECT DISTINCT size FROM dead_letters WHERE reason = 'too_large' ORDER BY size";
    assert_eq!(node.sql(sizes).await, json!([[2_000_000], [10_000_000]]));

    let read = Topic::read_all(&brokers, &dead_letters, refused.len());
    let keys: BTreeSet<&str> = read.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys.len(), refused.len());
    for ((partition, offset), (reason, kept)) in &refused {
        let key = format!("{}/{partition}/{offset}/0", topic.name);
        let record = read
            .iter()
            .find(|record| record.key == key)
            .unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(record.header("riskgrid-reason"), *reason);
        assert!(
            record.payload == *kept,
            "{key} {reason}: {} bytes kept",
            record.payload.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_posted_over_http_go_through_kafka() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let dead_letters = unique("dead-letters");
    let mut node = Node::new(&format!(
        "{}\n{BOUNDS}",
        kafka_section(&brokers, &topic.name, &dead_letters)
    ));
    node.start().await;

    let now = Utc::now();
    let mut lines: Vec<Vec<u8>> = ["a", "b", "c"]
        .iter()
        .map(|id| reading(id, now).to_string().into_bytes())
        .collect();
    // As large as an event may be, nearly; and one that is larger than both an event and a message may be.
    lines.push(padded(reading("nearly", now), (1 << 20) - 1));
    lines.push(b"garbage".to_vec());
    lines.push(padded(reading("large", now), 3_000_000));
    let body = String::from_utf8(lines.join(&b'\n')).expect("text");
    let (status, answer) = node.post("/v1/events", "application/x-ndjson", body).await;
    assert_eq!(status, reqwest::StatusCode::ACCEPTED, "{answer}");
    assert_eq!(answer["accepted"], 4, "{answer}");
    let reasons: Vec<&Value> = answer["refused"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|refused| &refused["reason"])
        .collect();
    assert_eq!(reasons, ["malformed", "too_large"]);
    node.wait_sql(
        "SELECT layer, sum(count) FROM cells GROUP BY layer",
        &json!([["water_level", 4]]),
    )
    .await;

    // They are in the topic, keyed by their source; again, they are duplicates.
    let read = Topic::read_all(&brokers, &topic.name, 4);
    assert_eq!(read.len(), 4);
    assert!(read.iter().all(|record| record.key == "//sensors/river-7"));
    let (status, _) = node
        .post(
            "/v1/events",
            "application/cloudevents+json",
            reading("a", now).to_string(),
        )
        .await;
    assert_eq!(status, reqwest::StatusCode::ACCEPTED);
    let read = node.wait_read(5).await;
    assert_eq!((read.accepted, read.duplicate), (4, 1));
    node.wait_sql(
        "SELECT layer, sum(count) FROM cells GROUP BY layer",
        &json!([["water_level", 4]]),
    )
    .await;

    let kept = node
        .numbers("SELECT reason, count(*) FROM dead_letters WHERE topic = 'http' GROUP BY reason")
        .await;
    assert_eq!(kept, numbers([("malformed", 1), ("too_large", 1)]));
    let read = Topic::read_all(&brokers, &dead_letters, 2);
    let reasons: BTreeSet<&str> = read
        .iter()
        .map(|record| record.header("riskgrid-reason"))
        .collect();
    assert_eq!(reasons, BTreeSet::from(["malformed", "too_large"]));
}

fn numbers<const N: usize>(pairs: [(&str, u64); N]) -> BTreeMap<String, u64> {
    pairs
        .into_iter()
        .map(|(name, number)| (name.to_owned(), number))
        .collect()
}
