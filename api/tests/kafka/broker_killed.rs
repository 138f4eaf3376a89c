//! The broker is killed and started again in the middle of a load, ten times: riskgrid waits for it, says so once each
//! time, and in the end has counted exactly what the generator says.

use std::collections::BTreeMap;
use std::time::Duration;

use riskgrid_fixtures::load::Truth;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::load::troubled;
use crate::server::{Events, Node, kafka_section};
use crate::topic::{Topic, unique};

const LINES: u64 = 11_000;
const KILLS: u64 = 10;
const EVENTS: &str = "/v1/events";
const NDJSON: &str = "application/x-ndjson";

/// Three readings of a layer of their own.
fn posted() -> String {
    let now = chrono::Utc::now().to_rfc3339();
    let events = ["a", "b", "c"].map(|id| {
        json!({
            "specversion": "1.0", "id": id, "source": "//sensors/posted", "type": "riskgrid.observation.v1",
            "time": now, "data": {"sensor": "posted", "property": "posted_level", "value": 1, "unit": "m",
            "lon": 113.93, "lat": 22.53},
        })
        .to_string()
    });
    events.join("\n")
}

/// Everything that was produced is counted as the generator says; `posted` events in their own layer.
async fn is_the_truth(node: &mut Node, truth: &Truth, posted: u64) {
    let counted = truth.layers.iter().filter(|(_, layer)| layer.count > 0);
    let mut layers: BTreeMap<&str, u64> = counted.map(|(id, layer)| (*id, layer.count)).collect();
    layers.insert("posted_level", posted);
    let expected: Value = layers.iter().map(|(id, count)| json!([id, count])).collect();
    let sql = "SELECT layer, sum(count) FROM cells GROUP BY layer ORDER BY layer";
    node.wait_sql(sql, &expected).await;
    let refused = truth.refused.iter().map(|(reason, count)| json!([reason, count]));
    let letters = "SELECT reason, count(*) FROM dead_letters GROUP BY reason ORDER BY reason";
    node.wait_sql(letters, &refused.collect()).await;
}

/// The intake refuses events while the broker is away, and asks to be tried again; other requests are served.
async fn intake_says_so(node: &Node, body: &str) {
    let answer = node.post_for_answer(EVENTS, NDJSON, body.to_owned()).await;
    assert_eq!(
        (
            answer.status(),
            answer.headers()["content-type"].to_str().expect("text")
        ),
        (
            reqwest::StatusCode::SERVICE_UNAVAILABLE,
            "application/problem+json"
        )
    );
    assert!(answer.headers().contains_key("retry-after"));
    assert!(node.get("/healthz").await.0.is_success());
    assert_eq!(node.sql("SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_again_and_again_costs_nothing_and_the_intake_says_so_meanwhile() {
    let Some(broker) = Broker::start() else { return };
    let topic = Topic::create(&broker.address, &unique("observations")).await;
    let dead_letters = unique("dead-letters");
    let config = kafka_section(&broker.address, &topic.name, &dead_letters);
    let mut node = Node::new(&format!("{config}\n[storage]\ncheckpoint_every = \"300ms\"\n"));
    node.start().await;

    let (records, truth) = troubled(LINES, 50.0);
    let parts: Vec<Vec<(i32, String)>> = records.chunks(25).map(<[_]>::to_vec).collect();
    let producing = tokio::spawn(async move {
        for part in parts {
            topic.produce(part).await;
            // About as many as can be read at the same time, so that there are some to come at each kill.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        topic
    });
    let body = posted();
    for kill in 1..=KILLS {
        node.wait_read(LINES * kill / (KILLS + 1)).await;
        broker.kill();
        node.wait_not_ready("Kafka does not answer").await;
        // Once: an answer takes as long as delivery is waited for.
        if kill == 1 {
            intake_says_so(&node, &body).await;
        }
        broker.restart();
        node.wait_ready().await;
    }
    let topic = producing.await.expect("all is produced");
    // Sent again under the same ids, whatever became of them: once.
    for _ in 0..2 {
        let (status, answer) = node.post(EVENTS, NDJSON, body.clone()).await;
        assert_eq!(
            (status.as_u16(), &answer["accepted"]),
            (202, &json!(3)),
            "{answer}"
        );
    }
    let all = Events {
        accepted: truth.accepted() + 3,
        duplicate: truth.duplicates + 3,
        refused: truth.refused_total(),
    };
    let read = node.wait_read(all.read()).await;
    is_the_truth(&mut node, &truth, 3).await;
    let once = Events {
        // What was produced in vain may have come through after all.
        duplicate: all.duplicate.max(read.duplicate),
        ..all
    };
    assert_eq!(read, once);

    // Each absence is said once, and each return; and nothing several times a second.
    let log = node.whole_log();
    let said = |what: &str| log.lines().filter(|line| line.contains(what)).count() as u64;
    assert_eq!(
        (said("Kafka does not answer"), said("Kafka answers again")),
        (KILLS, KILLS),
        "{log}"
    );
    let complaints = said("WARN") + said("ERROR");
    assert!(complaints <= 6 * KILLS, "{complaints} complaints: {log}");

    let refused = usize::try_from(truth.refused_total()).expect("fits");
    let kept = Topic::read_all(topic.brokers(), &dead_letters, refused);
    let keys: std::collections::BTreeSet<&str> = kept.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys.len(), refused);

    node.kill();
    node.start().await;
    is_the_truth(&mut node, &truth, 3).await;
}
