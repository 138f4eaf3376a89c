//! How many events a second go from Kafka to the grid: a topic of four partitions, read from its beginning by the real
//! server with an empty folder and its default settings; broker, server and bench on the same cores.
//!
//! Timed is from the first state of the grid that holds events to the one that holds all, and what the first held is
//! taken off: starting and joining the group are outside. States come every 250 ms (`grid.publish_every`), and
//! `/metrics` is asked every 50 ms.
//!
//! Beside it a tuned rdkafka loop in this process that takes one message after the other, parses it with `serde_json`
//! into a borrowed struct and keeps nothing; timed from its first message to its last.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use riskgrid_benches::server::{Server, processor_time};
use riskgrid_benches::{Outcome, broker, events_wanted, print_rates};
use riskgrid_fixtures::load::{self, Options, Truth};
use serde::Deserialize;

const EVENTS: u64 = 2_000_000;
const SENSORS: usize = 5_000;
const RUNS: usize = 5;
const TOPIC: &str = "riskgrid.observations";
/// The others that a server reads and writes: made here, or it would join the group twice when they appear.
const OTHER_TOPICS: [&str; 3] = ["riskgrid.reports", "riskgrid.positions", "riskgrid.dead-letters"];
const PARTITIONS: i32 = 4;
/// Our rdkafka is built without lz4.
const COMPRESSION: &str = "zstd";
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What the loop reads of an event: all that the generator writes.
#[expect(dead_code, reason = "parsed, and looked at by nobody")]
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[expect(dead_code, reason = "parsed, and looked at by nobody")]
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    sensor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    property: Option<Cow<'a, str>>,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
    #[serde(borrow)]
    report: Option<Cow<'a, str>>,
    #[serde(borrow)]
    category: Option<Cow<'a, str>>,
    value: Option<f64>,
    severity: Option<u8>,
    lon: Option<f64>,
    lat: Option<f64>,
}

/// What one run showed.
struct Run {
    events_per_second: f64,
    /// Processor time of the process that reads, for one event; the broker's is not in it.
    processor: Duration,
}

fn main() -> Outcome<()> {
    let Some(brokers) = broker::start()? else {
        println!(
            "SKIPPED kafka_to_grid: RISKGRID_TEST_KAFKA names no script. From the repository's folder:\n  \
             RISKGRID_TEST_KAFKA=$PWD/fixtures/kafka/kafka cargo bench --package riskgrid-benches --bench kafka_to_grid"
        );
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(&brokers))
}

async fn compare(brokers: &str) -> Outcome<()> {
    let options = Options {
        lines: events_wanted(EVENTS)?,
        sensors: SENSORS,
        ..Options::default()
    };
    create_topics(brokers).await?;
    let (truth, bytes) = fill(brokers, &options)?;
    println!(
        "{} events of {} bytes in {PARTITIONS} partitions, keyed by source, {COMPRESSION}",
        truth.lines,
        bytes / truth.lines
    );
    let (mut ours, mut alone) = (Vec::new(), Vec::new());
    for number in 1..=RUNS {
        ours.push(to_the_grid(brokers, &truth, number).await?);
        alone.push(parsed_alone(brokers, truth.lines)?);
    }
    let grid = print_runs("Kafka to the grid", &ours);
    let rdkafka = print_runs("rdkafka and serde_json alone", &alone);
    println!("ours is {:.2} times as fast as the loop alone", grid / rdkafka);
    Ok(())
}

fn print_runs(name: &str, runs: &[Run]) -> f64 {
    let rate = print_rates(name, runs.iter().map(|run| run.events_per_second).collect());
    let processor: Duration = runs.iter().map(|run| run.processor).sum();
    println!(
        "  processor time of its process for an event {:.3?}",
        processor / runs.len() as u32
    );
    rate
}

async fn create_topics(brokers: &str) -> Outcome<()> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    let topics = OTHER_TOPICS.into_iter().chain([TOPIC]).map(|name| {
        NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1))
            .set("message.timestamp.type", "LogAppendTime")
    });
    let topics: Vec<NewTopic<'_>> = topics.collect();
    for made in admin.create_topics(&topics, &AdminOptions::new()).await? {
        made.map_err(|(topic, code)| format!("topic {topic}: {code}"))?;
    }
    Ok(())
}

/// Produces the load, keyed by source as producers should. Returns its truth and how many bytes of JSON it has.
fn fill(brokers: &str, options: &Options) -> Outcome<(Truth, u64)> {
    #[derive(Deserialize)]
    struct Keyed<'a> {
        source: &'a str,
    }
    let producer: ThreadedProducer<DefaultProducerContext> = client(brokers)
        .set("compression.type", COMPRESSION)
        .set("linger.ms", "50")
        .create()?;
    let mut lines = load::generate(options);
    let mut bytes = 0;
    for line in &mut lines {
        bytes += line.json.len() as u64;
        let event: Keyed<'_> = serde_json::from_str(&line.json)?;
        let mut record = BaseRecord::to(TOPIC).key(event.source).payload(&line.json);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    producer.poll(ASK_EVERY);
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    producer.flush(PATIENCE)?;
    let consumer: BaseConsumer = client(brokers).create()?;
    let mut length = 0;
    for partition in 0..PARTITIONS {
        length += consumer.fetch_watermarks(TOPIC, partition, PATIENCE)?.1;
    }
    let truth = lines.into_truth();
    if u64::try_from(length)? != truth.lines {
        return Err(format!("the topic holds {length} of {} events", truth.lines).into());
    }
    Ok((truth, bytes))
}

async fn to_the_grid(brokers: &str, truth: &Truth, number: usize) -> Outcome<Run> {
    // A group of its own: the last run's was killed, and is a member still.
    let mut server = Server::new(&format!(
        "[kafka]\nbrokers = \"{brokers}\"\ngroup = \"bench-{number}\"\n"
    ))?;
    let started = Instant::now();
    server.start()?;
    let mut first = None;
    loop {
        let read = server.events().await?.read();
        if read > 0 {
            let (since, held, processor) =
                *first.get_or_insert((Instant::now(), read, server.processor_time()?));
            if read >= truth.lines {
                let seconds = since.elapsed().as_secs_f64();
                let events = read - held;
                let processor = server.processor_time()?.saturating_sub(processor);
                server.holds(truth).await?;
                println!(
                    "run {number}: first state after {:.2} s with {held} events, the other {events} in {seconds:.2} s",
                    since.duration_since(started).as_secs_f64()
                );
                return Ok(Run {
                    events_per_second: events as f64 / seconds,
                    processor: processor.div_f64(events as f64),
                });
            }
        }
        if started.elapsed() > 10 * PATIENCE {
            return Err(format!("only {read} of {} events are read", truth.lines).into());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn parsed_alone(brokers: &str, events: u64) -> Outcome<Run> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "alone")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "262144")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        from.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    consumer.assign(&from)?;
    let mut first = None;
    let (mut read, mut parsed) = (0, 0);
    while read < events {
        let message = consumer.poll(PATIENCE).ok_or("the topic ends early")??;
        if first.is_none() {
            first = Some((Instant::now(), processor_time("self")?));
        }
        read += 1;
        parsed += u64::from(parses(message.payload().unwrap_or_default()));
    }
    let (since, processor) = first.ok_or("no events")?;
    let seconds = since.elapsed().as_secs_f64();
    if parsed != events {
        return Err(format!("{parsed} of {events} events parse").into());
    }
    let processor = processor_time("self")?.saturating_sub(processor);
    Ok(Run {
        events_per_second: (events - 1) as f64 / seconds,
        processor: processor.div_f64(events as f64),
    })
}

fn parses(payload: &[u8]) -> bool {
    let event: Result<Event<'_>, _> = serde_json::from_slice(payload);
    std::hint::black_box(&event).is_ok()
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}
