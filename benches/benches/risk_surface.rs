//! What the risk surface costs where 100 000 cells of each of eight layers are active: the surface after a second's events,
//! on one core; the pace of ingest with surfaces made beside it, and without; a `risk` query of the city; a tile of `risk`
//! beside one of `count`; bytes of what is kept, a cell and layer.
//!
//! A surface of more than 200 ms, ingest below nine tenths of its pace, a query of more than 20 ms, a tile of more than one
//! and a half times a count tile, or more than 200 bytes is an error.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::risk::hazard_index::HazardScale;
use riskgrid_analytics::risk::intensity::HalfLife;
use riskgrid_analytics::risk::model::{Group, HazardModel, LayerModel, RiskModel};
use riskgrid_analytics::risk::spread::Kernel;
use riskgrid_analytics::risk::{Conditions, RiskEngine, Surface};
use riskgrid_analytics::sql::{Asker, SqlEngine, SqlLimits, SqlRequest};
use riskgrid_analytics::{QueryTables, sql::SqlError};
use riskgrid_api::tiles::{CellValues, GeometryCache, TileSet};
use riskgrid_benches::{Outcome, measure, print_rates, print_times, settings};
use riskgrid_fixtures::random::SplitMix64;
use riskgrid_ingest::grid::{
    GridPublisher, GridReader, GridSettings, GridSnapshot, Heard, Partition, PartitionId,
};
use riskgrid_ingest::{
    Channel, DAY, Event, EventHash, EventKind, EventTime, HOUR, LIVE_DOMAIN, LayerSettings, LayerTable,
    MINUTE, Position, ReportOp, SECOND,
};

const LAYERS: usize = 8;
/// Rings of the disk: 3·182·183 + 1 = 99 919 cells.
const RINGS: u32 = 182;
/// Events of a second.
const OF_A_SECOND: usize = 5_000;
/// Events whose pace is taken.
const OF_THE_PACE: usize = 1_000_000;
/// Events between two snapshots while the pace is taken.
const OF_A_SNAPSHOT: usize = 25_000;
const RUNS: usize = 7;
/// 2026-11-22T08:20:00Z
const START: i64 = 1_795_335_600 * SECOND;

fn main() -> Outcome<()> {
    let mut grid = Rig::new()?;
    for number in 0..grid.cells.len() * LAYERS {
        let (cell, layer) = (number / LAYERS, number % LAYERS);
        grid.take(cell, layer, START + (number % 600) as i64 * SECOND);
    }
    let mut engine = RiskEngine::new(Arc::new(model()?), Arc::default(), Resolution::Nine)?;
    let first = Instant::now();
    let snapshot = grid.snapshot();
    let mut now = EventTime::from_micros(START + 11 * MINUTE);
    let mut surface = engine.surface(&snapshot, now, &Conditions::default());
    println!(
        "{} active cells, {} rows; the first surface, with the hours before it, took {:.1?}",
        engine.cells(),
        surface.rows(),
        first.elapsed()
    );
    let mut times = Vec::new();
    for _ in 0..RUNS {
        grid.second(now);
        now = now.plus(SECOND);
        let snapshot = grid.snapshot();
        let begun = Instant::now();
        surface = engine.surface(&snapshot, now, &Conditions::default());
        times.push(begun.elapsed());
    }
    let took = print_times("a surface after a second's events", times, |_| String::new());
    let bytes = (engine.bytes() + surface.bytes()) as f64 / engine.cells() as f64;
    println!(
        "{:.0} bytes a cell and layer: {:.0} between surfaces, {:.0} of rows",
        bytes,
        engine.bytes() as f64 / engine.cells() as f64,
        surface.bytes() as f64 / engine.cells() as f64
    );
    let surface = Arc::new(surface);
    let query = query(&grid.snapshot(), &surface)?;
    let (of_risk, of_count) = tiles(&surface)?;
    let (without, beside) = pace(&mut grid, &mut engine, now);
    for (what, is, most) in [
        ("a surface takes ms", took.as_secs_f64() * 1e3, 200.0),
        ("a query takes ms", query.as_secs_f64() * 1e3, 20.0),
        (
            "a risk tile takes times a count tile",
            of_risk.as_secs_f64() / of_count.as_secs_f64(),
            1.5,
        ),
        ("bytes a cell and layer", bytes, 200.0),
        (
            "ingest without surfaces over ingest beside them",
            without / beside,
            1.0 / 0.9,
        ),
    ] {
        println!("{what}: {is:.2}, at most {most:.2}");
        if is > most {
            return Err(format!("{what}: {is:.2}, more than {most:.2}").into());
        }
    }
    Ok(())
}

fn model() -> Outcome<RiskModel> {
    let half_life = HalfLife::new(2 * HOUR).ok_or("a half-life of two hours")?;
    let layer = |number: usize| LayerModel {
        id: layer_id(number),
        half_life,
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
    Ok(RiskModel {
        severity_factor: 0.5,
        forecast: DAY,
        layers: (0..LAYERS).map(layer).collect(),
        groups: (0..LAYERS)
            .map(|number| Group {
                name: layer_id(number),
                layers: vec![number],
            })
            .collect(),
        ..RiskModel::default()
    })
}

fn layer_id(number: usize) -> String {
    format!("layer_{number}")
}

/// A grid of one partition that is fed by hand.
struct Rig {
    cells: Vec<CellIndex>,
    settings: GridSettings,
    layers: Arc<LayerTable>,
    partition: Partition,
    publisher: GridPublisher,
    random: SplitMix64,
    taken: u128,
}

impl Rig {
    fn new() -> Outcome<Self> {
        let settings = settings(false);
        let written: Vec<LayerSettings> = (0..LAYERS)
            .map(|number| {
                serde_json::from_value(serde_json::json!({"id": layer_id(number), "kind": "report"}))
            })
            .collect::<Result<_, _>>()?;
        let layers = Arc::new(LayerTable::new(&written, LAYERS)?);
        let id = PartitionId {
            topic: "bench".into(),
            partition: 0,
        };
        let centre = LatLng::new(22.53, 113.93)?.to_cell(Resolution::Nine);
        Ok(Self {
            cells: centre.grid_disk(RINGS),
            settings,
            partition: Partition::new(id, LIVE_DOMAIN.into(), settings, 0),
            publisher: GridPublisher::new(
                settings.calendar,
                Resolution::Nine,
                Arc::clone(&layers),
                30 * SECOND,
            ),
            layers,
            random: SplitMix64::new(1),
            taken: 0,
        })
    }

    fn take(&mut self, cell: usize, layer: usize, micros: i64) {
        self.taken += 1;
        let Some(cell) = self.cells.get(cell) else { return };
        let time = EventTime::from_micros(micros);
        let event = Event {
            kind: EventKind::Report,
            id: Cow::Borrowed(""),
            source: Cow::Borrowed(""),
            time,
            clock: time,
            received: time,
            hash: EventHash(self.taken),
            layer: self.layers.find(&layer_id(layer)),
            position: Some(Position {
                lon: 113.93,
                lat: 22.53,
                cell: *cell,
            }),
            areas: None,
            value: None,
            severity: 2,
            weight: 2,
            op: ReportOp::Open,
            entity: Cow::Borrowed(""),
            channel: Channel::Phone,
            source_hash: (self.taken as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            outcome: None,
            status: None,
            skills: Vec::new(),
            mirrored: None,
        };
        self.partition.apply(&event, &self.layers);
    }

    /// A second's events in cells at random.
    fn second(&mut self, now: EventTime) {
        for number in 0..OF_A_SECOND {
            let cell = self.random.below(self.cells.len() as u64) as usize;
            self.take(cell, number % LAYERS, now.micros());
        }
    }

    fn snapshot(&mut self) -> Arc<GridSnapshot> {
        let now = Instant::now();
        let heard = Heard {
            view: self.partition.view(&self.settings.calendar),
            heard: Some(now),
        };
        self.publisher.publish(vec![heard], Arc::clone(&self.layers), now)
    }
}

/// The hundred cells of the city where most is at risk.
fn query(snapshot: &Arc<GridSnapshot>, surface: &Arc<Surface>) -> Outcome<Duration> {
    let engine = SqlEngine::new(SqlLimits::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let permission = Arc::new(Permission::admin());
    let ask = || -> Result<usize, SqlError> {
        let request = SqlRequest {
            sql: "SELECT cell, risk, risk_low, risk_high FROM risk WHERE layer = '*' ORDER BY risk DESC LIMIT 100"
                .to_owned(),
            params: Vec::new(),
            timeout: None,
            limit: None,
            query_id: None,
            now: chrono::Utc::now(),
            asker: Asker::system(),
        };
        let tables = QueryTables::over(snapshot, &permission, None).with_risk(&surface.seen_by(&permission));
        runtime.block_on(async {
            let mut stream = engine.ask(request, tables).await?.stream;
            let mut rows = 0;
            while let Some(batch) = futures::StreamExt::next(&mut stream).await {
                rows += batch?.num_rows();
            }
            Ok(rows)
        })
    };
    if ask()? != 100 {
        return Err("the query has no hundred rows".into());
    }
    Ok(measure("a risk query of the city", ask, |_| String::new()))
}

/// A tile of about ten thousand cells of `risk`, and the same of `count`; outlines known.
fn tiles(surface: &Surface) -> Outcome<(Duration, Duration)> {
    const ZOOM: u8 = 8;
    let layer = surface.layers.first().ok_or("a layer on the surface")?;
    let rows = || layer.rows.iter().step_by(10);
    let cells: Vec<u64> = rows().map(|row| row.cell).collect();
    let of_risk = CellValues {
        resolution: 9,
        counts: vec![1; cells.len()],
        values: rows().map(|row| (row.risk.risk * 1e3).round() / 1e3).collect(),
        cells: cells.clone(),
        metric_is_integer: false,
    };
    let of_count = CellValues {
        counts: cells.iter().map(|cell| cell % 97 + 1).collect(),
        values: cells.iter().map(|cell| (cell % 97 + 1) as f64).collect(),
        metric_is_integer: true,
        ..of_risk.clone()
    };
    let (x, y) = tile_of(113.93, 22.53, ZOOM);
    let cache = GeometryCache::new(128 << 20);
    let time = |metric: &str, values: CellValues| -> Outcome<Duration> {
        let set = TileSet::new("layer_0", metric, values)?;
        if set.tile(ZOOM, x, y, &cache).is_none() {
            return Err("the tile is empty".into());
        }
        let name = format!("a tile of {metric}, its outlines known");
        Ok(measure(&name, || set.tile(ZOOM, x, y, &cache), |_| String::new()))
    };
    Ok((time("risk", of_risk)?, time("count", of_count)?))
}

/// The tile that holds a place, in web mercator.
fn tile_of(lon: f64, lat: f64, zoom: u8) -> (u32, u32) {
    let tiles = f64::from(1_u32 << zoom);
    let radians = lat.to_radians();
    let y = (1.0 - radians.tan().asinh() / std::f64::consts::PI) / 2.0;
    (((lon + 180.0) / 360.0 * tiles) as u32, (y * tiles) as u32)
}

/// Events a second that are applied and published, without surfaces and with them, in turn.
fn pace(grid: &mut Rig, engine: &mut RiskEngine, now: EventTime) -> (f64, f64) {
    let (mut without, mut beside) = (Vec::new(), Vec::new());
    let mut time = now;
    for _ in 0..3 {
        without.push(events_a_second(grid, time));
        time = time.plus(MINUTE);
        let stop = AtomicBool::new(false);
        let reader = grid.publisher.reader();
        std::thread::scope(|scope| {
            scope.spawn(|| make_surfaces(engine, &reader, &stop));
            beside.push(events_a_second(grid, time));
            stop.store(true, Ordering::Relaxed);
        });
        time = time.plus(MINUTE);
    }
    (
        print_rates("events a second without surfaces", without),
        print_rates("events a second beside surfaces", beside),
    )
}

fn events_a_second(grid: &mut Rig, now: EventTime) -> f64 {
    let begun = Instant::now();
    for number in 0..OF_THE_PACE {
        let cell = grid.random.below(grid.cells.len() as u64) as usize;
        grid.take(cell, number % LAYERS, now.micros());
        if number % OF_A_SNAPSHOT == 0 {
            grid.snapshot();
        }
    }
    OF_THE_PACE as f64 / begun.elapsed().as_secs_f64()
}

/// As a server does: every two seconds, and less often where one takes more than a tenth of that.
#[expect(clippy::disallowed_methods, reason = "it has a thread of its own")]
fn make_surfaces(engine: &mut RiskEngine, reader: &GridReader, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let snapshot = reader.snapshot();
        let newest = snapshot
            .domain(LIVE_DOMAIN)
            .and_then(|clock| clock.newest_bucket_end);
        if let Some(now) = newest {
            std::hint::black_box(engine.surface(&snapshot, now, &Conditions::default()));
        }
        let pause = (begun.elapsed() * 10).clamp(Duration::from_secs(2), Duration::from_secs(10));
        let until = Instant::now() + pause;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
