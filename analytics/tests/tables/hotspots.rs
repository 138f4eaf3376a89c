//! `hotspots` through SQL: the golden numbers, what its arguments mean, what it refuses.

use std::sync::Arc;

use riskgrid_ingest::MINUTE;
use riskgrid_ingest::grid::GridSnapshot;
use serde_json::{Value, json};

use crate::made::{Made, grid, refusal, rows};

pub(crate) const GOLDEN: [(u64, usize); 7] = [
    (0x0894_11ca_1b2b_ffff, 2),
    (0x0894_11ca_1b63_ffff, 14),
    (0x0894_11ca_1b67_ffff, 9),
    (0x0894_11ca_1b6f_ffff, 11),
    (0x0894_11ca_1b77_ffff, 6),
    (0x0894_11ca_f593_ffff, 1),
    (0x0894_11ca_f59b_ffff, 3),
];

/// The worked example in the minute from 08:00, and one event at 08:10:30 far away, which ends what is complete.
fn golden() -> Arc<GridSnapshot> {
    let mut events: Vec<Made> = GOLDEN
        .iter()
        .flat_map(|(cell, count)| {
            (0..*count).map(|number| Made::at_cell("noise", number as i64 * 1000, *cell))
        })
        .collect();
    events.push(Made::at_cell(
        "noise",
        10 * MINUTE + MINUTE / 2,
        0x0891_9a40_0003_ffff,
    ));
    grid(&events)
}

fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!(
        (value - expected).abs() <= 1e-9 * expected.abs() + 5e-13,
        "{value} instead of {expected}"
    );
}

#[tokio::test]
async fn the_golden_cells_come_out() {
    // The default window ends where the layer is complete: 08:08, before the last event.
    let answer = rows(
        &golden(),
        "SELECT cell, value, z, p, q, class, neighbours, n, method, runs_needed FROM hotspots(layer => 'noise')",
    )
    .await;
    assert_eq!(answer.len(), 19);
    let row = |cell: &str| answer.iter().find(|row| row[0] == cell).unwrap();
    for (cell, z, p) in [
        ("89411ca1b67ffff", 3.195_077_962_137, 3.969_199_015_639e-5),
        ("89411ca1b63ffff", 2.535_224_904_739, 0.018_536_159_403),
        ("89411ca1b23ffff", -0.999_906_186_969, 0.482_456_140_351),
    ] {
        close(&row(cell)[2], z);
        close(&row(cell)[3], p);
    }
    let hottest = row("89411ca1b67ffff");
    close(&hottest[4], 7.541_478_129_713e-4);
    assert_eq!(
        hottest[5..],
        [json!("hot_99"), json!(6), json!(19), json!("exact"), Value::Null]
    );
    assert_eq!(hottest[1], 9.0);
}

#[tokio::test]
async fn every_method_weight_and_domain_is_there() {
    let grid = golden();
    let analytic = rows(
        &grid,
        "SELECT p, class FROM hotspots('noise', method => 'analytic') WHERE cell = '89411ca1b67ffff'",
    )
    .await;
    close(&analytic[0][0], 1.397_930_724_567e-3);
    assert_eq!(analytic[0][1], "hot_95");
    let permuted = rows(
        &grid,
        "SELECT p FROM hotspots('noise', method => 'permutation', seed => 0) WHERE cell = '89411ca1b67ffff'",
    )
    .await;
    assert_eq!(permuted, [[json!(0.002)]]);
    let observed = rows(
        &grid,
        "SELECT z, p, n FROM hotspots('noise', domain => 'observed') WHERE cell = '89411ca1b67ffff'",
    )
    .await;
    assert_eq!(observed, [[Value::Null, json!(1.0), json!(7)]]);
    let far = rows(
        &grid,
        "SELECT count(*) FROM hotspots('noise', weights => 'distance', distance => 500, fdr => 'by', k => 2)",
    )
    .await;
    assert!(far[0][0].as_u64().unwrap() > 19);
}

#[tokio::test]
async fn windows_are_half_open_and_at_is_a_time_or_its_text() {
    let grid = golden();
    for (arguments, events) in [
        // Complete to 08:08; the last event is at 08:10:30.
        ("", 46),
        ("at => '2026-11-22T08:00:00Z'", 0),
        ("at => '2026-11-22T08:01:00Z', window => INTERVAL '1 minute'", 46),
        (
            "at => '2026-11-22T09:01:00+01:00', window => INTERVAL '1 minute'",
            46,
        ),
        (
            "at => TIMESTAMP '2026-11-22T08:11:00Z', window => INTERVAL '10 minutes'",
            1,
        ),
        // Both ends snap outward to a bucket.
        ("at => '2026-11-22T08:10:40Z', window => INTERVAL '1 second'", 1),
        ("at => '2026-11-22T08:11:00.000001Z', window => '1 month'", 47),
        (
            "at => '2030-01-01T00:00:00Z', window => INTERVAL '10000 years'",
            47,
        ),
        ("at => '2030-01-01T00:00:00Z'", 0),
    ] {
        let sql = format!("SELECT coalesce(sum(value), 0) FROM hotspots(layer => 'noise', {arguments})");
        let sql = sql.replace(", )", ")");
        let sum = rows(&grid, &sql).await[0][0].as_f64().unwrap();
        assert!((sum - f64::from(events)).abs() < 1e-9, "{sql}: {sum}");
    }
}

#[tokio::test]
async fn metrics_have_their_unit_and_resolutions_add_up() {
    let grid = golden();
    for (arguments, sum) in [
        ("'noise', metric => 'weight'", 138.0),
        ("'noise', resolution => 7", 46.0),
        ("'flooding'", 0.0),
    ] {
        let sql = format!("SELECT coalesce(sum(value), 0) FROM hotspots({arguments})");
        close(&rows(&grid, &sql).await[0][0], sum);
    }
    let mut water: Vec<Made> = GOLDEN
        .iter()
        .map(|(cell, _)| Made::at_cell("water", 0, *cell))
        .collect();
    water[0].value = 3.25;
    water.push(Made {
        value: 0.75,
        ..water[0].clone()
    });
    let grid = self::grid(&water);
    for (metric, expected) in [
        ("sum", 4.0),
        ("mean", 2.0),
        ("min", 0.75),
        ("max", 3.25),
        ("count", 2.0),
    ] {
        let sql = format!(
            "SELECT value FROM hotspots('water', metric => '{metric}', at => '2026-11-22T09:00:00Z') WHERE cell = '89411ca1b2bffff'"
        );
        assert_eq!(rows(&grid, &sql).await, [[json!(expected)]], "{metric}");
    }
}

#[tokio::test]
async fn refusals_name_the_argument_and_what_is_allowed() {
    let grid = golden();
    for (call, words) in [
        ("hotspots()", "layer is NULL"),
        ("hotspots('nois')", "did you mean 'noise'?"),
        ("hotspots('zzzzzzzzz')", "the table layers lists them"),
        (
            "hotspots('noise', metric => 'sum')",
            "metric is 'sum', but layer 'noise' counts reports",
        ),
        (
            "hotspots('noise', metric => 'total')",
            "metric is 'total', allowed is 'count'",
        ),
        (
            "hotspots('noise', resolution => 10)",
            "resolution is 10, allowed is 0 to 9",
        ),
        ("hotspots('noise', resolution => -1)", "resolution is -1"),
        ("hotspots('noise', window => INTERVAL '0 hours')", "window is"),
        ("hotspots('noise', window => 24)", "window is 24"),
        ("hotspots('noise', at => '2026-11-22')", "at is 2026-11-22"),
        (
            "hotspots('noise', domain => 'harbour')",
            "domain is 'harbour', allowed is 'neighbours' or 'observed', or an area's id or name; none is loaded",
        ),
        ("hotspots('noise', k => 51)", "k is 51"),
        ("hotspots('noise', method => 'magic')", "method is 'magic'"),
        ("hotspots('noise', permutations => 0)", "permutations is 0"),
        ("hotspots('noise', fdr => 'none')", "fdr is 'none'"),
        ("hotspots('noise', weights => 'distance')", "distance is NULL"),
        (
            "hotspots('water', metric => 'mean', domain => 'neighbours')",
            "domain is 'neighbours', allowed is 'observed'",
        ),
    ] {
        let text = refusal(&grid, &format!("SELECT * FROM {call}")).await;
        assert!(text.contains(words), "{call}: {text}");
    }
}

#[tokio::test]
async fn explain_tells_the_window_and_the_study_area() {
    let plan = rows(
        &golden(),
        "EXPLAIN SELECT cell FROM hotspots('noise', window => INTERVAL '90 seconds')",
    )
    .await;
    let text = format!("{plan:?}");
    for words in [
        "window=2026-11-22T08:06:00Z/2026-11-22T08:08:00Z",
        "study_area=neighbours within 1",
        "layer=noise",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// Cells ascend, so what asks for them in that order sorts nothing.
#[tokio::test]
async fn the_order_of_cells_is_known_to_the_plan() {
    let call = "hotspots('noise', window => INTERVAL '90 seconds')";
    for (sql, sorts) in [
        (format!("SELECT z, cell FROM {call} ORDER BY cell"), false),
        (format!("SELECT cell, z FROM {call} ORDER BY z"), true),
        (format!("SELECT z FROM {call} ORDER BY z"), true),
    ] {
        let plan = format!("{:?}", rows(&golden(), &format!("EXPLAIN {sql}")).await);
        assert_eq!(plan.contains("SortExec"), sorts, "{sql}: {plan}");
    }
}
