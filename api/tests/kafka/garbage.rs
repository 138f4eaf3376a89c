//! What does not belong in a topic: the stream goes on, and each record is accounted for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::broker;
use crate::server::{Events, Node};
use crate::topic::{Topic, unique};

const GOOD: usize = 200;

fn event(id: usize, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let time = chrono::Utc::now().to_rfc3339();
    let mut event = json!({"specversion": "1.0", "id": id.to_string(), "source": "//kafka-test",
        "type": "riskgrid.observation.v1", "time": time,
        "data": {"sensor": format!("s{id}"), "property": "water_level", "value": 1.5, "unit": "m",
            "lon": 113.93, "lat": 22.53}});
    change(&mut event);
    event.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_a_topic_is_accounted_for_and_the_stream_goes_on() {
    let Some(brokers) = broker::brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let dead_letters = unique("dead-letters");
    let mut node = Node::new(&format!(
        "[kafka]\nbrokers = \"{brokers}\"\ngroup = \"{group}\"\nobservations = \"{topic}\"\nreports = \"{topic}-r\"\n\
         positions = \"{topic}-p\"\ndead_letters = \"{dead_letters}\"\nrefresh = \"200ms\"\n\
         [edge]\nbounds = [113.0, 22.0, 115.0, 23.0]\n",
        group = unique("group"),
        topic = topic.name,
    ));
    let bad: [(&str, Vec<u8>); 8] = [
        ("malformed", vec![0xff, 0x00, 0xfe, 0x7b]),
        ("malformed", b"\"text\"".to_vec()),
        (
            "malformed",
            String::from_utf8(event(1, |_| {}))
                .unwrap()
                .replace("1.5", "NaN")
                .into_bytes(),
        ),
        ("too_large", vec![b'x'; 10_000_000]),
        (
            "unknown_type",
            event(2, |event| event["type"] = "org.example.other".into()),
        ),
        (
            "invalid_position",
            event(3, |event| {
                event["data"]["lon"] = 22.53.into();
                event["data"]["lat"] = 83.93.into();
            }),
        ),
        (
            "too_late",
            event(4, |event| event["time"] = "1970-01-01T00:00:00Z".into()),
        ),
        (
            "in_future",
            event(5, |event| event["time"] = "2100-01-01T00:00:00Z".into()),
        ),
    ];
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    // One partition, so that the horizon that makes 1970 too late is that of the good events before it.
    let mut records = vec![(0, event(100, |_| {}))];
    for (index, (reason, record)) in bad.iter().enumerate() {
        *expected.entry((*reason).to_owned()).or_default() += 1;
        records.push((0, record.clone()));
        records.push((0, event(200 + index, |_| {})));
    }
    let mixed = records.len() - bad.len();
    records.extend((mixed..GOOD).map(|index| (0, event(1000 + index, |_| {}))));
    let total = records.len() as u64;
    topic.produce(records).await;

    node.start().await;
    let read = node.wait_read(total).await;
    let refused = bad.len() as u64;
    assert_eq!(
        read,
        Events {
            accepted: GOOD as u64,
            duplicate: 0,
            refused
        }
    );
    let counted = node
        .numbers("SELECT layer, sum(count) FROM cells GROUP BY layer")
        .await;
    assert_eq!(counted, BTreeMap::from([("water_level".to_owned(), GOOD as u64)]));
    let reasons = "SELECT reason, count(*) FROM dead_letters GROUP BY reason";
    assert_eq!(node.numbers(reasons).await, expected);

    // What comes over HTTP takes the same way.
    let posted = String::from_utf8(event(5000, |_| {})).unwrap();
    let (status, answer) = node
        .post("/v1/events", "application/cloudevents+json", posted)
        .await;
    assert_eq!(
        (status.as_u16(), &answer["accepted"]),
        (202, &json!(1)),
        "{answer}"
    );
    let total_sql = "SELECT layer, sum(count) FROM cells GROUP BY layer";
    node.wait_sql(total_sql, &json!([["water_level", GOOD + 1]]))
        .await;

    node.stop().await;
    let kept = Topic::read_all(&brokers, &dead_letters, bad.len());
    assert_eq!(kept.len(), bad.len());
    let text = kept.iter().find(|record| record.payload == b"\"text\"");
    assert_eq!(
        text.map(|record| record.header("riskgrid-reason")),
        Some("malformed")
    );
    let largest = kept.iter().map(|record| record.payload.len()).max();
    assert_eq!(
        largest,
        Some(64 * 1024),
        "of what is too large the first 64 KiB are kept"
    );
}
