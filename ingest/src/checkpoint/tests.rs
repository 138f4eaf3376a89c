//! Checkpoints that were damaged: an older whole one is used and the log read again from there to equal totals, or the
//! start is refused with what to do, and nothing is touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono_tz::Tz;
use h3o::Resolution;

use super::manifest::MANIFEST;
use super::{CheckpointError, CheckpointStore, Claimed, Files, PartitionState};
use crate::decode::cloudevent::decode_structured;
use crate::edge::{Edge, FeedRules, PlaceCache};
use crate::event::SourceKey;
use crate::grid::{
    Calendar, EventCounts, EventLogLimits, GridPublisher, GridSettings, Heard, Partition, PartitionId,
    Retention, Span,
};
use crate::layer::{LIVE_DOMAIN, LayerIndex, LayerSettings, LayerTable};
use crate::time::{DAY, EventTime, HOUR, MINUTE, SECOND};

const START: i64 = 1_795_000_000 * SECOND;
/// Offsets of the log: `0..END`. A checkpoint is written at each of `SAVED`.
const END: i64 = 300;
const SAVED: [i64; 3] = [100, 200, END];

/// A damage and how it is done.
type Damage = (&'static str, fn(&Path));

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

/// A grid over one folder, from its start on.
struct Run {
    store: CheckpointStore,
    settings: GridSettings,
    layers: Arc<LayerTable>,
    partition: Partition,
}

impl Run {
    fn start(folder: &Path) -> Result<Self, CheckpointError> {
        Self::start_as(folder, "node")
    }

    fn start_as(folder: &Path, node: &str) -> Result<Self, CheckpointError> {
        let settings = GridSettings {
            calendar: Calendar::new(MINUTE, Tz::UTC),
            allowed_lateness: 2 * MINUTE,
            retention: Retention {
                buckets: 48 * HOUR,
                hours: 90 * DAY,
                days: 900 * DAY,
            },
            dedup_horizon: DAY,
            dedup_bytes: 1 << 20,
            events: EventLogLimits {
                age: DAY,
                bytes: 1 << 20,
            },
            max_reports: 1_000_000,
        };
        let water: LayerSettings =
            serde_json::from_value(serde_json::json!({"id": "water", "kind": "observation", "unit": "m"}))
                .unwrap();
        let layers = LayerTable::new(&[water], 8).unwrap();
        let files = Files::open_folder(folder)?;
        let mut store = CheckpointStore::new(files.clone(), files, node)?;
        let restored = store.restore_own(settings, &layers)?;
        let mut partition = Partition::new(id(), LIVE_DOMAIN.into(), settings, 0);
        for restored in restored {
            assert_eq!(
                restored.rules,
                restored.partition.next_offset().to_le_bytes(),
                "rules of another state"
            );
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
        let edge = Edge {
            resolution: Resolution::Nine,
            future_skew: 5 * MINUTE,
            bounds: None,
            source_key: SourceKey([7; 16]),
        };
        let rules = FeedRules {
            domain: LIVE_DOMAIN.to_owned(),
            ..FeedRules::default()
        };
        let partition = &mut self.partition;
        let mut places = PlaceCache::none(Resolution::Nine);
        for offset in partition.next_offset()..end {
            let json = record(offset);
            let candidate = decode_structured(json.as_bytes()).unwrap();
            let received = EventTime::from_micros(START + offset * 20 * SECOND);
            let judged = edge
                .judge(
                    candidate,
                    received,
                    &rules,
                    partition.clock(),
                    &self.layers,
                    &mut places,
                )
                .unwrap();
            partition.apply(&judged.event, &self.layers);
            partition.advance_to(offset + 1);
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
        let is_whole = !self.store.continued().any(|known| *known == id());
        let state = PartitionState::take(&mut self.partition, &self.layers, is_whole, rules);
        self.store.write(&state)
    }

    fn totals(&mut self) -> Totals {
        let calendar = Calendar::new(MINUTE, Tz::UTC);
        let view = self.partition.view(&calendar);
        let layers = Arc::clone(&self.layers);
        let snapshot = GridPublisher::new(calendar, Resolution::Nine, Arc::clone(&layers), 30 * SECOND)
            .publish(
                vec![Heard { view, heard: None }],
                layers,
                EventTime::from_micros(START),
            );
        let all = Span {
            start: EventTime::from_micros(START - DAY),
            end: EventTime::from_micros(START + 10 * DAY),
        };
        let cells = snapshot.sum(LayerIndex(0), all, Resolution::Nine).into_iter();
        let cells = cells.map(|(cell, sums)| (cell, (sums.count, sums.values.sum)));
        (cells.collect(), snapshot.counts())
    }
}

/// Three checkpoints in a folder, and what their log comes to.
fn saved() -> (tempfile::TempDir, Totals) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::start(folder.path()).unwrap();
    for offset in SAVED {
        run.read_to(offset);
        run.save().unwrap();
    }
    let totals = run.totals();
    assert_eq!((totals.1.read, totals.1.duplicate), (300, 30));
    (folder, totals)
}

/// The partition's files of one kind, oldest first.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let folder = folder.join(super::folder_name(&id()));
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

fn newest(folder: &Path, ending: &str) -> PathBuf {
    files(folder, ending).pop().unwrap()
}

/// All files below a folder with their bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut bytes_of(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

fn cut_in_half(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn flip(path: &Path, place: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The start must be refused, saying this, and leave every byte where it was.
fn is_refused(folder: &Path, says: &[&str]) {
    let before = bytes_of(folder);
    let Err(error) = Run::start(folder) else {
        panic!("started although {says:?}");
    };
    let error = error.to_string();
    for part in says {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(bytes_of(folder) == before, "touched: {error}");
}

#[test]
fn a_damaged_newest_checkpoint_gives_way_to_the_one_before_and_the_totals_are_equal() {
    let damages: [Damage; 8] = [
        ("state cut in half", |folder| {
            cut_in_half(&newest(folder, ".state"));
        }),
        ("state missing", |folder| {
            fs::remove_file(newest(folder, ".state")).unwrap();
        }),
        ("state empty", |folder| {
            fs::write(newest(folder, ".state"), []).unwrap();
        }),
        ("a bit of the state", |folder| {
            flip(&newest(folder, ".state"), 300);
        }),
        ("manifest cut in half", |folder| {
            cut_in_half(&newest(folder, MANIFEST));
        }),
        ("manifest missing", |folder| {
            fs::remove_file(newest(folder, MANIFEST)).unwrap();
        }),
        ("manifest empty", |folder| {
            fs::write(newest(folder, MANIFEST), []).unwrap();
        }),
        ("manifest of another number", |folder| {
            let path = newest(folder, MANIFEST);
            let other = fs::read_to_string(&path)
                .unwrap()
                .replace("\"number\": 3", "\"number\": 7");
            fs::write(path, other).unwrap();
        }),
    ];
    for (damage, spoil) in damages {
        let (folder, totals) = saved();
        spoil(folder.path());
        let mut run = Run::start(folder.path()).unwrap();
        assert_eq!(run.partition.next_offset(), SAVED[1], "{damage}");
        run.read_to(END);
        assert_eq!(run.totals(), totals, "{damage}");
        // What is written on top of it is the newest at the next start.
        run.save().unwrap();
        let mut run = Run::start(folder.path()).unwrap();
        assert_eq!(
            (run.partition.next_offset(), run.totals()),
            (END, totals),
            "{damage}"
        );
    }
}

#[test]
fn any_flipped_bit_leaves_a_sound_state_or_is_refused() {
    let (folder, totals) = saved();
    for ending in [".state", MANIFEST] {
        let path = newest(folder.path(), ending);
        let whole = fs::read(&path).unwrap();
        let step = if ending == ".state" { whole.len() / 200 } else { 1 };
        for place in (0..whole.len()).step_by(step.max(1)) {
            flip(&path, place);
            match Run::start(folder.path()) {
                Ok(mut run) => {
                    assert!(run.partition.next_offset() >= SAVED[1], "{ending} {place}");
                    run.read_to(END);
                    assert_eq!(run.totals(), totals, "{ending} {place}");
                }
                Err(CheckpointError::Format { .. }) => {}
                Err(error) => panic!("{ending} {place}: {error}"),
            }
            fs::write(&path, &whole).unwrap();
        }
    }
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let (folder, _) = saved();
    let path = newest(folder.path(), MANIFEST);
    fs::write(&path, r#"{"format": 3, "all": "that follows is unknown"}"#).unwrap();
    is_refused(
        folder.path(),
        &[
            &path.display().to_string(),
            "format 3",
            "start the version that wrote it",
        ],
    );
}

#[test]
fn where_no_checkpoint_is_whole_the_start_is_refused_and_nothing_is_touched() {
    let what_to_do = [
        "rivers%2fhongkong@3",
        "restore it from a backup, or remove the folder",
    ];
    let (folder, _) = saved();
    for manifest in files(folder.path(), MANIFEST) {
        cut_in_half(&manifest);
    }
    is_refused(folder.path(), &what_to_do);

    // The base of every chain.
    let (folder, totals) = saved();
    let base = files(folder.path(), ".state").remove(0);
    fs::remove_file(base).unwrap();
    is_refused(folder.path(), &what_to_do);

    fs::remove_dir_all(folder.path().join(super::folder_name(&id()))).unwrap();
    let mut run = Run::start(folder.path()).unwrap();
    run.read_to(END);
    assert_eq!(run.totals(), totals);
}

#[test]
fn a_first_checkpoint_that_a_crash_left_unfinished_is_none() {
    let (whole, totals) = saved();
    let folder = tempfile::tempdir().unwrap();
    let unfinished = folder.path().join(super::folder_name(&id()));
    fs::create_dir(&unfinished).unwrap();
    let state = files(whole.path(), ".state").remove(0);
    fs::copy(&state, unfinished.join(state.file_name().unwrap())).unwrap();
    fs::write(
        unfinished.join("00000001-000000000001.manifest.json.new"),
        "{\"form",
    )
    .unwrap();

    let mut run = Run::start(folder.path()).unwrap();
    assert_eq!(run.partition.next_offset(), 0);
    run.read_to(END);
    // The names of the first epoch are taken.
    run.save().unwrap();
    let mut run = Run::start(folder.path()).unwrap();
    assert_eq!((run.partition.next_offset(), run.totals()), (END, totals));
    assert_eq!(files(folder.path(), ".new"), Vec::<PathBuf>::new());
}

#[test]
fn a_try_that_fails_leaves_nothing_behind_and_the_next_one_succeeds() {
    let (folder, totals) = saved();
    let mut run = Run::start(folder.path()).unwrap();
    assert_eq!(run.partition.next_offset(), END);
    run.claim().unwrap();
    let states = files(folder.path(), ".state");
    // In the way of the next manifest, but not of its state.
    let taken = folder
        .path()
        .join(super::folder_name(&id()))
        .join("00000002-000000000004.manifest.json");
    fs::write(&taken, "what another left").unwrap();
    let error = run.save().unwrap_err().to_string();
    assert!(error.contains("00000002-000000000004.manifest.json"), "{error}");
    assert_eq!(files(folder.path(), ".state"), states);
    run.save().unwrap();
    let mut run = Run::start(folder.path()).unwrap();
    assert_eq!((run.partition.next_offset(), run.totals()), (END, totals));
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("checkpoints");
    fs::write(&taken, "not a folder").unwrap();
    let error = Files::open_folder(&taken).unwrap_err().to_string();
    assert!(error.contains(&taken.display().to_string()), "{error}");
    assert_eq!(fs::read(&taken).unwrap(), b"not a folder");
}

/// A node among those that share a folder: it takes the partition over as it finds it.
fn take_over(folder: &Path, node: &str) -> Run {
    let mut run = Run::start_as(folder, node).unwrap();
    match run.store.claim(&id(), run.settings, &run.layers).unwrap() {
        Claimed::Restored(restored) => run.partition = restored.partition,
        Claimed::New => assert_eq!(run.partition.next_offset(), 0),
        Claimed::Held => panic!("{node} had it already"),
    }
    run
}

#[test]
fn a_partition_goes_from_node_to_node_and_who_had_it_can_write_no_more() {
    let (whole, totals) = saved();
    drop(whole);
    let folder = tempfile::tempdir().unwrap();
    let mut first = take_over(folder.path(), "first");
    first.read_to(SAVED[0]);
    first.write().unwrap();
    // Read on, and not saved: the other node reads it again.
    first.read_to(150);

    let mut second = take_over(folder.path(), "second");
    assert_eq!(second.partition.next_offset(), SAVED[0]);
    second.read_to(SAVED[1]);
    second.write().unwrap();
    second.read_to(SAVED[1] + 50);

    let before = bytes_of(folder.path());
    for _ in 0..2 {
        let error = first.write().unwrap_err();
        assert!(
            matches!(error, CheckpointError::Fenced { epoch: 2, .. }),
            "{error}"
        );
    }
    assert!(bytes_of(folder.path()) == before, "the one that was fenced wrote");
    second.write().unwrap();

    // Back to the first, which has nothing of its own of it.
    let mut third = take_over(folder.path(), "first");
    assert_eq!(third.partition.next_offset(), SAVED[1] + 50);
    third.read_to(END);
    assert_eq!(third.totals(), totals);
    third.write().unwrap();
    assert!(matches!(
        second.write(),
        Err(CheckpointError::Fenced { epoch: 3, .. })
    ));
    assert_eq!(files(folder.path(), super::manifest::CLAIM).len(), 1);

    // A restart has what it had last, and only that.
    assert_eq!(
        Run::start_as(folder.path(), "second")
            .unwrap()
            .partition
            .next_offset(),
        0
    );
    let mut again = Run::start_as(folder.path(), "first").unwrap();
    assert_eq!((again.partition.next_offset(), again.totals()), (END, totals));
}

/// The one that was fenced is in the middle of writing when the other claims and reads.
#[test]
fn what_a_fenced_node_still_writes_is_in_nobodys_way() {
    let (whole, totals) = saved();
    drop(whole);
    let folder = tempfile::tempdir().unwrap();
    let mut first = take_over(folder.path(), "first");
    first.read_to(SAVED[0]);
    first.write().unwrap();
    first.read_to(150);
    let mut second = take_over(folder.path(), "second");
    // It had looked for newer claims before that one was made.
    let claim = files(folder.path(), super::manifest::CLAIM).pop().unwrap();
    let hidden = folder.path().join("hidden");
    fs::rename(&claim, &hidden).unwrap();
    first.write().unwrap();
    fs::rename(&hidden, &claim).unwrap();

    for end in [180, 240, 260, 280, END] {
        second.read_to(end);
        second.write().unwrap();
    }
    assert_eq!(second.totals(), totals);
    let mut third = take_over(folder.path(), "third");
    assert_eq!((third.partition.next_offset(), third.totals()), (END, totals));
}
