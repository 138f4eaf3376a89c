//! The worked example of the risk model, to its twelve digits, each column through SQL.

#![allow(clippy::float_cmp, reason = "what is exact is compared exactly")]

use std::sync::Arc;

use chrono_tz::Tz;
use h3o::{CellIndex, Resolution};
use riskgrid_analytics::permission::{Names, Permission, Role, Scope};
use riskgrid_analytics::publication::{Publication, PublishedLayer, PublishedStep, bands};
use riskgrid_analytics::risk::all_layers::AllLayers;
use riskgrid_analytics::risk::combination::{Reference, Risk, SharesOfStakes};
use riskgrid_analytics::risk::corroboration::{CLASSES, Corroboration, Device, PRIORS, corroborate};
use riskgrid_analytics::risk::exposure::{of_density, of_facilities};
use riskgrid_analytics::risk::flood_cap::flood_cap;
use riskgrid_analytics::risk::hazard_index::HazardScale;
use riskgrid_analytics::risk::intensity::{HalfLife, Landmark, Weighed, mark};
use riskgrid_analytics::risk::marks::CellNow;
use riskgrid_analytics::risk::model::{HazardModel, LayerModel, RiskModel};
use riskgrid_analytics::risk::past::{Past, PastNow};
use riskgrid_analytics::risk::scoring::{felt_in, score_reports};
use riskgrid_analytics::risk::spread::{CellGraph, Kernel};
use riskgrid_analytics::risk::surface::{LayerSurface, Row, RowFacts, Surface};
use riskgrid_analytics::sql::format::AnswerFormat;
use riskgrid_analytics::tables::{published_tables, risk_table};
use riskgrid_ingest::grid::{Calendar, Span, parent_of};
use riskgrid_ingest::{EventTime, HOUR, MINUTE, SECOND};
use serde_json::{Value, json};

use crate::made::{ENGINE, answer_beside, grid};

/// 2026-11-22T08:00:00Z
const AT: i64 = 1_795_334_400 * SECOND;
const HALF_LIFE: i64 = 2 * HOUR;
const CELLS: [u64; 5] = [
    0x0894_11ca_a0cb_ffff,
    0x0894_11ca_a053_ffff,
    0x0894_11ca_a0c3_ffff,
    0x0894_11ca_a0cf_ffff,
    0x0894_11ca_a0db_ffff,
];
/// Minutes from start to `at`, seconds, count, weight.
const BUCKETS: [&[(i64, i64, u64, u64)]; 5] = [
    &[(30, 60, 4, 8), (120, 60, 2, 4)],
    &[(300, 3600, 3, 0)],
    &[(10, 60, 12, 36)],
    &[],
    &[(1, 60, 1, 0)],
];
const BITS: [u32; 5] = [5, 3, 1, 0, 1];
const RATES: [f64; 5] = [0.02, 0.05, 0.01, 0.01, 0.2];
const PHONE: [f64; 5] = [3.0, 1.5, 1.0, 0.0, 1.0];
const APP: [f64; 5] = [1.0, 0.0, 0.0, 0.0, 1.0];
const DENSITY: [f64; 5] = [25_000.0, 8_000.0, 60_000.0, 1_200.0, 0.0];
const FACILITIES: [f64; 5] = [0.0, 5.0, 0.0, 20.0, 0.0];
const SUSCEPTIBILITY: [Option<f64>; 5] = [Some(0.6), Some(0.4), Some(0.8), None, Some(0.3)];
const LACK: [f64; 5] = [0.5, 0.3, 0.7, 0.4, 0.2];
const AREA_KM2: f64 = 0.1;

fn near(is: f64, should: f64, what: &str) {
    // Printed to twelve digits after the point; impacts to as many, which are fewer digits than a float has.
    let within = 6e-13_f64.max(should.abs() * 1e-14);
    assert!(
        (is - should).abs() <= within,
        "{what}: {is:.15} instead of {should}"
    );
}

fn all_near(is: &[f64], should: [f64; 5], what: &str) {
    for (position, should) in should.into_iter().enumerate() {
        near(is[position], should, &format!("{what} of c{}", position + 1));
    }
}

struct Example {
    intensities: Vec<f64>,
    caps: Vec<f64>,
    scale: HazardScale,
    past: PastNow,
    felt: Vec<(u64, f64)>,
}

fn position(cell: u64) -> usize {
    CELLS.iter().position(|known| *known == cell).unwrap()
}

fn example() -> Example {
    let half_life = HalfLife::new(HALF_LIFE).unwrap();
    let at = EventTime::from_micros(AT);
    let landmark = Landmark::about(half_life, at);
    let (mut intensities, mut caps) = (Vec::new(), Vec::new());
    for (buckets, bits) in BUCKETS.iter().zip(BITS) {
        let mut weighed = Weighed::default();
        for (minutes, seconds, count, weight) in *buckets {
            let start = at.plus(-minutes * MINUTE);
            let span = Span {
                start,
                end: start.plus(seconds * SECOND),
            };
            weighed.add(landmark.weigh(mark(*count, *weight, 0.5), span));
        }
        intensities.push(landmark.intensity(weighed, at));
        let count = buckets.iter().map(|(_, _, count, _)| count).sum();
        caps.push(flood_cap(count, (1 << bits) - 1));
    }
    let mut domain = CELLS.to_vec();
    domain.sort_unstable();
    let domain: Arc<[u64]> = domain.into();
    let kernel = Kernel::new(1, 0.6);
    let mut graph = CellGraph::new(Some(Arc::clone(&domain)), 1);
    let rates = domain.iter().map(|cell| RATES[position(*cell)]).collect();
    let past = Arc::new(Past::even(&domain, rates, (&mut graph, &kernel)));
    let calendar = Calendar::new(MINUTE, Tz::UTC);
    let mut active: Vec<(u64, f64)> = CELLS
        .into_iter()
        .zip(intensities.iter().zip(&caps).map(|(a, cap)| a * cap))
        .collect();
    active.sort_by_key(|(cell, _)| *cell);
    Example {
        intensities,
        caps,
        scale: HazardScale {
            half_level: 3.0,
            surprise_weight: 0.25,
        },
        past: past.at(&calendar, at, half_life, 2.0, 24 * HOUR),
        felt: felt_in(&mut graph, &kernel, active),
    }
}

fn reference(cell: usize) -> Reference {
    Reference {
        population: Some(of_density(DENSITY[cell])),
        facilities: Some(of_facilities(FACILITIES[cell])),
        infrastructure: Some(0.0),
        susceptibility: SUSCEPTIBILITY[cell],
        lack_of_coping: Some(LACK[cell]),
    }
}

fn corroboration(cell: usize) -> Corroboration {
    let mut sources = [0.0; CLASSES];
    (sources[3], sources[4]) = (PHONE[cell], APP[cell]);
    let devices = [Device {
        reliability: 0.8,
        hazard: 0.9,
        freshness: 1.0,
        weight: 1.0,
    }];
    corroborate(&sources, &PRIORS, if cell == 0 { &devices } else { &[] })
}

fn facts(cell: usize) -> RowFacts {
    RowFacts {
        population: Some(DENSITY[cell] * AREA_KM2),
        facilities: Some(FACILITIES[cell]),
        infrastructure: Some(0.0),
        reference: reference(cell),
    }
}

/// A surface of the layer `fire`, that has the rows of the example, and of `noise`, which has the first of them.
fn surface(example: &Example) -> Arc<Surface> {
    let layer = |id: &str, weight: f64| LayerModel {
        id: id.to_owned(),
        half_life: HalfLife::new(HALF_LIFE).unwrap(),
        weight,
        domain: Some("d".into()),
        kernel: Kernel::new(1, 0.6),
        hazard: HazardModel::Reports {
            scale: example.scale,
            dispersion: 2.0,
        },
    };
    let model = RiskModel {
        forecast: 24 * HOUR,
        layers: vec![layer("fire", 1.0), layer("noise", 0.5)],
        hash: "abc".to_owned(),
        ..RiskModel::default()
    };
    let own = example.felt.iter().map(|(cell, intensity)| CellNow {
        cell: *cell,
        intensity: *intensity,
        sources: 0b111,
    });
    let around = |cell| {
        let cell = position(cell);
        (corroboration(cell), SharesOfStakes::of(&reference(cell)))
    };
    let own: Vec<CellNow> = own.collect();
    let rows = score_reports(&example.scale, &example.felt, Some(&example.past), &own, around);
    let of_layer = |layer: usize, rows: Vec<Row>| LayerSurface {
        layer,
        at: EventTime::from_micros(AT),
        clock: "live".into(),
        rows,
        past: Some(example.past.clone()),
    };
    let first = rows.iter().copied().take(1).collect();
    let layers = vec![of_layer(0, rows), of_layer(1, first)];
    Arc::new(Surface::new(Arc::new(model), layers, |cell| {
        facts(position(cell))
    }))
}

async fn asked(surface: &Arc<Surface>, sql: &str) -> Vec<Vec<Value>> {
    let tables = [("risk".to_owned(), risk_table(surface))];
    let everything = Arc::new(Permission::admin());
    let seen = (&grid(&[]), &everything);
    let answer = answer_beside(&ENGINE, seen, &tables, (sql, None), AnswerFormat::Json).await;
    let bytes = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    serde_json::from_value(answer["rows"].clone()).unwrap()
}

/// A column of `fire`, c1 to c5.
async fn column(surface: &Arc<Surface>, name: &str) -> Vec<f64> {
    let rows = asked(
        surface,
        &format!("SELECT cell, {name} FROM risk WHERE layer = 'fire'"),
    )
    .await;
    let of_cell = |cell: u64| {
        let text = json!(format!("{cell:x}"));
        let row = rows.iter().find(|row| row[0] == text).unwrap();
        row[1].as_f64().unwrap_or_else(|| panic!("{name}: {row:?}"))
    };
    CELLS.into_iter().map(of_cell).collect()
}

#[tokio::test]
async fn each_column_comes_out_to_its_last_digit() {
    let example = example();
    all_near(
        &example.intensities,
        [
            8.752_412_813_778,
            0.630_672_311_440,
            28.398_128_067_194,
            0.0,
            0.997_116_053_335,
        ],
        "A",
    );
    all_near(&example.caps, [1.0, 1.0, 0.125_986_855_745, 1.0, 1.0], "cap");
    let surface = surface(&example);
    let columns: [(&str, [f64; 5]); 15] = [
        (
            "intensity",
            [
                5.163_067_853_705,
                1.513_444_000_658,
                3.305_255_821_468,
                1.707_918_000_547,
                2.268_306_366_408,
            ],
        ),
        (
            "expected",
            [
                0.157_139_809_501,
                0.107_582_806_859,
                0.123_839_647_564,
                0.051_829_611_931,
                0.396_371_247_859,
            ],
        ),
        (
            "power((intensity - expected) / z, 2)",
            [
                0.382_314_912_306,
                0.546_862_528_944,
                0.417_774_710_059,
                0.405_793_787_584,
                0.739_554_588_577,
            ],
        ),
        (
            "level",
            [
                0.632_491_110_724,
                0.335_319_104_532,
                0.524_206_458_081,
                0.362_775_647_398,
                0.430_557_034_585,
            ],
        ),
        (
            "z",
            [
                8.096_064_950_933,
                1.901_092_987_788,
                4.922_088_423_776,
                2.599_745_380_589,
                2.176_735_569_280,
            ],
        ),
        (
            "surprise",
            [
                0.669_313_944_971,
                0.322_159_469_732,
                0.551_674_472_387,
                0.393_916_012_008,
                0.352_408_735_143,
            ],
        ),
        (
            "hazard",
            [
                0.641_696_819_286,
                0.332_029_195_832,
                0.531_073_461_658,
                0.370_560_738_551,
                0.411_019_959_725,
            ],
        ),
        (
            "corroboration",
            [0.964_323_786_550, 0.591_868_270_140, 0.5, 0.0, 0.7],
        ),
        (
            "hazard * trust",
            [
                0.630_250_162_938,
                0.264_273_370_803,
                0.398_305_096_243,
                0.185_280_369_275,
                0.349_366_965_766,
            ],
        ),
        (
            "exposure",
            [
                0.726_899_155_698,
                0.683_582_741_833,
                0.841_765_065_562,
                0.602_458_644_700,
                0.05,
            ],
        ),
        (
            "vulnerability",
            [
                0.547_722_557_505,
                0.346_410_161_514,
                0.748_331_477_355,
                0.447_213_595_500,
                0.244_948_974_278,
            ],
        ),
        (
            "risk",
            [
                0.630_616_284_281,
                0.358_609_780_664,
                0.562_249_605_578,
                0.310_116_778_162,
                0.196_631_153_268,
            ],
        ),
        (
            "hazard * trust * exposure * vulnerability",
            [
                0.250_927_210_341,
                0.062_579_936_322,
                0.250_900_065_459,
                0.049_919_663_126,
                0.004_278_853_996,
            ],
        ),
        (
            "impact",
            [
                863.005_577_781_362,
                73.237_584_850_912,
                1_788.385_446_657_97,
                9.943_188_014_304,
                0.0,
            ],
        ),
        ("facilities", FACILITIES),
    ];
    for (name, should) in columns {
        all_near(&column(&surface, name).await, should, name);
    }
    let (low, high) = (
        column(&surface, "risk_low").await,
        column(&surface, "risk_high").await,
    );
    near(low[3], 0.232_554_776_161, "low of c4");
    near(high[3], 0.338_184_744_615, "high of c4");
    near(low[0], 0.630_616_284_281, "low of c1");
    let missing = "SELECT missing FROM risk WHERE layer = 'fire' AND cell = '89411caa0cfffff'";
    assert_eq!(asked(&surface, missing).await, [[json!(["susceptibility"])]]);
}

#[tokio::test]
async fn leaving_a_part_out_tells_what_it_does() {
    let surface = surface(&example());
    let parts = "SELECT loo_hazard, loo_exposure, loo_vulnerability, loo_trust FROM risk WHERE layer = 'fire' \
                 AND cell = '89411caa0cbffff'";
    let rows = asked(&surface, parts).await;
    let should = [
        0.478_517_033_921,
        0.056_315_854_567,
        0.014_209_336_056,
        0.180_672_099_302,
    ];
    for (is, should) in rows[0].iter().zip(should) {
        near(is.as_f64().unwrap(), should, "left out");
    }
    // Only the cell of the layer `noise` has another beside it.
    let beside = "SELECT count(*) FROM risk WHERE layer = 'fire' AND loo_layer > 0";
    assert_eq!(asked(&surface, beside).await, [[json!(1)]]);
}

#[tokio::test]
async fn all_layers_together_have_a_row_of_their_own_and_roll_up_in_plain_sql() {
    let surface = surface(&example());
    let all = "SELECT count(*), count(hazard), count(class), count(missing), count(DISTINCT at), min(model) FROM risk \
               WHERE layer = '*'";
    let counts = [[json!(5), json!(0), json!(0), json!(0), json!(1), json!("abc")]];
    assert_eq!(asked(&surface, all).await, counts);
    let at_least = "SELECT count(*) FROM risk a JOIN risk b ON a.cell = b.cell WHERE a.layer = '*' AND b.layer = 'fire' \
                    AND a.risk >= b.risk - 1e-12 AND a.risk_if_true >= b.risk_if_true - 1e-12";
    assert_eq!(asked(&surface, at_least).await, [[json!(5)]]);
    let rolled = "SELECT sum(population * risk) / sum(population), max(risk) FROM risk WHERE layer = 'fire'";
    let rolled = asked(&surface, rolled).await;
    near(
        rolled[0][0].as_f64().unwrap(),
        0.559_887_492_790,
        "mean of inhabitants",
    );
    near(rolled[0][1].as_f64().unwrap(), 0.630_616_284_281, "greatest");
    // The first and last cell of a range are in it.
    let between = "SELECT count(*) FROM risk WHERE layer = 'fire' AND cell BETWEEN '89411caa0c3ffff' AND '89411caa0cfffff'";
    assert_eq!(asked(&surface, between).await, [[json!(3)]]);
    let absent = "SELECT count(*) FROM risk WHERE layer = 'absent'";
    assert_eq!(asked(&surface, absent).await, [[json!(0)]]);
}

#[tokio::test]
async fn who_sees_one_layer_sees_its_rows_and_all_together_made_of_it_alone() {
    let whole = surface(&example());
    let scope = Scope {
        layers: Names::from(vec!["noise".to_owned()]),
        ..Scope::ALL
    };
    let permission = Permission::within(Role::Analyst, scope, &Arc::default(), Resolution::Nine);
    let seen = whole.seen_by(&permission);
    let layers = "SELECT layer, count(*) FROM risk GROUP BY layer ORDER BY layer";
    assert_eq!(
        asked(&seen, layers).await,
        [[json!("*"), json!(1)], [json!("noise"), json!(1)]]
    );
    let beside = "SELECT count(*) FROM risk WHERE layer = 'noise' AND loo_layer = 0";
    assert_eq!(asked(&seen, beside).await, [[json!(1)]]);
    assert!(Arc::ptr_eq(&whole, &whole.seen_by(&Permission::admin())));
}

#[tokio::test]
async fn the_public_is_told_the_band_of_the_greatest_risk_of_each_cell_that_is_shown() {
    let surface = surface(&example());
    let of_fire = &surface.layers[0];
    let shown = parent_of(CELLS[0], Resolution::Seven);
    let calm = u64::from(CellIndex::try_from(0x0874_11c0_00ff_ffff_u64).unwrap());
    let step = PublishedStep {
        start: AT - HOUR,
        seconds: 3600,
        resolution: 7,
        cells: vec![(calm, 5), (shown, 20)],
        rests: Vec::new(),
        risk: None,
    };
    let below = of_fire
        .rows
        .iter()
        .filter(|row| parent_of(row.cell, Resolution::Seven) == shown);
    let greatest = below.map(|row| row.risk.risk).fold(0.0, f64::max);
    assert!(greatest > 0.2, "{greatest}");
    let band = [0.2, 0.4, 0.6, 0.8]
        .iter()
        .filter(|from| greatest >= **from)
        .count();
    let told = bands(&surface, "fire", &step).unwrap();
    assert_eq!(
        (told.at, &told.cells),
        (AT, &vec![(calm, 0), (shown, band as u8)])
    );
    assert_eq!(bands(&surface, "flooding", &step), None);
    // As the public asks for it.
    let mut layer = PublishedLayer::default();
    layer.add(PublishedStep {
        risk: Some(told),
        ..step
    });
    let publication = Publication {
        layers: [("fire".to_owned(), Arc::new(layer))].into(),
    };
    let public = Arc::new(Permission::public());
    let tables = published_tables(&grid(&[]), &public, &Arc::new(publication));
    let sql = "SELECT cell, layer, at, band FROM risk ORDER BY band";
    let answer = answer_beside(
        &ENGINE,
        (&grid(&[]), &public),
        &tables,
        (sql, None),
        AnswerFormat::Json,
    )
    .await;
    let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
    let row = |cell: u64, band: usize| json!([format!("{cell:x}"), "fire", "2026-11-22T08:00:00Z", band]);
    assert_eq!(answer["rows"], json!([row(calm, 0), row(shown, band)]));
}

#[tokio::test]
async fn every_column_has_a_comment_and_a_plan_says_what_is_read() {
    let surface = surface(&example());
    let columns = "SELECT count(*), count(comment) FROM information_schema.columns WHERE table_name = 'risk'";
    assert_eq!(asked(&surface, columns).await, [[json!(36), json!(36)]]);
    let plan = asked(&surface, "EXPLAIN SELECT cell FROM risk WHERE layer = 'fire'").await;
    assert!(format!("{plan:?}").contains("layer in [fire]"), "{plan:?}");
}

#[test]
fn nothing_is_lost_in_spreading() {
    let example = example();
    let active = example.intensities.iter().zip(&example.caps);
    let before: f64 = active.map(|(a, cap)| a * cap).sum();
    let after: f64 = example.felt.iter().map(|(_, felt)| felt).sum();
    near(before, 13.957_992_042_786, "ΣA");
    near(after, 13.957_992_042_786, "ΣA'");
}

#[test]
fn a_row_of_one_layer_is_its_own_whole() {
    let mut all = AllLayers::default();
    all.add(0.63, 1.0);
    near(all.risk(), 0.63, "one layer");
    let whole = Risk::of(0.5, 1.0, &SharesOfStakes::of(&reference(0)));
    near(whole.risk, whole.if_true, "certain");
}
