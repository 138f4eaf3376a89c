//! Killed again and again while events are produced to Kafka: every record is judged once, whatever was read again.

use std::path::PathBuf;

use crate::broker;
use crate::crash_rig::{Counts, Plan, Truth, Victim, pairs, run};
use crate::server::{Node, kafka_section};
use crate::topic::unique;

impl Victim for Node {
    fn spawn(&mut self) {
        self.spawn();
    }

    async fn ready(&mut self) {
        self.serves().await;
        self.wait_ready().await;
    }

    fn kill(&mut self) {
        self.kill();
    }

    async fn page(&self, path: &str) -> Option<String> {
        let (status, body) = self.get(path).await;
        status.is_success().then(|| String::from_utf8(body).unwrap())
    }

    async fn csv(&self, sql: &str) -> String {
        self.csv(sql).await
    }

    fn checkpoints(&self) -> PathBuf {
        self.path("data/checkpoints")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_survives_kills_on_kafka() {
    let Some(brokers) = broker::brokers() else { return };
    let plan = Plan::from_environment();
    let kafka = kafka_section(&brokers, &unique("observations"), &unique("dead-letters"));
    let every = plan.checkpoint_every();
    let mut node = Node::new(&format!("{kafka}\n[storage]\ncheckpoint_every = \"{every}\"\n"));
    let config = node.path("riskgrid.toml");
    let target = ["--kafka", &brokers, "--config", config.to_str().unwrap()];
    let truth = run(&mut node, &plan, &target).await;
    compare(&mut node, &truth).await;
    node.kill();
    node.start().await;
    compare(&mut node, &truth).await;
}

/// Every record is judged as the generator says, once.
pub(crate) async fn compare(node: &mut Node, truth: &Truth) {
    node.wait_read(truth.read).await;
    let counts = Counts::of(&node.page("/metrics").await.unwrap());
    let expected = Counts {
        accepted: truth.accepted,
        duplicate: truth.duplicate,
        refused: truth.refused.clone(),
    };
    assert_eq!(counts, expected);
    truth.holds_in_cells(node).await;
    let letters = "SELECT reason, count(*) FROM dead_letters GROUP BY reason";
    assert_eq!(pairs(&node.csv(letters).await), truth.refused);
}
