//! A grid made of events that passed the edge, and short ways to ask it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use chrono_tz::Tz;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use futures::StreamExt as _;
use h3o::{CellIndex, LatLng, Resolution};
use proptest::prelude::*;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{Asker, SqlEngine, SqlError, SqlLimits, SqlRequest};
use riskgrid_analytics::table_functions::table_functions;
use riskgrid_analytics::tables::grid_tables;
use riskgrid_ingest::decode::cloudevent::decode_structured;
use riskgrid_ingest::edge::PlaceCache;
use riskgrid_ingest::grid::{
    Calendar, EventLogLimits, GridPublisher, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
};
use riskgrid_ingest::places::Places;
use riskgrid_ingest::{DAY, EventTime, LIVE_DOMAIN, LayerSettings, LayerTable, MINUTE, SECOND};
use serde_json::{Value, json};

use crate::grid_rig::{EDGE, SETTINGS, live_rules};

/// 2026-11-22T08:00:00Z
pub(crate) const START: i64 = 1_795_334_400 * SECOND;

/// One event that counts: layer, microseconds after [`START`], place, and for `water` a value.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) layer: &'static str,
    pub(crate) micros: i64,
    pub(crate) lon: f64,
    pub(crate) lat: f64,
    pub(crate) value: f64,
    pub(crate) partition: i32,
}

/// The layers that a grid here knows.
pub(crate) const LAYERS: [&str; 3] = ["water", "noise", "flooding"];

/// In the place of a layer: none.
const NAMELESS: &str = "";
/// In the place of a layer: where a response unit was.
pub(crate) const POSITION: &str = "@position";

/// Some events of `length` microseconds in two partitions, in no order.
pub(crate) fn events(length: i64) -> impl Strategy<Value = Vec<Made>> {
    let one = (
        0usize..3,
        0..length,
        0.0..0.02_f64,
        0.0..0.02_f64,
        0..2i32,
        -50..50i32,
    );
    let one = one.prop_map(|(layer, micros, east, north, partition, value)| Made {
        layer: LAYERS[layer],
        micros,
        lon: 113.93 + east,
        lat: 22.53 + north,
        value: f64::from(value) / 4.0,
        partition,
    });
    prop::collection::vec(one, 1..80)
}

/// Waits on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

impl Made {
    pub(crate) fn at_cell(layer: &'static str, micros: i64, cell: u64) -> Self {
        let centre = LatLng::from(CellIndex::try_from(cell).unwrap());
        Self {
            layer,
            micros,
            lon: centre.lng(),
            lat: centre.lat(),
            value: 1.5,
            partition: 0,
        }
    }

    pub(crate) fn cell(&self) -> u64 {
        LatLng::new(self.lat, self.lon)
            .unwrap()
            .to_cell(Resolution::Nine)
            .into()
    }

    /// A report's update that names neither a category nor a place.
    pub(crate) fn nameless(micros: i64) -> Self {
        Self {
            layer: NAMELESS,
            micros,
            lon: 0.0,
            lat: 0.0,
            value: 0.0,
            partition: 0,
        }
    }

    fn json(&self, number: usize) -> Vec<u8> {
        let time = EventTime::from_micros(START + self.micros).to_string();
        let (kind, data) = if self.layer == "water" {
            let data = json!({"sensor": format!("s{number}"), "property": "water", "value": self.value, "unit": "m",
                "lon": self.lon, "lat": self.lat});
            ("riskgrid.observation.v1", data)
        } else if self.layer == NAMELESS {
            let data = json!({"report": format!("r{number}"), "op": "update"});
            ("riskgrid.report.v1", data)
        } else if self.layer == POSITION {
            let data = json!({"unit": format!("u{number}"), "status": "available", "lon": self.lon, "lat": self.lat});
            ("riskgrid.position.v1", data)
        } else {
            let data = json!({"category": self.layer, "severity": 3, "lon": self.lon, "lat": self.lat});
            ("riskgrid.report.v1", data)
        };
        let event = json!({"specversion": "1.0", "id": format!("e{number}"), "source": "//test", "type": kind,
            "time": time, "data": data});
        event.to_string().into_bytes()
    }
}

/// Layers `water` (observations), `noise` and `flooding` (reports).
fn layers(has_layer: impl Fn(&str) -> bool) -> LayerTable {
    let mut settings: Vec<LayerSettings> = serde_json::from_value(json!([
        {"id": "water", "kind": "observation", "unit": "m"},
        {"id": "noise", "kind": "report"},
        {"id": "flooding", "kind": "report"},
    ]))
    .unwrap();
    settings.retain(|layer| has_layer(&layer.id));
    LayerTable::new(&settings, 16).unwrap()
}

/// The grid of `events`, all of which are admitted; heard from at the end, so that watermarks count.
pub(crate) fn grid(events: &[Made]) -> Arc<GridSnapshot> {
    grid_over(&Arc::default(), events)
}

/// The same over reference layers.
pub(crate) fn grid_over(reference: &Arc<Places>, events: &[Made]) -> Arc<GridSnapshot> {
    grid_in(Tz::UTC, reference, events)
}

/// The same with hours and days of a zone.
pub(crate) fn grid_in(zone: Tz, reference: &Arc<Places>, events: &[Made]) -> Arc<GridSnapshot> {
    let numbered: Vec<(usize, Made)> = events.iter().cloned().enumerate().collect();
    grid_of_numbered(zone, reference, &numbered, |_| true)
}

/// The same, of events that have the ids that these numbers give, where only some layers are configured.
pub(crate) fn grid_of_numbered(
    zone: Tz,
    reference: &Arc<Places>,
    events: &[(usize, Made)],
    has_layer: impl Fn(&str) -> bool,
) -> Arc<GridSnapshot> {
    let settings = GridSettings {
        calendar: Calendar::new(MINUTE, zone),
        dedup_horizon: 400 * DAY,
        events: EventLogLimits {
            age: 400 * DAY,
            bytes: 64 << 20,
        },
        ..SETTINGS
    };
    let layers = layers(has_layer);
    let mut states: BTreeMap<PartitionId, Partition> = BTreeMap::new();
    let mut places = PlaceCache::new(Resolution::Nine).with_areas_of(reference);
    let rules = live_rules();
    for (number, made) in events {
        let payload = made.json(*number);
        let candidate = decode_structured(&payload).unwrap();
        let id = PartitionId {
            topic: "t".into(),
            partition: made.partition,
        };
        let partition = states
            .entry(id.clone())
            .or_insert_with(|| Partition::new(id, LIVE_DOMAIN.into(), settings, 0));
        let received = EventTime::from_micros(START + made.micros);
        let judged = EDGE
            .judge(
                candidate,
                received,
                &rules,
                partition.clock(),
                &layers,
                &mut places,
            )
            .unwrap();
        partition.apply(&judged.event, &layers);
    }
    let now = std::time::Instant::now();
    let views = states.values_mut().map(|partition| Heard {
        view: partition.view(&settings.calendar),
        heard: Some(now),
    });
    let layers = Arc::new(layers);
    GridPublisher::new(
        settings.calendar,
        Resolution::Nine,
        Arc::clone(&layers),
        30 * SECOND,
    )
    .with_places(Arc::clone(reference))
    .publish(views.collect(), layers, now)
}

pub(crate) static ENGINE: LazyLock<SqlEngine> =
    LazyLock::new(|| SqlEngine::new(SqlLimits::default()).unwrap());

async fn answer(
    engine: &SqlEngine,
    snapshot: &Arc<GridSnapshot>,
    sql: &str,
    format: AnswerFormat,
) -> Result<Vec<u8>, SqlError> {
    answer_beside(engine, (snapshot, &everything()), &[], (sql, None), format).await
}

/// The permission of who sees all.
pub(crate) fn everything() -> Arc<Permission> {
    Arc::new(Permission::admin())
}

/// The answer to a statement with a limit, over the tables of a grid and others.
pub(crate) async fn answer_beside(
    engine: &SqlEngine,
    (snapshot, permission): (&Arc<GridSnapshot>, &Arc<Permission>),
    others: &[(String, Arc<dyn TableProvider>)],
    (sql, limit): (&str, Option<usize>),
    format: AnswerFormat,
) -> Result<Vec<u8>, SqlError> {
    let schema = MemorySchemaProvider::new();
    for (name, table) in grid_tables(snapshot, permission, None) {
        schema.register_table(name, table).unwrap();
    }
    for (name, table) in others {
        schema.register_table(name.clone(), Arc::clone(table)).unwrap();
    }
    let request = SqlRequest {
        sql: sql.to_owned(),
        params: Vec::new(),
        timeout: None,
        limit,
        query_id: None,
        // No whole microsecond, as clocks give it.
        now: EventTime::from_micros(START).to_utc() + chrono::Duration::nanoseconds(7),
        asker: Asker::system(),
    };
    let answer = engine
        .query(request, Arc::new(schema), table_functions(snapshot, permission))
        .await?;
    let mut body = encode(answer, format).await?.body;
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

/// The answer as CSV, all digits shown.
pub(crate) async fn csv(
    engine: &SqlEngine,
    snapshot: &Arc<GridSnapshot>,
    sql: &str,
) -> Result<String, SqlError> {
    let bytes = answer(engine, snapshot, sql, AnswerFormat::Csv).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// The answer as CSV to who may see what `permission` shows, or what is said instead.
pub(crate) fn seen(
    snapshot: &Arc<GridSnapshot>,
    permission: &Arc<Permission>,
    sql: &str,
) -> Result<String, String> {
    let asked = answer_beside(
        &ENGINE,
        (snapshot, permission),
        &[],
        (sql, None),
        AnswerFormat::Csv,
    );
    let bytes = block_on(asked).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// The rows of the answer, as JSON.
pub(crate) async fn ask(snapshot: &Arc<GridSnapshot>, sql: &str) -> Result<Vec<Vec<Value>>, SqlError> {
    let whole = answer(&ENGINE, snapshot, sql, AnswerFormat::Json).await?;
    let answer: Value = serde_json::from_slice(&whole).unwrap();
    Ok(serde_json::from_value(answer["rows"].clone()).unwrap())
}

/// [`ask`] where an answer is expected.
pub(crate) async fn rows(snapshot: &Arc<GridSnapshot>, sql: &str) -> Vec<Vec<Value>> {
    ask(snapshot, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The message of a refusal.
pub(crate) async fn refusal(snapshot: &Arc<GridSnapshot>, sql: &str) -> String {
    match ask(snapshot, sql).await {
        Err(SqlError::BadRequest(text)) => text,
        other => panic!("{sql}: {other:?}"),
    }
}
