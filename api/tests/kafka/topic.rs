//! A topic of the test's own: producing to it, and reading all of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, ToBytes};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

/// Partitions of each topic.
pub(crate) const PARTITIONS: i32 = 4;
const MOST_BYTES: &str = "16000000";
const DEADLINE: Duration = Duration::from_mins(1);

/// A topic that exists.
pub(crate) struct Topic {
    pub(crate) name: String,
    brokers: String,
    producer: FutureProducer,
}

/// A record that was read back.
pub(crate) struct Read {
    pub(crate) key: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Read {
    /// The value of a header; empty where it has none of the name.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }
}

impl Topic {
    /// Makes it, stamped by the broker's clock as riskgrid makes its own.
    pub(crate) async fn create(brokers: &str, name: &str) -> Self {
        make(brokers, name, PARTITIONS)
            .await
            .expect("a topic of a new name");
        Self::of(name, brokers)
    }

    /// One that exists, by a client of its own.
    pub(crate) fn of(name: &str, brokers: &str) -> Self {
        Self {
            name: name.to_owned(),
            brokers: brokers.to_owned(),
            producer: producer(brokers),
        }
    }

    /// Deletes it with its records, and makes an empty one of the same name.
    pub(crate) async fn make_anew(self, partitions: i32) -> Self {
        let options = AdminOptions::new();
        let deleted = admin(&self.brokers).delete_topics(&[&self.name], &options).await;
        for result in deleted.expect("the broker answers") {
            result.expect("it was there");
        }
        let began = Instant::now();
        // The name is free a little later.
        while let Err(code) = make(&self.brokers, &self.name, partitions).await {
            assert!(began.elapsed() < DEADLINE, "{}: {code}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let producer = producer(&self.brokers);
        Self { producer, ..self }
    }

    /// Deletes the records of a partition below `offset`, as retention does.
    pub(crate) async fn delete_below(&self, partition: i32, offset: i64) {
        let mut below = TopicPartitionList::new();
        below
            .add_partition_offset(&self.name, partition, Offset::Offset(offset))
            .expect("a partition");
        let deleted = admin(&self.brokers)
            .delete_records(&below, &AdminOptions::new())
            .await;
        deleted.expect("the broker answers");
    }

    /// Produces `(partition, record)` in order; returns when all are durable.
    pub(crate) async fn produce<R: AsRef<[u8]>>(&self, records: impl IntoIterator<Item = (i32, R)>) {
        let mut sent = Vec::new();
        for (partition, record) in records {
            let record: FutureRecord<'_, (), [u8]> = FutureRecord::to(&self.name)
                .partition(partition)
                .payload(record.as_ref());
            sent.push(
                self.producer
                    .send_result(record)
                    .map_err(|(error, _)| error)
                    .expect("room in the producer's queue"),
            );
        }
        for delivery in sent {
            delivery
                .await
                .expect("the producer lives")
                .map_err(|(error, _)| error)
                .expect("the broker takes the record");
        }
    }

    /// Produces one record with headers; returns when it is durable.
    pub(crate) async fn produce_with_headers(&self, headers: &[(&str, &str)], payload: &str) {
        let mut all = OwnedHeaders::new();
        for (key, value) in headers {
            let value = Some(*value);
            all = all.insert(Header { key, value });
        }
        let record: FutureRecord<'_, (), str> = FutureRecord::to(&self.name).payload(payload).headers(all);
        self.producer
            .send(record, DEADLINE)
            .await
            .map_err(|(error, _)| error)
            .expect("the broker takes the record");
    }

    /// A topic that somebody else makes, read from the beginning until `count` records are there; panics when they do
    /// not come. Waits a little longer for those that should not be there.
    pub(crate) fn read_all(brokers: &str, name: &str, count: usize) -> Vec<Read> {
        let consumer: BaseConsumer = client(brokers)
            .set("group.id", format!("reader of {name}"))
            .set("enable.partition.eof", "true")
            .set("fetch.message.max.bytes", MOST_BYTES)
            .create()
            .expect("a consumer");
        let metadata = consumer
            .fetch_metadata(Some(name), DEADLINE)
            .expect("the broker answers");
        let mut from = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            from.add_partition_offset(name, partition.id(), Offset::Beginning)
                .expect("a partition");
        }
        consumer.assign(&from).expect("an assignment");
        let began = Instant::now();
        let mut read = Vec::new();
        let mut ended = BTreeSet::new();
        while (ended.len() < from.count() || read.len() < count) && began.elapsed() < DEADLINE {
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => read.push(Read {
                    key: message
                        .key()
                        .map(|key| String::from_utf8_lossy(key).into_owned())
                        .unwrap_or_default(),
                    payload: message.payload().unwrap_or_default().to_bytes().to_vec(),
                    headers: message
                        .headers()
                        .into_iter()
                        .flat_map(Headers::iter)
                        .map(|header| {
                            (
                                header.key.to_owned(),
                                String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned(),
                            )
                        })
                        .collect(),
                }),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) => panic!("{name}: {error}"),
            }
        }
        read
    }

    /// The broker.
    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }
}

/// A name that no other run and no other test has.
pub(crate) fn unique(name: &str) -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    format!("{name}-{}-{nanos}", std::process::id())
}

async fn make(brokers: &str, name: &str, partitions: i32) -> Result<(), RDKafkaErrorCode> {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1))
        .set("message.timestamp.type", "LogAppendTime");
    let made = admin(brokers)
        .create_topics([&topic], &AdminOptions::new())
        .await
        .expect("the broker answers");
    made.into_iter()
        .try_for_each(|result| result.map(drop).map_err(|(_, code)| code))
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    client(brokers).create().expect("an admin client")
}

fn producer(brokers: &str) -> FutureProducer {
    client(brokers)
        .set("message.max.bytes", MOST_BYTES)
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.messages", "1000000")
        .set("linger.ms", "20")
        .create()
        .expect("a producer")
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}
