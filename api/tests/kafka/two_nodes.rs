//! Two nodes of one group that share their checkpoints: one joins, one leaves, one is killed, one sleeps for longer than
//! its session and wakes. Whoever has a partition goes on where the other stood; together they count everything once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riskgrid_fixtures::load::Truth;

use crate::broker::brokers;
use crate::load::troubled;
use crate::server::{Events, Node, kafka_section, toml_path};
use crate::topic::{PARTITIONS, Topic, unique};

const LINES: u64 = 24_000;
const DEADLINE: Duration = Duration::from_mins(2);

/// Checkpoints in a folder that both see.
fn in_folder(folder: &tempfile::TempDir) -> String {
    let checkpoints = toml_path(folder.path());
    format!("[storage]\ncheckpoints = {checkpoints}\ncheckpoint_every = \"300ms\"\n")
}

pub(crate) fn config(brokers: &str, topic: &str, storage: &str) -> String {
    let kafka = kafka_section(brokers, topic, &unique("dead-letters"));
    format!("{kafka}\n{storage}")
}

/// Looks until it is so.
pub(crate) async fn wait(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < DEADLINE, "not so: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The node shows all partitions.
pub(crate) async fn has_all(node: &Node) -> bool {
    let (have, total) = node.partitions().await;
    total > PARTITIONS.unsigned_abs() as usize && have == total
}

/// Both have some, and together all.
pub(crate) async fn share(one: &Node, other: &Node) -> bool {
    let ((some, total), (rest, other_total)) = (one.partitions().await, other.partitions().await);
    some > 0 && rest > 0 && total == other_total && some + rest == total
}

pub(crate) async fn read(nodes: &[&Node]) -> Events {
    let mut all = Events::default();
    for node in nodes {
        let events = node.events().await;
        all.accepted += events.accepted;
        all.duplicate += events.duplicate;
        all.refused += events.refused;
    }
    all
}

/// The sums over `cells` of all nodes by layer, and the refused records by key.
pub(crate) async fn is_the_truth(nodes: &[&Node], truth: &Truth) {
    let expected = Events {
        accepted: truth.accepted(),
        duplicate: truth.duplicates,
        refused: truth.refused_total(),
    };
    // While partitions change hands both may show them for a moment.
    wait("everything is counted once", async || {
        read(nodes).await == expected || {
            println!("{:?}, not {expected:?}", read(nodes).await);
            false
        }
    })
    .await;
    let counted = truth.layers.iter().filter(|(_, layer)| layer.count > 0);
    let layers: BTreeMap<String, u64> = counted
        .map(|(id, layer)| ((*id).to_owned(), layer.count))
        .collect();
    wait("all layers are shown", async || {
        let mut shown: BTreeMap<String, u64> = BTreeMap::new();
        for node in nodes {
            let counts = node
                .numbers("SELECT layer, sum(count) FROM cells GROUP BY layer")
                .await;
            for (layer, count) in counts {
                *shown.entry(layer).or_default() += count;
            }
        }
        shown == layers
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_join_leave_and_die_and_everything_is_counted_once() {
    let Some(brokers) = brokers() else { return };
    let shared = tempfile::tempdir().unwrap();
    they_join_leave_and_die(&brokers, &in_folder(&shared)).await;
}

/// The same for any place of checkpoints, which `[storage]` names.
pub(crate) async fn they_join_leave_and_die(brokers: &str, storage: &str) {
    let topic = Topic::create(brokers, &unique("observations")).await;
    let config = config(brokers, &topic.name, storage);
    let (mut one, mut other) = (Node::new(&config), Node::new(&config));
    let (records, truth) = troubled(LINES, 40.0);
    let mut parts = records.chunks(records.len().div_ceil(4)).map(<[_]>::to_vec);
    let mut produce = async || topic.produce(parts.next().expect("four parts")).await;

    one.start().await;
    produce().await;
    wait("one has all", async || has_all(&one).await).await;
    // The other joins while it reads.
    other.launch().await;
    wait("they share", async || share(&one, &other).await).await;
    produce().await;
    let half = LINES / 2;
    wait("half is read", async || {
        read(&[&one, &other]).await.read() >= half
    })
    .await;

    other.kill();
    produce().await;
    wait("the rest is the first one's", async || has_all(&one).await).await;
    other.start().await;
    wait("they share again", async || share(&one, &other).await).await;

    one.stop().await;
    produce().await;
    wait("all is the second one's", async || has_all(&other).await).await;
    is_the_truth(&[&other], &truth).await;

    one.start().await;
    wait("they share at last", async || share(&one, &other).await).await;
    is_the_truth(&[&one, &other], &truth).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_slept_longer_than_its_session_neither_overwrites_nor_counts_twice() {
    let Some(brokers) = brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let shared = tempfile::tempdir().unwrap();
    let config = config(&brokers, &topic.name, &in_folder(&shared));
    let (mut one, mut sleeper) = (Node::new(&config), Node::new(&config));
    let (records, truth) = troubled(LINES, 40.0);
    let mut parts = records.chunks(records.len().div_ceil(4)).map(<[_]>::to_vec);
    let mut produce = async || topic.produce(parts.next().expect("four parts")).await;

    one.start().await;
    sleeper.start().await;
    wait("they share", async || share(&one, &sleeper).await).await;
    produce().await;
    let quarter = LINES / 4;
    wait("a quarter is read", async || {
        read(&[&one, &sleeper]).await.read() >= quarter
    })
    .await;
    // What it is sent now it may have fetched, and not applied.
    produce().await;
    sleeper.signal("STOP");
    wait("all is the other one's", async || has_all(&one).await).await;
    produce().await;
    wait("three quarters are read", async || {
        read(&[&one]).await.read() >= 3 * quarter
    })
    .await;
    sleeper.signal("CONT");
    produce().await;
    wait("they share again", async || share(&one, &sleeper).await).await;
    is_the_truth(&[&one, &sleeper], &truth).await;

    // And so it is in the checkpoints.
    one.kill();
    wait("all is the sleeper's", async || has_all(&sleeper).await).await;
    is_the_truth(&[&sleeper], &truth).await;
    sleeper.kill();
    sleeper.start().await;
    wait("it has all again", async || has_all(&sleeper).await).await;
    is_the_truth(&[&sleeper], &truth).await;
}

/// The newest claim in a partition's folder: its file and the number of its epoch.
pub(crate) fn newest_claim(checkpoints: &Path, partition: &str) -> Option<(PathBuf, u64)> {
    let folders = std::fs::read_dir(checkpoints).ok()?.filter_map(Result::ok);
    let files = folders.filter_map(|entry| {
        let path = entry.path();
        if entry.file_name() == partition {
            let files = std::fs::read_dir(&path).ok()?.filter_map(Result::ok);
            return files
                .filter_map(|file| {
                    let name = file.file_name().into_string().ok()?;
                    let epoch = name.strip_suffix("-claim.json")?.parse().ok()?;
                    Some((file.path(), epoch))
                })
                .max_by_key(|(_, epoch)| *epoch);
        }
        newest_claim(&path, partition)
    });
    files.max_by_key(|(_, epoch)| *epoch)
}

/// The group gives the partitions to the one node that there is; the claim of another, which is in no group, takes one from
/// it for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_the_group_does_not_back_is_taken_back() {
    let Some(brokers) = brokers() else { return };
    let topic = Topic::create(&brokers, &unique("observations")).await;
    let shared = tempfile::tempdir().unwrap();
    let mut node = Node::new(&config(&brokers, &topic.name, &in_folder(&shared)));
    let (records, truth) = troubled(LINES, 40.0);
    let (first, second) = records.split_at(records.len() / 2);
    let partition = format!("{}@0", topic.name);

    node.start().await;
    topic.produce(first.to_vec()).await;
    wait("half is read", async || {
        read(&[&node]).await.read() == first.len() as u64
    })
    .await;
    wait("it has claimed the partition", async || {
        newest_claim(shared.path(), &partition).is_some()
    })
    .await;

    let (file, epoch) = newest_claim(shared.path(), &partition).unwrap();
    let mut claim: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let owner = claim["owner"].as_str().unwrap().to_owned();
    claim["owner"] = "a node of no group".into();
    claim["writer"] = 1.into();
    let others = file.with_file_name(format!("{:08}-claim.json", epoch + 1));
    std::fs::write(&others, claim.to_string()).unwrap();

    // With something to save it finds the claim.
    topic.produce(second.to_vec()).await;
    wait("it lets go", async || !has_all(&node).await).await;
    wait("it has all again", async || has_all(&node).await).await;
    is_the_truth(&[&node], &truth).await;
    let (file, newest) = newest_claim(shared.path(), &partition).unwrap();
    assert!(newest > epoch + 1, "{newest}");
    let claim: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(claim["owner"], owner.as_str());
}
