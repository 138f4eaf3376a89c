//! A grid made of events that passed the edge, and a model of three layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use h3o::Resolution;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::{Edge, FeedRules, PlaceCache};
use riskgrid_ingest::grid::{
    Calendar, EventLogLimits, GridPublisher, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
    Retention,
};
use riskgrid_ingest::{
    DAY, EventTime, HOUR, LIVE_DOMAIN, LayerSettings, LayerTable, MINUTE, SECOND, SourceKey,
};
use serde_json::json;

use crate::risk::RiskEngine;
use crate::risk::hazard_index::HazardScale;
use crate::risk::intensity::HalfLife;
use crate::risk::model::{Group, HazardModel, LayerModel, RiskModel};
use crate::risk::sensors::{Direction, Levels};
use crate::risk::spread::Kernel;

/// 2026-11-22T08:00:00Z
pub(super) const START: i64 = 1_795_334_400 * SECOND;

pub(in crate::risk) fn model(half_life: i64) -> RiskModel {
    let reports = |id: &str| LayerModel {
        id: id.to_owned(),
        half_life: HalfLife::new(half_life).unwrap(),
        weight: 1.0,
        domain: None,
        kernel: Kernel::new(1, 0.6),
        hazard: HazardModel::Reports {
            scale: HazardScale {
                half_level: 3.0,
                surprise_weight: 0.25,
            },
            dispersion: 2.0,
        },
    };
    let water = LayerModel {
        hazard: HazardModel::Observations {
            levels: Levels::new(&[[0.0, 0.0], [2.0, 0.4], [3.0, 0.8]], Direction::Up).unwrap(),
            of_sensors: BTreeMap::new(),
            valid_for: 10 * MINUTE,
        },
        ..reports("water")
    };
    RiskModel {
        severity_factor: 0.5,
        forecast: DAY,
        layers: vec![reports("flooding"), reports("noise"), water],
        groups: vec![
            Group {
                name: "flood".to_owned(),
                layers: vec![0, 2],
            },
            Group {
                name: "noise".to_owned(),
                layers: vec![1],
            },
        ],
        facilities: BTreeMap::new(),
        infrastructure: BTreeMap::new(),
        susceptibility: Vec::new(),
        coping: Vec::new(),
        hash: "0".to_owned(),
    }
}

/// One event: layer, minutes after the start, place, partition, who.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) layer: usize,
    pub(super) seconds: i64,
    pub(super) place: usize,
    pub(super) partition: usize,
    pub(super) reporter: u8,
}

pub(super) struct Ingest {
    edge: Edge,
    layers: Arc<LayerTable>,
    partitions: Vec<Partition>,
    publisher: GridPublisher,
    cache: PlaceCache,
    rules: FeedRules,
    number: u64,
}

const CALENDAR: Calendar = Calendar::new(MINUTE, Tz::UTC);

/// `buckets` is how long minutes are kept.
fn settings(buckets: i64) -> GridSettings {
    GridSettings {
        calendar: CALENDAR,
        allowed_lateness: 2 * MINUTE,
        retention: Retention {
            buckets,
            hours: 3 * DAY,
            days: 30 * DAY,
        },
        dedup_horizon: DAY,
        dedup_bytes: 1 << 24,
        events: EventLogLimits {
            age: HOUR,
            bytes: 1 << 20,
        },
        max_sensors: 1000,
        max_reports: 1000,
        max_units: 1000,
    }
}

impl Ingest {
    /// Minutes become hours after two hours already.
    pub(super) fn new(partitions: usize) -> Self {
        Self::keeping(partitions, 2 * HOUR)
    }

    pub(super) fn keeping(partitions: usize, buckets: i64) -> Self {
        let written: Vec<LayerSettings> = serde_json::from_value(json!([
            {"id": "water", "kind": "observation", "unit": "m"},
            {"id": "noise", "kind": "report"},
            {"id": "flooding", "kind": "report"},
        ]))
        .unwrap();
        let layers = Arc::new(LayerTable::new(&written, 16).unwrap());
        let partition = |number: i32| {
            let id = PartitionId {
                topic: "t".into(),
                partition: number,
            };
            Partition::new(id, LIVE_DOMAIN.into(), settings(buckets), 0)
        };
        Self {
            edge: Edge {
                resolution: Resolution::Nine,
                future_skew: 5 * MINUTE,
                bounds: None,
                source_key: SourceKey([7; 16]),
            },
            partitions: (0..partitions as i32).map(partition).collect(),
            publisher: GridPublisher::new(CALENDAR, Resolution::Nine, Arc::clone(&layers), 30 * SECOND),
            layers,
            cache: PlaceCache::new(Resolution::Nine),
            rules: FeedRules {
                domain: LIVE_DOMAIN.to_owned(),
                ..FeedRules::default()
            },
            number: 0,
        }
    }

    pub(super) fn take(&mut self, made: &Made) {
        self.number += 1;
        let time = EventTime::from_micros(START + made.seconds * SECOND);
        let (lon, lat) = (113.93 + made.place as f64 * 0.002, 22.53);
        let (kind, data) = if made.layer == 2 {
            (
                "riskgrid.observation.v1",
                json!({"sensor": format!("s{}", made.place), "property": "water", "value": f64::from(made.reporter) / 8.0,
                "unit": "m", "lon": lon, "lat": lat}),
            )
        } else {
            (
                "riskgrid.report.v1",
                json!({"category": (["flooding", "noise"][made.layer]), "severity": 2, "lon": lon, "lat": lat,
                "channel": (["phone", "app", "camera"][usize::from(made.reporter) % 3]), "reporter": format!("r{}", made.reporter)}),
            )
        };
        let event = json!({"specversion": "1.0", "id": format!("e{}", self.number), "source": "//test", "type": kind,
            "time": time.to_string(), "data": data});
        self.take_event(&event, made.partition);
    }

    /// Takes in an event as it is written.
    pub(super) fn take_event(&mut self, event: &serde_json::Value, partition: usize) {
        let bytes = event.to_string().into_bytes();
        let candidate = decode_structured(&bytes).unwrap();
        let received = EventTime::from_micros(START + DAY);
        let partition = &mut self.partitions[partition];
        let judged = self.edge.judge(
            candidate,
            received,
            &self.rules,
            partition.clock(),
            &self.layers,
            &mut self.cache,
        );
        // Too late for its partition: then it is in no grid.
        if let Ok(judged) = judged {
            partition.apply(&judged.event, &self.layers);
        }
    }

    pub(super) fn snapshot(&mut self) -> Arc<GridSnapshot> {
        let now = std::time::Instant::now();
        let heard: Vec<Heard> = self
            .partitions
            .iter_mut()
            .map(|partition| Heard {
                view: partition.view(&CALENDAR),
                heard: Some(now),
            })
            .collect();
        self.publisher.publish(heard, Arc::clone(&self.layers), now)
    }
}

pub(super) fn engine(half_life: i64) -> RiskEngine {
    RiskEngine::new(Arc::new(model(half_life)), Arc::default(), Resolution::Nine).unwrap()
}
