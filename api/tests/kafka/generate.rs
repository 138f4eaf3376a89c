//! `riskgrid generate` to Kafka: what it says must come out is what comes out.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::broker;
use crate::crash::compare;
use crate::crash_rig::{Truth, binary};
use crate::server::{Node, kafka_section};
use crate::topic::{Topic, unique};

const EVENTS: &str = "30000";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_produced_comes_to_the_totals_of_all_partitions() {
    let Some(brokers) = broker::brokers() else { return };
    let observations = unique("observations");
    let mut node = Node::new(&kafka_section(&brokers, &observations, &unique("dead-letters")));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command
        .args(["generate", "--kafka", &brokers, "--config"])
        .arg(node.path("riskgrid.toml"))
        .args(["--events", EVENTS, "--span", "3h"])
        .args(["--late", "0.05", "--duplicates", "0.02", "--bad", "0.04"])
        .arg("--expect")
        .arg(folder.path().join(Truth::TOTALS))
        .arg("--expect-cells")
        .arg(folder.path().join(Truth::CELLS));
    // Before the first start of the server: the topics are made as the server would make them.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    node.start().await;
    let truth = Truth::read(folder.path());
    assert_eq!(truth.refused.len(), 8);
    compare(&mut node, &truth).await;

    // Keyed by source, also those that cannot say theirs.
    let read = Topic::read_all(&brokers, &observations, 20_000);
    let sources: BTreeSet<&str> = read.iter().map(|record| record.key.as_str()).collect();
    assert!(sources.len() > 2_000, "{}", sources.len());
    for record in &read {
        assert!(record.key.starts_with("//load/"), "{}", record.key);
        if let Ok(event) = serde_json::from_slice::<Value>(&record.payload)
            && let Some(source) = event["source"].as_str()
        {
            assert_eq!(source, record.key);
        }
    }
}
