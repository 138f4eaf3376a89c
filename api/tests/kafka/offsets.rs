//! Topics that are no longer what checkpoints have read: nothing is read silently from the beginning again, it is said
//! what is wrong and what to do, and doing it helps.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::broker;
use crate::server::{Node, kafka_section};
use crate::topic::{PARTITIONS, Topic, unique};
use crate::two_nodes::wait;

const TOTALS: &str = "SELECT sum(count) FROM cells";
const STORAGE: &str = "\n[storage]\ncheckpoint_every = \"200ms\"\n";
/// Records of each partition at first.
const FIRST: i64 = 40;

/// As many distinct readings in each of so many partitions.
fn readings(partitions: i32, count: i64) -> impl Iterator<Item = (i32, String)> {
    let now: DateTime<Utc> = Utc::now();
    (0..partitions).flat_map(move |partition| {
        (0..count).map(move |number| {
            let event = json!({
                "specversion": "1.0", "id": unique(&format!("{partition}-{number}")), "source": "//sensors/river-7",
                "type": "riskgrid.observation.v1", "time": now.to_rfc3339_opts(SecondsFormat::Secs, true),
                "data": {"sensor": "river-7", "property": "water_level", "value": 3.25, "unit": "m",
                    "lon": 113.93, "lat": 22.53},
            });
            (partition, event.to_string())
        })
    })
}

fn total(records: i64) -> Value {
    json!([[records]])
}

/// A node that has read the first records of a topic, all in its checkpoints.
async fn node_that_has_read() -> Option<(Node, Topic)> {
    let brokers = broker::brokers()?;
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let config = kafka_section(&brokers, &topic.name, &unique("dead-letters")) + STORAGE;
    let mut node = Node::new(&config);
    topic.produce(readings(PARTITIONS, FIRST)).await;
    node.start().await;
    node.wait_sql(TOTALS, &total(FIRST * i64::from(PARTITIONS))).await;
    Some((node, topic))
}

/// What `/readyz` and the log told to do.
fn remove_checkpoints(node: &Node, topic: &Topic) {
    for partition in 0..PARTITIONS {
        std::fs::remove_dir_all(node.checkpoints(&topic.name, partition)).expect("checkpoints");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_with_fewer_records_is_not_read() {
    let Some((mut node, topic)) = node_that_has_read().await else {
        return;
    };
    node.stop().await;
    let topic = topic.make_anew(PARTITIONS).await;
    topic.produce(readings(PARTITIONS, 10)).await;
    for _ in 0..2 {
        node.launch().await;
        node.wait_not_ready("ends at offset 10 in partition 0, and its checkpoint has read up to 40")
            .await;
        assert!(node.log().contains("deleted and made anew"), "{}", node.log());
        // The state of before is still there, and a stop does not spoil it.
        node.wait_sql(TOTALS, &total(FIRST * i64::from(PARTITIONS))).await;
        node.stop().await;
    }
    remove_checkpoints(&node, &topic);
    node.start().await;
    node.wait_sql(TOTALS, &total(10 * i64::from(PARTITIONS))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_under_a_running_node_is_not_read() {
    let Some((mut node, topic)) = node_that_has_read().await else {
        return;
    };
    let topic = topic.make_anew(PARTITIONS).await;
    topic.produce(readings(PARTITIONS, 10)).await;
    node.wait_not_ready("deleted and made anew").await;
    assert_eq!(
        node.sql(TOTALS).await,
        total(FIRST * i64::from(PARTITIONS)),
        "{}",
        node.log()
    );
    node.stop().await;
    remove_checkpoints(&node, &topic);
    node.start().await;
    node.wait_sql(TOTALS, &total(10 * i64::from(PARTITIONS))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_than_before_is_not_read() {
    let Some((mut node, topic)) = node_that_has_read().await else {
        return;
    };
    node.stop().await;
    let topic = topic.make_anew(2).await;
    // More than before: the offsets alone would look sound.
    topic.produce(readings(2, 2 * FIRST)).await;
    node.launch().await;
    node.wait_not_ready("has 2 partitions, and there is a checkpoint of its partition 3")
        .await;
    node.wait_sql(TOTALS, &total(FIRST * i64::from(PARTITIONS))).await;
    node.stop().await;
    remove_checkpoints(&node, &topic);
    node.start().await;
    node.wait_sql(TOTALS, &total(2 * 2 * FIRST)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_next_records_were_deleted_is_not_read_and_the_others_are() {
    let Some((mut node, topic)) = node_that_has_read().await else {
        return;
    };
    node.stop().await;
    topic.produce(readings(PARTITIONS, FIRST)).await;
    topic.delete_below(1, 60).await;
    // What was read already may go: nothing is lost with it.
    topic.delete_below(2, 30).await;
    node.launch().await;
    node.wait_not_ready("begins at offset 60 in partition 1, and its checkpoint has read up to 40")
        .await;
    let others = FIRST * i64::from(2 * PARTITIONS - 1);
    node.wait_sql(TOTALS, &total(others)).await;
    node.stop().await;

    std::fs::remove_dir_all(node.checkpoints(&topic.name, 1)).expect("checkpoints");
    node.start().await;
    // Without the forty that were counted before, with the twenty that are left.
    node.wait_sql(TOTALS, &total(others - 40 + 20)).await;
}

fn has_checkpoint(node: &Node, topic: &Topic, partition: i32) -> bool {
    let files = std::fs::read_dir(node.checkpoints(&topic.name, partition));
    let mut names = files.into_iter().flatten().flatten().map(|file| file.file_name());
    names.any(|name| name.to_string_lossy().ends_with(".manifest.json"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_emptied_before_it_was_read_goes_on_after_a_restart() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    topic.produce(readings(PARTITIONS, FIRST)).await;
    for partition in 0..PARTITIONS {
        topic.delete_below(partition, FIRST).await;
    }
    let mut node = Node::new(&(kafka_section(&brokers, &topic.name, &unique("dead-letters")) + STORAGE));
    for _ in 0..2 {
        node.start().await;
        // Read to its end, which is where it begins.
        wait("that is in checkpoints", async || {
            (0..PARTITIONS).all(|partition| has_checkpoint(&node, &topic, partition))
        })
        .await;
        node.stop().await;
    }
    topic.produce(readings(PARTITIONS, FIRST)).await;
    node.start().await;
    node.wait_sql(TOTALS, &total(FIRST * i64::from(PARTITIONS))).await;
}

/// A node whose feed `later` reads another topic beside the observations, which it has read.
async fn node_with_a_feed(brokers: &str, later: &str) -> (Node, Topic) {
    let topic = Topic::create(brokers, &unique("observations")).await;
    let feed = format!(
        "\n[[feeds]]\nname = \"later\"\nfrom = {{ kafka = \"{later}\" }}\nformat = \"cloudevents\"\n"
    );
    let config = kafka_section(brokers, &topic.name, &unique("dead-letters")) + STORAGE + &feed;
    let mut node = Node::new(&config);
    topic.produce(readings(PARTITIONS, FIRST)).await;
    node.start().await;
    node.wait_sql(TOTALS, &total(FIRST * i64::from(PARTITIONS))).await;
    (node, topic)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_goes_on_when_another_topic_appears() {
    let Some(brokers) = broker::brokers() else { return };
    let later = unique("later");
    let (mut node, topic) = node_with_a_feed(&brokers, &later).await;
    let first = FIRST * i64::from(PARTITIONS);
    // All partitions are assigned anew when the group hears of it.
    let later = Topic::create(&brokers, &later).await;
    later.produce(readings(PARTITIONS, FIRST)).await;
    node.wait_sql(TOTALS, &total(2 * first)).await;
    topic.produce(readings(PARTITIONS, FIRST)).await;
    node.wait_sql(TOTALS, &total(3 * first)).await;
    later.produce(readings(PARTITIONS, FIRST)).await;
    node.wait_sql(TOTALS, &total(4 * first)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sound_goes_on_when_a_partition_is_left_out_under_a_running_node() {
    let Some((mut node, topic)) = node_that_has_read().await else {
        return;
    };
    // It sleeps, for less than its session, while records come and go that it would have read next.
    node.signal("STOP");
    // Takes longer than the broker holds a fetch back: the last one is answered, with nothing, before anything comes.
    Topic::create(topic.brokers(), &unique("unrelated")).await;
    topic.produce(readings(PARTITIONS, FIRST)).await;
    topic.delete_below(1, 60).await;
    node.signal("CONT");
    // No rebalance: the other partitions are assigned anew in the middle of being read.
    node.wait_not_ready("begins at offset 60 in partition 1, and its checkpoint has read up to 40")
        .await;
    let others = FIRST * i64::from(2 * PARTITIONS - 1);
    node.wait_sql(TOTALS, &total(others)).await;
    topic.produce(readings(PARTITIONS, FIRST)).await;
    node.wait_sql(TOTALS, &total(others + FIRST * i64::from(PARTITIONS - 1)))
        .await;
}
