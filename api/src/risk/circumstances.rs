//! What surfaces are told beside the events: which areas are in emergency mode, and when feeds were silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use riskgrid_analytics::risk::{Conditions, RiskEngine};
use riskgrid_ingest::grid::{Calendar, CellSet, GridSnapshot, Span, Step};
use riskgrid_ingest::places::cell_set_of;
use riskgrid_ingest::{DAY, EventTime, HOUR, LIVE_DOMAIN};

/// No baseline looks back further.
const LOOKED_BACK: i64 = 400 * DAY;

/// As the store of decisions has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Ids of the areas in emergency mode.
    pub emergency: BTreeSet<Arc<str>>,
    /// When areas were in it, those that still are up to now.
    pub emergencies: Vec<(Arc<str>, Span)>,
    /// Feeds that were silent, and when; those that still are up to now.
    pub silences: Vec<(String, Span)>,
}

impl Circumstances {
    /// Whether surfaces come faster.
    pub fn is_emergency(&self) -> bool {
        !self.emergency.is_empty()
    }

    /// What they mean for the surfaces of an engine. An area that is not loaded means nothing.
    pub(super) fn conditions(
        &self,
        engine: &RiskEngine,
        snapshot: &GridSnapshot,
        now: EventTime,
    ) -> Conditions {
        let (places, calendar) = (&snapshot.places, &snapshot.calendar);
        let cells = |area: &Arc<str>| {
            let area = places.areas.get(area)?;
            Some(cell_set_of(&area.shape, engine.resolution()))
        };
        let emergency: Vec<_> = self
            .emergency
            .iter()
            .filter_map(cells)
            .flat_map(|cells| cells.ranges().to_vec())
            .collect();
        let past: Vec<(CellSet, Span)> = self
            .emergencies
            .iter()
            .filter_map(|(area, span)| Some((cells(area)?, *span)))
            .collect();
        let mut left_out = BTreeMap::new();
        for layer in &engine.model().layers {
            let mut hours = BTreeSet::new();
            if let Some(domain) = engine.domain_of(&layer.id) {
                for (cells, span) in &past {
                    if cells.rows_in(&domain).next().is_some() {
                        add_hours(&mut hours, calendar, *span, now);
                    }
                }
            }
            let now = now_of(snapshot, &layer.id).unwrap_or(now);
            let silences = self.silences.iter();
            for (_, span) in silences.filter(|(feed, _)| brings(snapshot, feed, &layer.id)) {
                add_hours(&mut hours, calendar, *span, now);
            }
            if !hours.is_empty() {
                left_out.insert(layer.id.clone(), Arc::new(hours));
            }
        }
        Conditions {
            emergency: CellSet::of(emergency),
            emergencies: past,
            left_out,
        }
    }
}

/// Whether a feed, as rules call it, brought in anything of a layer.
fn brings(snapshot: &GridSnapshot, feed: &str, layer: &str) -> bool {
    let Some(index) = snapshot.layers.find(layer) else {
        return false;
    };
    snapshot
        .partitions
        .iter()
        .filter(|partition| *partition.domain == *feed || partition.id.is_called(feed))
        .any(|partition| partition.layers.contains_key(&index))
}

/// The clock of a layer that is not live.
fn now_of(snapshot: &GridSnapshot, layer: &str) -> Option<EventTime> {
    let known = snapshot.layers.get(snapshot.layers.find(layer)?)?;
    let clock = snapshot
        .domain(&known.domain)
        .filter(|_| known.domain != LIVE_DOMAIN)?;
    clock.newest_bucket_end
}

/// The hours that a span touches, as far as any baseline looks back.
fn add_hours(hours: &mut BTreeSet<EventTime>, calendar: &Calendar, span: Span, now: EventTime) {
    let end = span.end.min(now);
    let mut hour = calendar
        .span(Step::Hour, span.start.max(end.plus(-LOOKED_BACK)))
        .start;
    while hour < end {
        hours.insert(hour);
        hour = hour.plus(HOUR);
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use h3o::Resolution;
    use riskgrid_analytics::risk::RiskModel;
    use riskgrid_analytics::risk::hazard_index::HazardScale;
    use riskgrid_analytics::risk::intensity::HalfLife;
    use riskgrid_analytics::risk::model::{HazardModel, LayerModel};
    use riskgrid_analytics::risk::spread::Kernel;
    use riskgrid_ingest::decode::cloudevent::decode_structured;
    use riskgrid_ingest::edge::{Edge, FeedRules, PlaceCache};
    use riskgrid_ingest::grid::{
        EventLogLimits, GridPublisher, GridSettings, Heard, Partition, PartitionId, Retention,
    };
    use riskgrid_ingest::places::{Area, AreaIndex, Places, Shape};
    use riskgrid_ingest::{LayerTable, MINUTE, SourceKey};
    use serde_json::json;

    use super::*;

    fn area(id: &str, west: f64) -> Area {
        let (east, ring) = (west + 0.1, |x: f64, y: f64| [x, y]);
        let ring = vec![
            ring(west, 22.5),
            ring(east, 22.5),
            ring(east, 22.6),
            ring(west, 22.6),
            ring(west, 22.5),
        ];
        Area {
            id: id.into(),
            name: id.to_owned(),
            level: "district".into(),
            parent: None,
            population: None,
            shape: Shape::new(vec![vec![ring]]).unwrap(),
        }
    }

    /// A grid into which the feed `calls` brought one report of noise.
    fn snapshot(places: &Arc<Places>, time: EventTime) -> Arc<GridSnapshot> {
        let settings =
            |id: &str| serde_json::from_value(serde_json::json!({"id": id, "kind": "report"})).unwrap();
        let layers = Arc::new(LayerTable::new(&[settings("flooding"), settings("noise")], 2).unwrap());
        let calendar = Calendar::new(MINUTE, Tz::UTC);
        let settings = GridSettings {
            calendar,
            allowed_lateness: MINUTE,
            retention: Retention {
                buckets: DAY,
                hours: DAY,
                days: DAY,
            },
            dedup_horizon: DAY,
            dedup_bytes: 1 << 20,
            events: EventLogLimits {
                age: MINUTE,
                bytes: 0,
            },
            max_sensors: 1,
            max_reports: 1,
            max_units: 1,
        };
        let id = PartitionId::of_file("calls");
        let mut partition = Partition::new(id, LIVE_DOMAIN.into(), settings, 0);
        let event = json!({"specversion": "1.0", "id": "1", "source": "//test", "type": "riskgrid.report.v1",
            "time": time.to_string(), "data": {"category": "noise", "lon": 113.95, "lat": 22.55}});
        let bytes = event.to_string().into_bytes();
        let edge = Edge {
            resolution: Resolution::Eight,
            future_skew: MINUTE,
            bounds: None,
            source_key: SourceKey([0; 16]),
        };
        let rules = FeedRules {
            domain: LIVE_DOMAIN.to_owned(),
            ..FeedRules::default()
        };
        let clock = partition.clock();
        let mut cache = PlaceCache::new(Resolution::Eight);
        let candidate = decode_structured(&bytes).unwrap();
        let judged = edge.judge(candidate, time, &rules, clock, &layers, &mut cache);
        partition.apply(&judged.unwrap().event, &layers);
        let now = std::time::Instant::now();
        let heard = Heard {
            view: partition.view(&calendar),
            heard: Some(now),
        };
        GridPublisher::new(calendar, Resolution::Eight, Arc::clone(&layers), MINUTE)
            .with_places(Arc::clone(places))
            .publish(vec![heard], layers, now)
    }

    #[test]
    fn an_emergency_in_a_domain_and_a_silent_feed_leave_hours_out() {
        let places = Arc::new(Places {
            areas: AreaIndex::new(vec![area("here", 113.9), area("there", 114.9)]).unwrap(),
            ..Places::default()
        });
        let layer = |id: &str, domain: &str| LayerModel {
            id: id.to_owned(),
            half_life: HalfLife::new(HOUR).unwrap(),
            weight: 1.0,
            domain: Some(domain.into()),
            kernel: Kernel::new(1, 0.6),
            hazard: HazardModel::Reports {
                scale: HazardScale {
                    half_level: 3.0,
                    surprise_weight: 0.25,
                },
                dispersion: 2.0,
            },
        };
        let model = RiskModel {
            layers: vec![layer("flooding", "here"), layer("noise", "there")],
            ..RiskModel::default()
        };
        let engine = RiskEngine::new(Arc::new(model), Arc::clone(&places), Resolution::Eight).unwrap();
        let start = EventTime::parse_rfc3339("2026-11-22T08:30:00Z").unwrap();
        let span = |from: i64, to: i64| Span {
            start: start.plus(from),
            end: start.plus(to),
        };
        let circumstances = Circumstances {
            emergency: ["here".into(), "nowhere".into()].into(),
            emergencies: vec![("here".into(), span(0, HOUR)), ("nowhere".into(), span(0, HOUR))],
            silences: vec![
                ("calls".to_owned(), span(-HOUR, 9 * HOUR)),
                // Brings in nothing of either layer.
                ("call".to_owned(), span(-5 * HOUR, -4 * HOUR)),
            ],
        };
        let snapshot = snapshot(&places, start);
        let conditions = circumstances.conditions(&engine, &snapshot, start.plus(HOUR));
        let hours = |layer: &str| -> Vec<i64> {
            let hours = conditions.left_out_of(layer);
            hours.iter().map(|hour| hour.since(start) / MINUTE).collect()
        };
        // From the start of the hour that it begins in; what has not come yet is not left out.
        assert_eq!(hours("flooding"), [-30, 30]);
        assert_eq!(hours("noise"), [-90, -30, 30]);
        let inside = h3o::LatLng::new(22.55, 113.95)
            .unwrap()
            .to_cell(Resolution::Eight);
        let outside = h3o::LatLng::new(22.55, 114.95)
            .unwrap()
            .to_cell(Resolution::Eight);
        assert!(conditions.emergency.holds(inside.into()));
        assert!(!conditions.emergency.holds(outside.into()));
        // What has ended was so then, and only then.
        let was = |minutes: i64| conditions.emergency_at(start.plus(minutes * MINUTE));
        assert!(was(0).holds(inside.into()) && was(59).holds(inside.into()));
        assert!(!was(-1).holds(inside.into()) && !was(60).holds(inside.into()));
        assert!(!was(0).holds(outside.into()));
        assert_eq!(
            Circumstances::default().conditions(&engine, &snapshot, start),
            Conditions::default()
        );
    }
}
