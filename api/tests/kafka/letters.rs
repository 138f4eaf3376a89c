//! A feed on Kafka whose mapping was wrong: what it refused is replayed by the mended one and counted once, or all that
//! it brought in is taken out and read again.

use std::process::{Command, Output};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::broker;
use crate::crash_rig;
use crate::server::{Node, kafka_section};
use crate::topic::{PARTITIONS, Topic, unique};

const RIGHT_TIME: &str = "%Y-%m-%dT%H:%M:%S";
const STORAGE: &str = "\n[storage]\ncheckpoint_every = \"100ms\"\n";
const TOTALS: &str = "SELECT layer, sum(count), sum(sum) FROM cells GROUP BY layer ORDER BY layer";
/// Rows of each partition.
const ROWS: i64 = 600;

fn feed(topic: &str, time: &str, unit: &str) -> String {
    format!(
        "[[feeds]]\nname = \"gauges\"\nfrom = {{ kafka = \"{topic}\" }}\nformat = \"csv\"\n\
         columns = [\"id\", \"time\", \"gauge\", \"lon\", \"lat\", \"value\"]\nevent = \"observation\"\n\
         source = {{ const = \"//gauges\" }}\nid = [\"id\"]\n\
         time = {{ field = \"time\", format = \"{time}\", zone = \"UTC\" }}\nlon = \"lon\"\nlat = \"lat\"\nsensor = \"gauge\"\n\
         values = [ {{ field = \"value\", property = \"level\", unit = \"{unit}\" }} ]\n"
    )
}

fn row(start: DateTime<Utc>, partition: i32, number: i64) -> String {
    let time = (start + TimeDelta::milliseconds(100 * number)).format(RIGHT_TIME);
    let lon = 113.9 + number as f64 * 1e-4;
    format!(
        "{partition}-{number},{time},g{},{lon},22.5,{}",
        number % 9,
        number % 50
    )
}

fn rows(start: DateTime<Utc>) -> impl Iterator<Item = (i32, String)> {
    (0..PARTITIONS)
        .flat_map(move |partition| (0..ROWS).map(move |number| (partition, row(start, partition, number))))
}

fn configure(node: &Node, config: &str) {
    std::fs::write(node.path("riskgrid.toml"), config).expect("the configuration is written");
}

async fn replay(node: &Node, filters: Value) -> Value {
    let began = std::time::Instant::now();
    loop {
        let (status, body) = node
            .post("/v1/dead-letters/replay", "application/json", filters.to_string())
            .await;
        if status.is_success() {
            return body;
        }
        // After a kill the log is read again first, and partitions are given anew.
        assert_eq!(status.as_u16(), 503, "{body}");
        assert!(began.elapsed() < std::time::Duration::from_mins(2), "{body}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn open_letters(node: &Node) -> u64 {
    let rows = node
        .sql("SELECT count(*) FROM dead_letters WHERE replayed IS NULL")
        .await;
    rows[0][0].as_u64().expect("a number")
}

fn purge(node: &Node) -> Output {
    Command::new(crash_rig::binary())
        .args(["feeds", "purge", "gauges", "--yes", "--config"])
        .arg(node.path("riskgrid.toml"))
        .arg("--data-dir")
        .arg(node.path("data"))
        .output()
        .expect("the binary runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_topic_are_replayed_by_the_mended_mapping_through_kills() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("gauges")).await;
    let start = Utc::now() - TimeDelta::minutes(10);
    let kafka = kafka_section(&brokers, &unique("observations"), &unique("dead-letters")) + STORAGE;
    topic.produce(rows(start)).await;
    let mut node = Node::new(&(kafka.clone() + &feed(&topic.name, "%d.%m.%Y", "cm")));
    node.start().await;
    let all = ROWS * i64::from(PARTITIONS);
    let refused = "SELECT reason, count(*) FROM dead_letters GROUP BY reason";
    node.wait_sql(refused, &json!([["invalid_time", all]])).await;
    node.stop().await;

    configure(&node, &(kafka + &feed(&topic.name, RIGHT_TIME, "cm")));
    node.start().await;
    // Sent again meanwhile, three of each partition.
    let again =
        (0..PARTITIONS).flat_map(|partition| (0..3).map(move |n| (partition, row(start, partition, n * 7))));
    topic.produce(again).await;
    let sum: i64 = (0..ROWS).map(|number| number % 50).sum::<i64>() * i64::from(PARTITIONS);
    let early: i64 = (0..3).map(|n| n * 7 % 50).sum::<i64>() * i64::from(PARTITIONS);
    node.wait_sql(TOTALS, &json!([["level", 3 * PARTITIONS, early as f64]]))
        .await;
    for _ in 0..3 {
        let before = open_letters(&node).await;
        let request = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = request
            .post(node.url("/v1/dead-letters/replay"))
            .json(&json!({"limit": 700}));
        // Its answer may never come.
        let asked = tokio::spawn(request.send());
        while open_letters(&node).await + 100 > before && !asked.is_finished() {}
        node.kill();
        node.start().await;
    }
    while open_letters(&node).await > 0 {
        replay(&node, json!({"topic": topic.name})).await;
    }
    node.wait_sql(TOTALS, &json!([["level", all, sum as f64]])).await;
    node.kill();
    node.start().await;
    node.wait_sql(TOTALS, &json!([["level", all, sum as f64]])).await;
    let events = node.events().await;
    assert_eq!((events.accepted, events.refused), (all as u64, all as u64));
    assert_eq!(events.duplicate, 3 * PARTITIONS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_binary_mode_is_replayed_with_its_attributes() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let kafka = kafka_section(&brokers, &topic.name, &unique("dead-letters")) + STORAGE;
    let mut node = Node::new(&format!("{kafka}[edge]\nbounds = [0.0, 0.0, 1.0, 1.0]\n"));
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_id", "b1"),
        ("ce_source", "//sensors/river-7"),
        ("ce_type", "riskgrid.observation.v1"),
        ("ce_time", &time),
    ];
    let data = json!({"sensor": "river-7", "property": "water_level", "value": 3.25, "unit": "m", "lon": 113.93, "lat": 22.53});
    topic.produce_with_headers(&attributes, &data.to_string()).await;
    node.start().await;
    let refused = "SELECT reason, count(*) FROM dead_letters GROUP BY reason";
    node.wait_sql(refused, &json!([["invalid_position", 1]])).await;
    node.stop().await;
    configure(&node, &kafka);
    node.start().await;
    let answer = replay(&node, json!({})).await;
    assert_eq!(
        (&answer["replayed"], &answer["accepted"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );
    node.wait_sql(
        "SELECT id, source FROM events",
        &json!([["b1", "//sensors/river-7"]]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_topic_is_read_again_as_by_a_node_that_never_had_it_wrong() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("gauges")).await;
    let start = Utc::now() - TimeDelta::minutes(10);
    let kafka = |observations: &str| kafka_section(&brokers, observations, &unique("dead-letters")) + STORAGE;
    let observations = unique("observations");
    topic.produce(rows(start)).await;
    topic.produce([(1, "not a row")]).await;
    let config = kafka(&observations);
    let mut mended = Node::new(&(config.clone() + &feed(&topic.name, RIGHT_TIME, "m")));
    mended.start().await;
    let all = ROWS * i64::from(PARTITIONS);
    mended.wait_read(all as u64 + 1).await;
    let running = purge(&mended);
    let said = String::from_utf8_lossy(&running.stderr).into_owned();
    assert!(
        !running.status.success() && said.contains("nothing was touched"),
        "{said}"
    );
    mended.stop().await;

    topic.delete_below(2, 10).await;
    let purged = purge(&mended);
    let said = String::from_utf8_lossy(&purged.stdout).into_owned();
    assert!(
        purged.status.success(),
        "{}",
        String::from_utf8_lossy(&purged.stderr)
    );
    assert!(
        said.contains(&format!(
            "partition {}/2 begins at offset 10 in Kafka",
            topic.name
        )),
        "{said}"
    );
    assert!(said.contains("purged: 4 partitions and 1 dead letters"), "{said}");

    configure(&mended, &(config + &feed(&topic.name, RIGHT_TIME, "cm")));
    mended.start().await;
    let mut fresh = Node::new(&(kafka(&unique("observations")) + &feed(&topic.name, RIGHT_TIME, "cm")));
    fresh.start().await;
    for node in [&mut mended, &mut fresh] {
        let read = node.wait_read(all as u64 + 1 - 10).await;
        assert_eq!(
            (read.accepted, read.duplicate, read.refused),
            (all as u64 - 10, 0, 1)
        );
    }
    for sql in [
        "SELECT layer, cell, bucket, count, sum, sum_squares, min, max, last, last_time FROM cells ORDER BY layer, cell, bucket",
        "SELECT layer, unit, count, first_time, last_time FROM layers ORDER BY layer",
        "SELECT sensor, layer, value, last_time FROM sensors ORDER BY sensor, layer",
        "SELECT id, time, value FROM events ORDER BY id",
        "SELECT topic, partition, \"offset\", reason FROM dead_letters",
    ] {
        let expected = fresh.sql(sql).await;
        mended.wait_sql(sql, &expected).await;
    }
}
