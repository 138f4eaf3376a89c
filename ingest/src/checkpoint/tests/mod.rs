//! What checkpoints must hold to, in a folder and in an object store alike.

mod bucket;
mod damaged;
#[path = "../../../../fixtures/grid_rig.rs"]
mod grid_rig;
mod owners;
#[path = "../../../../fixtures/object_store/proxy.rs"]
mod proxy;
mod steps;
#[path = "../../../../fixtures/object_store/test_store.rs"]
mod test_store;

use std::collections::BTreeMap;
use std::sync::Arc;

use h3o::Resolution;

use self::grid_rig::{EDGE, live_rules};
use self::test_store::TestStore;
use super::{
    BucketSettings, CheckpointError, CheckpointStore, Claimed, Files, Location, PartitionState, folder_name,
};
use crate::decode::cloudevent::decode_structured;
use crate::edge::PlaceCache;
use crate::grid::{EventCounts, EventLogLimits, GridPublisher, GridSettings, Heard, Partition, Span};
use crate::words::{
    DAY, EventTime, LIVE_DOMAIN, LayerIndex, LayerSettings, LayerTable, MINUTE, PartitionId, SECOND,
};

const START: i64 = 1_795_000_000 * SECOND;
/// Offsets of the log: `0..END`. A checkpoint is written at each of `SAVED`.
const END: i64 = 300;
const SAVED: [i64; 3] = [100, 200, END];

/// With raw events, and few hashes.
const SETTINGS: GridSettings = GridSettings {
    dedup_bytes: 1 << 20,
    events: EventLogLimits {
        age: DAY,
        bytes: 1 << 20,
    },
    ..grid_rig::SETTINGS
};

/// What the grid says: count and sum by cell, and what became of the events.
type Totals = (BTreeMap<u64, (u64, i128)>, EventCounts);

fn id() -> PartitionId {
    PartitionId {
        topic: "rivers/hongkong".into(),
        partition: 3,
    }
}

/// The log: 20 seconds from one event to the next, every tenth sent twice, every eleventh late by five minutes.
fn record(offset: i64) -> String {
    let number = if offset % 10 == 9 { offset - 1 } else { offset };
    let late = if number % 11 == 0 { 5 * MINUTE } else { 0 };
    let time = EventTime::from_micros(START + number * 20 * SECOND - late);
    serde_json::json!({
        "specversion": "1.0", "id": number.to_string(), "source": "//test", "type": "riskgrid.observation.v1",
        "time": time.to_string(),
        "data": {"sensor": format!("s{}", number % 7), "property": "water", "value": number,
            "lon": 113.9 + 0.01 * (number % 7) as f64, "lat": 22.5},
    })
    .to_string()
}

/// Judges and applies an event, which must be valid.
fn apply(partition: &mut Partition, layers: &LayerTable, json: &str, received: EventTime) {
    let rules = live_rules();
    let mut places = PlaceCache::none(Resolution::Nine);
    let candidate = decode_structured(json.as_bytes()).unwrap();
    let judged = EDGE
        .judge(
            candidate,
            received,
            &rules,
            partition.clock(),
            layers,
            &mut places,
        )
        .unwrap();
    partition.apply(&judged.event, layers);
}

/// A grid over one place, from its start on.
struct Run {
    store: CheckpointStore,
    settings: GridSettings,
    layers: Arc<LayerTable>,
    partition: Partition,
}

impl Run {
    fn start(place: &Place) -> Result<Self, CheckpointError> {
        Self::start_as(place, "node")
    }

    fn start_as(place: &Place, node: &str) -> Result<Self, CheckpointError> {
        let settings = SETTINGS;
        let water: LayerSettings =
            serde_json::from_value(serde_json::json!({"id": "water", "kind": "observation", "unit": "m"}))
                .unwrap();
        let layers = LayerTable::new(&[water], 8).unwrap();
        let files = place.opened_again();
        let mut store = CheckpointStore::new(files.clone(), files, node)?;
        let restored = store.restore_own(settings, &layers)?;
        let mut partition = Partition::new(id(), LIVE_DOMAIN.into(), settings, 0);
        for restored in restored {
            let (_, rules) = restored.rules.last().expect("a step");
            assert_eq!(
                *rules,
                restored.partition.next_offset().to_le_bytes(),
                "rules of another state"
            );
            assert!(restored.rules.is_sorted_by_key(|(generation, _)| *generation));
            partition = restored.partition;
        }
        let layers = Arc::new(layers);
        Ok(Self {
            store,
            settings,
            layers,
            partition,
        })
    }

    /// Reads the log from where the grid stands.
    fn read_to(&mut self, end: i64) {
        for offset in self.partition.next_offset()..end {
            let received = EventTime::from_micros(START + offset * 20 * SECOND);
            apply(&mut self.partition, &self.layers, &record(offset), received);
            self.partition.advance_to(offset + 1);
        }
    }

    fn claim(&mut self) -> Result<(), CheckpointError> {
        let claimed = self.store.claim(&id(), self.settings, &self.layers)?;
        assert!(!matches!(claimed, Claimed::Restored(_)), "another node had it");
        Ok(())
    }

    fn save(&mut self) -> Result<(), CheckpointError> {
        self.claim()?;
        self.write()
    }

    fn write(&mut self) -> Result<(), CheckpointError> {
        let rules = self.partition.next_offset().to_le_bytes().to_vec();
        let since = self.store.continued().get(&id()).copied().unwrap_or(0);
        let state = PartitionState::take(&mut self.partition, &self.layers, since, rules);
        self.store.write(state)
    }

    fn totals(&mut self) -> Totals {
        let calendar = self.settings.calendar;
        let view = self.partition.view(&calendar);
        let layers = Arc::clone(&self.layers);
        let snapshot = GridPublisher::new(calendar, Resolution::Nine, Arc::clone(&layers), 30 * SECOND)
            .publish(
                vec![Heard { view, heard: None }],
                layers,
                std::time::Instant::now(),
            );
        let all = Span {
            start: EventTime::from_micros(START - DAY),
            end: EventTime::from_micros(START + 10 * DAY),
        };
        let sums = snapshot.sum(LayerIndex(0), all, Resolution::Nine).into_slice();
        let cells = sums
            .rows()
            .map(|(cell, sums)| (cell, (sums.count, sums.values.sum)));
        (cells.collect(), snapshot.counts())
    }
}

/// Where checkpoints lie in a test, for nobody else.
struct Place {
    files: Files,
    location: Location,
    settings: BucketSettings,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    fn in_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Folder(folder.path().to_owned());
        Self {
            _folder: Some(folder),
            ..Self::at(location, BucketSettings::default())
        }
    }

    fn at(location: Location, settings: BucketSettings) -> Self {
        Self {
            files: Files::open(&location, &settings).unwrap(),
            location,
            settings,
            _folder: None,
        }
    }

    /// As another process sees it.
    fn opened_again(&self) -> Files {
        Files::open(&self.location, &self.settings).unwrap()
    }

    /// None, and said so, where no object store is.
    fn in_bucket() -> Option<Self> {
        let store = TestStore::shared()?;
        let location = Location::parse(&store.new_place()).unwrap();
        Some(Self::at(location, settings_of(store)))
    }

    /// One of each kind.
    fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::in_folder()).chain(Self::in_bucket())
    }

    /// The names of the partition's files of one kind, oldest first.
    fn names(&self, ending: &str) -> Vec<String> {
        let mut names = self.files.names(&folder_name(&id())).unwrap();
        names.retain(|name| name.ends_with(ending));
        names
    }

    fn newest(&self, ending: &str) -> String {
        self.names(ending).pop().unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        self.files.read(&folder_name(&id()), name).unwrap()
    }

    fn remove(&self, name: &str) {
        self.files.remove(&folder_name(&id()), name);
    }

    /// In place of what is there.
    fn write(&self, name: &str, bytes: &[u8]) {
        self.remove(name);
        assert!(
            self.files.create(&folder_name(&id()), name, bytes).unwrap(),
            "{name}"
        );
    }

    /// All that is there.
    fn contents(&self) -> BTreeMap<(String, String), Vec<u8>> {
        let mut all = BTreeMap::new();
        for folder in self.files.folders().unwrap() {
            for name in self.files.names(&folder).unwrap() {
                let bytes = self.files.read(&folder, &name).unwrap();
                all.insert((folder.clone(), name), bytes);
            }
        }
        all
    }
}

fn settings_of(store: &TestStore) -> BucketSettings {
    let mut settings = BucketSettings::default();
    if let Some(double) = &store.double {
        settings.region = Some("us-east-1".to_owned());
        settings.endpoint = Some(double.endpoint.clone());
        settings.allow_http = true;
        settings.access_key_id = Some("test".to_owned());
        settings.secret_access_key_file = Some(double.secret_file.clone());
    }
    settings
}

/// Three checkpoints in a place, and what their log comes to.
fn saved(place: &Place) -> Totals {
    let mut run = Run::start(place).unwrap();
    for offset in SAVED {
        run.read_to(offset);
        run.save().unwrap();
    }
    let totals = run.totals();
    assert_eq!((totals.1.read, totals.1.duplicate), (300, 30));
    totals
}
