//! What the fuzz targets do with their bytes. Ordinary tests do the same with every seed, and with every find that was
//! kept as one, in `ingest/tests/ingest/seeds.rs`.
//!
//! What was decoded is judged and applied as ingest does it, and the accounts must balance.

pub mod checkpoint;
pub mod cloudevent;
pub mod feed;
#[path = "../../../fixtures/grid_rig.rs"]
mod grid_rig;
pub mod journal;
pub mod mapping;

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_ingest::edge::{Edge, FeedRules, PlaceCache};
use riskgrid_ingest::grid::{Calendar, EventLogLimits, GridSettings, Partition, PartitionId};
use riskgrid_ingest::{Candidate, DAY, EventTime, LayerTable, MINUTE, Refusal, SECOND};

use self::grid_rig::{EDGE, live_rules};

/// When all records were received.
const RECEIVED: EventTime = EventTime::from_micros(1_795_000_000 * SECOND);

/// The settings of the grid.
pub const SETTINGS: GridSettings = GridSettings {
    calendar: Calendar::new(MINUTE, Tz::Asia__Kolkata),
    dedup_bytes: 1 << 20,
    events: EventLogLimits {
        age: DAY,
        bytes: 1 << 20,
    },
    ..grid_rig::SETTINGS
};

/// The layers that the catalogue names.
pub fn layers() -> LayerTable {
    let settings = [
        serde_json::json!({"id": "water_level", "kind": "observation", "unit": "m"}),
        serde_json::json!({"id": "flooding", "kind": "report"}),
    ]
    .map(|layer| serde_json::from_value(layer).expect("a layer"));
    LayerTable::new(&settings, 8).expect("a table")
}

/// Judges and applies candidates.
pub struct Grid {
    edge: Edge,
    rules: FeedRules,
    layers: LayerTable,
    places: PlaceCache,
    partition: Partition,
    read: u64,
}

impl Grid {
    /// An empty grid for the rules of a feed; without them those of live events.
    pub fn new(rules: Option<FeedRules>) -> Self {
        let rules = rules.unwrap_or_else(live_rules);
        Self {
            edge: EDGE,
            partition: Partition::new(
                PartitionId::of_journal(),
                rules.domain.as_str().into(),
                SETTINGS,
                0,
            ),
            rules,
            layers: layers(),
            places: PlaceCache::new(Resolution::Nine),
            read: 0,
        }
    }

    /// What a worker does with what it decoded; layers that are not known are not learnt.
    pub fn take(&mut self, candidate: Result<Candidate<'_>, Refusal>) {
        self.read += 1;
        let clock = self.partition.clock();
        let judged = candidate.and_then(|candidate| {
            self.edge.judge(
                candidate,
                RECEIVED,
                &self.rules,
                clock,
                &self.layers,
                &mut self.places,
            )
        });
        match judged {
            Ok(judged) if judged.new_layer.is_none() => {
                self.partition.apply(&judged.event, &self.layers);
            }
            Ok(_) => self.read -= 1,
            Err(refusal) => self.partition.refuse(refusal.reason),
        }
    }

    /// Read = accepted + duplicate + refused, and every counted event is in a cell.
    pub fn balances(&mut self) {
        let view = self.partition.view(&SETTINGS.calendar);
        let counts = &view.counts;
        assert_eq!(counts.read, self.read);
        assert_eq!(
            counts.read,
            counts.accepted + counts.duplicate + counts.refused_total()
        );
        let counted: u64 = view.layers.values().map(|(_, totals)| totals.count).sum();
        assert!(counted <= counts.accepted);
    }
}

/// A target: the name of its binary and of the folder of its seeds, and what it does with some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("checkpoint", checkpoint::run),
    ("cloudevent", cloudevent::run),
    ("feed", feed::run),
    ("journal", journal::run),
    ("mapping", mapping::run),
];
