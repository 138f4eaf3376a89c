//! Nodes that share their checkpoints in an object store: as in a folder, and when the store goes away and comes back.

use crate::broker::brokers;
use crate::load::troubled;
use crate::proxy::Proxy;
use crate::server::{Node, toml_path};
use crate::test_store::TestStore;
use crate::topic::{Topic, unique};
use crate::two_nodes::{config, has_all, is_the_truth, read, share, they_join_leave_and_die, wait};

const LINES: u64 = 12_000;

/// `[storage]` with checkpoints in a place of the store that nobody else uses, reached at an endpoint.
fn in_bucket(store: &TestStore, place: &str, endpoint: Option<&str>) -> String {
    let reached = store.double.as_ref().map_or_else(String::new, |double| {
        format!(
            "region = \"us-east-1\"\nendpoint = \"{}\"\nallow_http = true\naccess_key_id = \"test\"\n\
             secret_access_key_file = {}\n",
            endpoint.unwrap_or(&double.endpoint),
            toml_path(&double.secret_file),
        )
    });
    format!(
        "[storage]\ncheckpoints = \"{place}\"\ncheckpoint_every = \"300ms\"\n[storage.object_store]\nretry_for = \"200ms\"\n{reached}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_share_an_object_store_count_everything_once() {
    let (Some(brokers), Some(store)) = (brokers(), TestStore::shared()) else {
        return;
    };
    they_join_leave_and_die(&brokers, &in_bucket(store, &store.new_place(), None)).await;
}

/// One node is killed while the other cannot reach the store.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_ingest_goes_on_and_what_cannot_be_loaded_is_not_read() {
    let (Some(brokers), Some(store)) = (brokers(), TestStore::shared()) else {
        return;
    };
    let Some(double) = &store.double else { return };
    let proxy = Proxy::to(double.endpoint.trim_start_matches("http://"));
    let place = store.new_place();
    let behind_it = in_bucket(store, &place, Some(&format!("http://{}", proxy.address)));
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let beside = config(&brokers, &topic.name, &in_bucket(store, &place, None));
    let group = beside.lines().take_while(|line| !line.starts_with("[storage]"));
    let behind = format!("{}\n{behind_it}", group.collect::<Vec<_>>().join("\n"));
    let (mut one, mut other) = (Node::new(&beside), Node::new(&behind));
    let (records, truth) = troubled(LINES, 40.0);
    let mut parts = records.chunks(records.len().div_ceil(3)).map(<[_]>::to_vec);
    let mut produce = async || topic.produce(parts.next().expect("three parts")).await;

    one.start().await;
    other.start().await;
    wait("they share", async || share(&one, &other).await).await;
    produce().await;
    let third = LINES / 3;
    wait("a third is read", async || {
        read(&[&one, &other]).await.read() >= third
    })
    .await;

    proxy.cut_after(0);
    produce().await;
    wait("ingest goes on", async || {
        read(&[&one, &other]).await.read() >= 2 * third
    })
    .await;
    wait("checkpoints fail, and it is said", async || {
        other.metric("riskgrid_checkpoint_failures_total").await > 0.0
    })
    .await;
    assert!(proxy.is_cut());
    one.kill();
    other.wait_not_ready("is not read yet").await;
    let (have, total) = other.partitions().await;
    assert!(have < total, "{have} of {total} without their state");

    proxy.mend();
    produce().await;
    wait("all is the other one's", async || has_all(&other).await).await;
    is_the_truth(&[&other], &truth).await;
    // And so it is in the store.
    other.kill();
    other.start().await;
    wait("it has all again", async || has_all(&other).await).await;
    is_the_truth(&[&other], &truth).await;
}
