//! Real data sets, mapped by configuration: exactly their valid events are found, and each refused one is a dead
//! letter with its reason, also when the process is killed and stopped while it reads. What must come out is counted
//! by the scripts in `fixtures/truth`, which share no code with riskgrid.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::broker;
use crate::server::{Events, Node, kafka_section, toml_path};
use crate::skip;
use crate::topic::{PARTITIONS, Topic, unique};

/// A data set and how much of it is read.
struct DataSet {
    /// Name of the feed and of its truth.
    name: &'static str,
    /// The topic that the feed names.
    topic: &'static str,
    file: &'static str,
    /// The column whose value decides the partition.
    key: &'static str,
    rows: usize,
}

const BOSTON: DataSet = DataSet {
    name: "boston_311",
    topic: "boston-311",
    file: "boston_311/reports_2015-01_2015-09.csv.gz",
    key: "CASE_ENQUIRY_ID",
    rows: usize::MAX,
};
const OUTAGES: DataSet = DataSet {
    name: "pge_outages",
    topic: "pge-outages",
    file: "pge_outages/events_2019-06_2019-09.csv.gz",
    key: "outageNumber",
    rows: 100_000,
};
const ABERDEEN: DataSet = DataSet {
    name: "aberdeen_air",
    topic: "aberdeen-air",
    file: "aberdeen_luftdaten/readings_2017-10_2018-09.csv.gz",
    key: "sensor_id",
    rows: 100_000,
};

/// What the independent script has counted.
struct Truth {
    result: Value,
    /// `layer,cell,count`, sorted.
    cells: String,
}

impl Truth {
    fn number(&self, name: &str) -> u64 {
        self.result[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {}", self.result))
    }

    /// The numbers of an object.
    fn numbers(&self, name: &str) -> BTreeMap<String, u64> {
        let object = self.result[name].as_object().expect("an object");
        object
            .iter()
            .map(|(key, value)| (key.clone(), value.as_u64().expect("a number")))
            .collect()
    }

    /// A number of each layer.
    fn of_layers(&self, name: &str) -> BTreeMap<String, u64> {
        let layers = self.result["layers"].as_object().expect("layers");
        layers
            .iter()
            .map(|(layer, facts)| (layer.clone(), facts[name].as_u64().expect("a number")))
            .collect()
    }
}

/// A data set in a topic that is being filled, beside a node that reads it.
struct Reading {
    node: Node,
    topic: Topic,
    dead_letters: String,
    records: Vec<(i32, Vec<u8>)>,
    produced: usize,
    truth: Truth,
}

impl Reading {
    /// None, and said so, where something is missing from outside.
    async fn new(set: &DataSet) -> Option<Self> {
        let (data, python) = (skip::data()?, skip::python()?);
        let brokers = broker::brokers()?;
        let truth = count(set, &python, &data);
        let topic = Topic::create(&brokers, &unique(set.topic)).await;
        let dead_letters = unique("dead-letters");
        let feed = std::fs::read_to_string(skip::root().join(format!("fixtures/feeds/{}.toml", set.name)))
            .expect("the feed's configuration")
            .replace(
                &format!("kafka = \"{}\"", set.topic),
                &format!("kafka = \"{}\"", topic.name),
            )
            .replace(
                "\"../shared/data/aberdeen_luftdaten/sensors.csv\"",
                &toml_path(&data.join("aberdeen_luftdaten/sensors.csv")),
            );
        let config = format!(
            "{}\n[storage]\ncheckpoint_every = \"500ms\"\n\n[grid]\nretention = \"20y\"\n\n{feed}",
            kafka_section(&brokers, &unique("observations"), &dead_letters)
        );
        let records = records(set, &data.join(set.file));
        assert_eq!(records.len() as u64, truth.number("rows"));
        Some(Self {
            node: Node::new(&config),
            topic,
            dead_letters,
            records,
            produced: 0,
            truth,
        })
    }

    /// Produces up to this part of the records.
    async fn produce_to(&mut self, percent: usize) {
        let end = self.records.len() * percent / 100;
        let piece = &self.records[self.produced..end];
        self.topic
            .produce(piece.iter().map(|(partition, record)| (*partition, record)))
            .await;
        self.produced = end;
    }

    async fn wait_read(&mut self, percent: u64) -> Events {
        self.node
            .wait_read(self.truth.number("events") * percent / 100)
            .await
    }

    /// Reads all, with a kill and a stop on the way, and compares; then again after a stop and after a kill at rest.
    async fn read_all(&mut self) {
        self.produce_to(40).await;
        self.node.start().await;
        self.wait_read(15).await;
        self.node.kill();
        self.produce_to(60).await;
        self.node.start().await;
        self.wait_read(45).await;
        self.node.kill();
        self.node.start().await;
        self.produce_to(85).await;
        self.wait_read(65).await;
        self.node.stop().await;
        self.node.start().await;
        self.produce_to(100).await;
        self.compare().await;
        self.node.stop().await;
        self.node.start().await;
        self.compare().await;
        self.node.kill();
        self.node.start().await;
        self.compare().await;
    }

    /// Exactly the valid events are counted, cell by cell, and every refused one is kept with its reason.
    async fn compare(&mut self) {
        let read = self.wait_read(100).await;
        let expected = Events {
            accepted: self.truth.number("accepted_total"),
            duplicate: self.truth.number("duplicates"),
            refused: self.truth.number("refused_total"),
        };
        assert_eq!(read, expected);
        let node = &self.node;
        let counts = node
            .numbers("SELECT layer, sum(count) FROM cells GROUP BY layer")
            .await;
        assert_eq!(counts, self.truth.of_layers("count"));
        let weights = node
            .numbers("SELECT layer, sum(weight) FROM cells GROUP BY layer")
            .await;
        assert_eq!(weights, self.truth.of_layers("weight"));
        let catalogue = node
            .numbers("SELECT layer, count FROM layers WHERE count > 0")
            .await;
        assert_eq!(catalogue, self.truth.of_layers("count"));
        let cells = node
            .csv("SELECT layer, cell, sum(count) AS count FROM cells GROUP BY layer, cell")
            .await;
        let mut cells: Vec<&str> = cells.lines().skip(1).collect();
        cells.sort_unstable();
        let mut expected: Vec<&str> = self.truth.cells.lines().collect();
        expected.sort_unstable();
        assert!(
            cells == expected,
            "{} cells, {} counted by the script",
            cells.len(),
            expected.len()
        );
        let of_topic = format!(
            "SELECT reason, count(*) FROM dead_letters WHERE topic = '{}' GROUP BY reason",
            self.topic.name
        );
        assert_eq!(node.numbers(&of_topic).await, self.truth.numbers("refused"));
    }

    /// The dead-letter topic holds each refused record under its key; twice at most where the process was killed.
    fn dead_letters_are_in_their_topic(&self) {
        let refused = usize::try_from(self.truth.number("refused_total")).expect("fits");
        let read = Topic::read_all(self.topic.brokers(), &self.dead_letters, refused);
        let keys: BTreeSet<&str> = read.iter().map(|record| record.key.as_str()).collect();
        assert_eq!(keys.len(), refused);
        let mut reasons: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for record in &read {
            reasons
                .entry(record.header("riskgrid-reason"))
                .or_default()
                .insert(&record.key);
        }
        let reasons: BTreeMap<String, u64> = reasons
            .into_iter()
            .map(|(reason, keys)| (reason.to_owned(), keys.len() as u64))
            .collect();
        assert_eq!(reasons, self.truth.numbers("refused"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_boston_in_sql_tiles_and_dead_letters() {
    let Some(mut reading) = Reading::new(&BOSTON).await else {
        return;
    };
    reading.read_all().await;
    reading.dead_letters_are_in_their_topic();
    tiles_of_a_zoom_sum_to_the_truth(&reading).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_open_and_close() {
    let Some(mut reading) = Reading::new(&OUTAGES).await else {
        return;
    };
    reading.read_all().await;
    // The reports that the rows tell of: all, and those that were seen, by their numbers.
    let mut outages: HashMap<String, bool> = HashMap::new();
    for (_, record) in &reading.records {
        let text = String::from_utf8_lossy(record);
        let mut fields = text.split(',');
        let (event, outage) = (
            fields.next().expect("event"),
            fields.nth(1).expect("outageNumber"),
        );
        *outages.entry(outage.to_owned()).or_default() |= event == "seen";
    }
    let opened = outages.values().filter(|seen| **seen).count();
    let found = reading
        .node
        .sql("SELECT count(*), count(opened) FROM reports")
        .await;
    assert_eq!(found, serde_json::json!([[outages.len(), opened]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_aberdeen_and_their_sums() {
    let Some(mut reading) = Reading::new(&ABERDEEN).await else {
        return;
    };
    reading.read_all().await;
    let rows = reading
        .node
        .sql("SELECT layer, sum(sum) FROM cells GROUP BY layer ORDER BY layer")
        .await;
    let rows = rows.as_array().expect("rows");
    let layers = reading.truth.result["layers"].as_object().expect("layers");
    assert_eq!(rows.len(), layers.len());
    for row in rows {
        let expected: f64 = layers[row[0].as_str().expect("a layer")]["sum"]
            .as_str()
            .and_then(|sum| sum.parse().ok())
            .expect("a sum");
        let found = row[1].as_f64().expect("a number");
        assert!(
            (found - expected).abs() < 1e-6,
            "{}: {found}, not {expected}",
            row[0]
        );
    }
    // Every reading's sensor is known where its list places it.
    let sensors = reading
        .node
        .sql("SELECT count(*) FROM sensors WHERE lon IS NULL OR cell IS NULL")
        .await;
    assert_eq!(sensors, serde_json::json!([[0]]));
}

/// Tiles of one zoom, decoded by another reader: each cell once.
async fn tiles_of_a_zoom_sum_to_the_truth(reading: &Reading) {
    const ZOOM: u32 = 10;
    let python = skip::python().expect("looked for before");
    let folder = tempfile::tempdir().expect("a folder");
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let expected = reading.truth.of_layers("count");
    let ((west, north), (east, south)) = (tile_at(-71.4, 42.6, ZOOM), tile_at(-70.7, 42.0, ZOOM));
    for layer in expected.keys() {
        for (x, y) in (west..=east).flat_map(|x| (north..=south).map(move |y| (x, y))) {
            let path = format!("/v1/tiles/{layer}/{ZOOM}/{x}/{y}.mvt?window=400d&at=2016-01-01T00:00:00Z");
            let (status, tile) = reading.node.get(&path).await;
            if status == reqwest::StatusCode::NO_CONTENT {
                continue;
            }
            assert_eq!(
                status,
                reqwest::StatusCode::OK,
                "{path}: {}",
                String::from_utf8_lossy(&tile)
            );
            let file = folder.path().join(files.len().to_string());
            std::fs::write(&file, tile).expect("a file");
            files.push((layer.clone(), file));
        }
    }
    let decoded = Command::new(python)
        .arg(skip::root().join("fixtures/reference/decode_tile.py"))
        .args(files.iter().map(|(_, file)| file))
        .output()
        .expect("the reader runs");
    assert!(
        decoded.status.success(),
        "{}",
        String::from_utf8_lossy(&decoded.stderr)
    );
    let decoded = String::from_utf8(decoded.stdout).expect("text");
    let mut cells: BTreeMap<(String, String), u64> = BTreeMap::new();
    for ((layer, _), tile) in files.iter().zip(decoded.lines()) {
        let tile: Value = serde_json::from_str(tile).expect("JSON");
        for feature in tile[layer]["features"].as_array().expect("features") {
            let cell = feature["properties"]["cell"].as_str().expect("a cell").to_owned();
            let count = feature["properties"]["count"].as_u64().expect("a count");
            let known = cells.insert((layer.clone(), cell), count);
            assert!(
                known.is_none_or(|known| known == count),
                "{layer}: one cell, two counts in {feature}"
            );
        }
    }
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for ((layer, _), count) in cells {
        *sums.entry(layer).or_default() += count;
    }
    assert_eq!(sums, expected);
}

/// The Web Mercator tile that holds a point.
fn tile_at(lon: f64, lat: f64, zoom: u32) -> (u32, u32) {
    let tiles = f64::from(1_u32 << zoom);
    let y = (1.0 - lat.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0;
    (((lon + 180.0) / 360.0 * tiles) as u32, (y * tiles) as u32)
}

/// The rows as records, each with its partition: rows of one key stay in one, in their order.
fn records(set: &DataSet, path: &Path) -> Vec<(i32, Vec<u8>)> {
    let file = flate2::read::GzDecoder::new(std::fs::File::open(path).expect("the data set"));
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let key = reader
        .headers()
        .expect("a header")
        .iter()
        .position(|column| column == set.key)
        .expect("the key");
    let rows = reader.byte_records().take(set.rows);
    rows.map(|row| {
        let row = row.expect("a row");
        let mut hasher = DefaultHasher::new();
        row[key].hash(&mut hasher);
        let partition = hasher.finish() % u64::from(PARTITIONS.unsigned_abs());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_byte_record(&row).expect("memory");
        let mut record = writer.into_inner().expect("memory");
        record.pop_if(|byte| *byte == b'\n');
        (partition as i32, record)
    })
    .collect()
}

/// Runs the script of the data set.
fn count(set: &DataSet, python: &Path, data: &Path) -> Truth {
    let folder = tempfile::tempdir().expect("a folder");
    let cells = folder.path().join("cells");
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(skip::root().join(format!("fixtures/truth/{}.py", set.name)));
    command.arg("--cells").arg(&cells).env("RISKGRID_TEST_DATA", data);
    if set.rows != usize::MAX {
        command.args(["--rows", &set.rows.to_string()]);
    }
    let output = command.output().expect("the script runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let result = serde_json::from_slice(&output.stdout).expect("JSON");
    Truth {
        result,
        cells: std::fs::read_to_string(cells).expect("cells"),
    }
}
