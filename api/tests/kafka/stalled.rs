//! Connections that stay open and bring nothing, by a proxy before the broker: the reader notices, takes another client,
//! and goes on where the grid stands. Nothing is lost or counted twice by it, and what was claimed stays so.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use riskgrid_fixtures::load::Truth;

use crate::broker::Broker;
use crate::load::troubled;
use crate::server::{Node, kafka_section};
use crate::topic::{Topic, unique};
use crate::two_nodes::{is_the_truth, newest_claim, read, wait};

const LINES: u64 = 6_000;
/// The number of the request for records in Kafka's protocol.
const FETCH: i16 = 1;

/// Passes connections on to a broker; the requests of those that are silenced, or only those for records, it keeps.
struct Silencer {
    address: SocketAddr,
    listener: TcpListener,
    /// How many connections have been made.
    made: Arc<AtomicU64>,
    /// Those before this one are not answered when they ask for records,
    without_records: Arc<AtomicU64>,
    /// and those before this one never.
    silent: Arc<AtomicU64>,
    /// How often records were asked for, and it was passed on.
    asked: Arc<AtomicU64>,
}

impl Silencer {
    fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self {
            address: listener.local_addr().expect("its address"),
            listener,
            made: Arc::default(),
            without_records: Arc::default(),
            silent: Arc::default(),
            asked: Arc::default(),
        }
    }

    /// Begins to pass connections on.
    fn pass_to(&self, broker: &str) {
        let listener = self.listener.try_clone().expect("a copy");
        let (broker, made) = (broker.to_owned(), Arc::clone(&self.made));
        let (without_records, silent) = (Arc::clone(&self.without_records), Arc::clone(&self.silent));
        let asked = Arc::clone(&self.asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&broker) else {
                    continue;
                };
                let number = made.fetch_add(1, Ordering::SeqCst);
                let copies = (
                    client.try_clone().expect("a copy"),
                    server.try_clone().expect("a copy"),
                );
                std::thread::spawn(move || answers(copies.1, copies.0));
                let (without_records, silent) = (Arc::clone(&without_records), Arc::clone(&silent));
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || {
                    requests(client, server, |kind| {
                        let passes = number >= silent.load(Ordering::SeqCst)
                            && (kind != FETCH || number >= without_records.load(Ordering::SeqCst));
                        asked.fetch_add(u64::from(passes && kind == FETCH), Ordering::SeqCst);
                        passes
                    });
                });
            }
        });
    }

    /// The connections that there are bring no more records.
    async fn keep_records(&self) {
        self.keep(&self.without_records).await;
    }

    /// The connections that there are bring nothing more.
    async fn keep_all(&self) {
        self.keep(&self.silent).await;
    }

    /// Until nobody gets records any more: a consumer asks twenty times a second, and may just have another connection.
    async fn keep(&self, before: &AtomicU64) {
        wait("nobody asks for records", async || {
            before.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
            let asked = self.asked.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.asked.load(Ordering::SeqCst) == asked
        })
        .await;
    }
}

fn answers(mut from: TcpStream, mut to: TcpStream) {
    // Ends with either of them.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

/// Passes requests on that may pass by their kind, until there are none.
fn requests(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn(i16) -> bool) {
    let mut size = [0; 4];
    while from.read_exact(&mut size).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(size) as usize];
        if from.read_exact(&mut request).is_err() {
            break;
        }
        let kind = i16::from_be_bytes([request[0], request[1]]);
        if may_pass(kind) && (to.write_all(&size).is_err() || to.write_all(&request).is_err()) {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// A broker behind a proxy, and a node that has read a third of what will be produced.
struct Scene {
    silencer: Silencer,
    // Ends with the scene.
    _broker: Broker,
    topic: Topic,
    node: Node,
    thirds: Vec<Vec<(i32, String)>>,
    truth: Truth,
}

impl Scene {
    async fn begin() -> Option<Self> {
        let silencer = Silencer::bind();
        let broker = Broker::start_as(Some(&silencer.address.to_string()))?;
        silencer.pass_to(&broker.address);
        let topic = Topic::create(&broker.address, &unique("observations")).await;
        let kafka = kafka_section(
            &silencer.address.to_string(),
            &topic.name,
            &unique("dead-letters"),
        );
        // librdkafka itself would give a silent connection up after this only.
        let mut node = Node::new(&format!(
            "{kafka}stalled_after = \"3s\"\nproperties = {{ \"socket.timeout.ms\" = \"300000\" }}\n\n[storage]\n\
             checkpoint_every = \"300ms\"\n"
        ));
        node.start().await;
        let (records, truth) = troubled(LINES, 40.0);
        let thirds: Vec<_> = records
            .chunks(records.len().div_ceil(3))
            .map(<[_]>::to_vec)
            .collect();
        topic.produce(thirds[0].clone()).await;
        node.wait_read(thirds[0].len() as u64).await;
        assert!(node.metric("riskgrid_kafka_consumers_made_anew_total ").await < 0.5);
        Some(Self {
            silencer,
            _broker: broker,
            topic,
            node,
            thirds,
            truth,
        })
    }

    /// What came since is read, once; and so is what comes then.
    async fn all_is_read(mut self) {
        let two = self.thirds[0].len() + self.thirds[1].len();
        self.node.wait_read(two as u64).await;
        self.node.wait_ready().await;
        self.topic.produce(self.thirds[2].clone()).await;
        is_the_truth(&[&self.node], &self.truth).await;
        self.node.kill();
        self.node.start().await;
        is_the_truth(&[&self.node], &self.truth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_brings_no_records_is_noticed_and_read_by_another_client() {
    let Some(mut scene) = Scene::begin().await else {
        return;
    };
    let checkpoints = scene.node.path("data/checkpoints");
    let partition = format!("{}@0", scene.topic.name);
    wait("it has claimed the partition", async || {
        newest_claim(&checkpoints, &partition).is_some()
    })
    .await;
    let claim = newest_claim(&checkpoints, &partition);

    scene.silencer.keep_records().await;
    scene.topic.produce(scene.thirds[1].clone()).await;
    scene.node.wait_not_ready("stands still at offset").await;
    let (status, metrics) = scene.node.get("/metrics").await;
    let metrics = String::from_utf8(metrics).expect("text");
    assert!(status.is_success());
    let stalls = metrics.lines().filter(|line| {
        line.starts_with("riskgrid_kafka_stalls_total")
            && line.contains(&scene.topic.name)
            && !line.ends_with(" 0")
    });
    assert!(stalls.count() > 0, "{metrics}");
    let two = scene.thirds[0].len() + scene.thirds[1].len();
    scene.node.wait_read(two as u64).await;
    let made_anew = scene.node.metric("riskgrid_kafka_consumers_made_anew_total ");
    assert!(made_anew.await > 0.5);
    assert_eq!(newest_claim(&checkpoints, &partition), claim);
    scene.all_is_read().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gets_no_answers_does_not_stay_so() {
    let Some(scene) = Scene::begin().await else { return };
    assert!(read(&[&scene.node]).await.read() >= scene.thirds[0].len() as u64);
    scene.silencer.keep_all().await;
    // A question that is not answered in time ends its connection, or the client is left for another: it goes on.
    let topic = Topic::of(&scene.topic.name, &scene.silencer.address.to_string());
    topic.produce(scene.thirds[1].clone()).await;
    let scene = Scene { topic, ..scene };
    scene.all_is_read().await;
}
