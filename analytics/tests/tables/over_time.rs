//! `trends` and `bursts` through SQL: steps and windows are those of the grid's calendar, numbers those of worked examples.

use std::sync::Arc;

use chrono_tz::Tz;
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::{DAY, HOUR, MINUTE, SECOND};
use serde_json::{Value, json};

use crate::made::{Made, grid, grid_in, refusal, rows};

const CELL: u64 = 0x0894_11ca_1b67_ffff;
const DAILY: [i64; 28] = [
    3, 5, 2, 4, 6, 3, 1, 4, 7, 3, 5, 2, 4, 3, 6, 4, 14, 3, 5, 2, 4, 3, 5, 4, 6, 2, 9, 12,
];

#[track_caller]
fn close(value: &Value, expected: f64) {
    let got = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!(
        (got - expected).abs() <= 1e-9 * expected.abs() + 5e-13,
        "{got} instead of {expected}"
    );
}

/// The worked example, a day at a time from 2026-11-22 on, each day's at 08:00.
fn daily() -> Arc<GridSnapshot> {
    let events = (0..).zip(DAILY).flat_map(|(day, count)| {
        (0..count).map(move |number| Made::at_cell("noise", day * DAY + number * SECOND, CELL))
    });
    grid(&events.collect::<Vec<_>>())
}

fn of_cell(function: &str) -> String {
    format!(
        "SELECT n, s, var_s, z, p, tau, slope_per_day, intercept, missing FROM {function} WHERE cell = '89411ca1b67ffff'"
    )
}

#[tokio::test]
async fn trends_of_the_worked_example_come_out() {
    let grid = daily();
    let window = "layer => 'noise', window => INTERVAL '28 days', at => '2026-12-20T00:00:00Z'";
    let plain = rows(&grid, &of_cell(&format!("trends({window}, method => 'plain')"))).await;
    assert_eq!(plain[0][..2], [json!(28), json!(67)]);
    for (value, expected) in plain[0][2..].iter().zip([
        2_484.333_333_333_333,
        1.324_155_541_276,
        0.185_451_392_719,
        67.0 / 378.0,
        0.066_666_666_667,
        3.1,
        0.0,
    ]) {
        close(value, expected);
    }
    let seasonal = rows(&grid, &of_cell(&format!("trends({window})"))).await;
    for (value, expected) in seasonal[0].iter().zip([
        28.0,
        11.0,
        57.666_666_666_667,
        1.316_853_843_918,
        0.187_887_620_408,
        0.261_904_761_905,
        0.119_047_619_048,
        2.392_857_142_857,
        0.0,
    ]) {
        close(value, expected);
    }
    // Wherever in the last day it is asked from, and by default up to the last whole one.
    for at in [
        "at => '2026-12-19T10:00:00Z'",
        "at => '2026-12-19T00:00:00.000001Z'",
    ] {
        let sql = of_cell(&format!(
            "trends('noise', window => INTERVAL '28 days', {at}, method => 'plain')"
        ));
        assert_eq!(rows(&grid, &sql).await, plain);
    }
    let to_yesterday = rows(
        &grid,
        &of_cell("trends('noise', window => INTERVAL '27 days', method => 'plain')"),
    )
    .await;
    assert_eq!(to_yesterday[0][0], json!(27));
    assert!(to_yesterday[0][1].as_i64().unwrap() < 67);
}

#[tokio::test]
async fn an_empty_step_is_nothing_only_where_that_is_known() {
    let grid = daily();
    let neighbour = "SELECT n, missing, s, p, z FROM trends('noise', window => INTERVAL '40 days', \
                     at => '2026-12-22T00:00:00Z', method => 'plain') WHERE cell <> '89411ca1b67ffff' LIMIT 1";
    // Ten days before the first event, the day of it, the day of the last and two that have not come.
    let zeros = rows(&grid, neighbour).await;
    assert_eq!(zeros[0], [json!(26), json!(14), json!(0), json!(1.0), json!(0.0)]);
    let mean =
        "SELECT count(*) FROM trends('noise', window => INTERVAL '9 days', at => '2026-12-20T00:00:00Z')";
    assert_eq!(rows(&grid, mean).await, [[json!(7)]]);
    // Nine values have no trend.
    let few = "SELECT s, var_s, z, p, q, tau, slope_per_day, intercept, n FROM trends('noise', window => INTERVAL '9 days', \
               at => '2026-12-20T00:00:00Z', method => 'plain') WHERE cell = '89411ca1b67ffff'";
    let null = Value::Null;
    let undefined = [
        &null,
        &null,
        &null,
        &json!(1.0),
        &json!(1.0),
        &null,
        &null,
        &null,
        &json!(9),
    ];
    assert_eq!(rows(&grid, few).await[0].iter().collect::<Vec<_>>(), undefined);
}

#[tokio::test]
async fn readings_leave_gaps_and_have_their_unit() {
    let events = (0..)
        .zip(DAILY)
        .filter(|(day, _)| *day != 5 && *day != 16)
        .map(|(day, value)| Made {
            value: value as f64 / 10.0,
            ..Made::at_cell("water", day * DAY, CELL)
        });
    let grid = grid(&events.collect::<Vec<_>>());
    let water = rows(
        &grid,
        &of_cell("trends('water', metric => 'mean', window => INTERVAL '28 days', at => '2026-12-20T00:00:00Z', method => 'plain')"),
    )
    .await;
    for (value, expected) in water[0][..5].iter().zip([
        26.0,
        55.0,
        1_992.333_333_333_333,
        1.209_797_713_233,
        0.226_356_523_929,
    ]) {
        close(value, expected);
    }
    close(&water[0][6], 0.006_666_666_667);
    assert_eq!(water[0][8], json!(2));
    let corrected = of_cell(
        "trends('water', metric => 'mean', window => INTERVAL '28 days', at => '2026-12-20T00:00:00Z', method => 'hamed_rao')",
    );
    assert_eq!(rows(&grid, &corrected).await[0][3], Value::Null);
}

#[tokio::test]
async fn a_day_of_twenty_three_hours_counts_as_one_of_twenty_four() {
    // Clocks go forward on 28 March 2027; one event an hour from the 20th to the 1st.
    let start = 118 * DAY - 9 * HOUR;
    let events: Vec<Made> = (0..12 * 24 - 1)
        .map(|hour| Made::at_cell("noise", start + hour * HOUR, CELL))
        .collect();
    let berlin = grid_in(Tz::Europe__Berlin, &Arc::default(), &events);
    for (step, days) in [("1 day", 12), ("2 days", 24)] {
        let sql = format!(
            "SELECT s, n, slope_per_day, intercept FROM trends('noise', step => INTERVAL '{step}', window => INTERVAL '{days} days', \
             at => '2027-04-01T00:00:00+02:00', method => 'plain', domain => 'observed')"
        );
        let answer = rows(&berlin, &sql).await;
        if days == 12 {
            assert_eq!(answer, [[json!(0), json!(12), json!(0.0), json!(24.0)]]);
        }
    }
    let pair = "SELECT n FROM trends('noise', step => INTERVAL '2 days', window => INTERVAL '12 days', \
                at => '2027-04-01T00:00:00+02:00', method => 'plain', domain => 'observed')";
    assert_eq!(rows(&berlin, pair).await, [[json!(6)]]);
}

/// One event an hour, a quarter of an hour after it begins, for eight weeks and two days; four more in the last hour.
fn hourly() -> Arc<GridSnapshot> {
    let hours = 58 * 24;
    let mut events: Vec<Made> = (0..hours)
        .map(|hour| Made::at_cell("noise", hour * HOUR + 15 * MINUTE, CELL))
        .collect();
    events.extend((0..4).map(|number| {
        Made::at_cell(
            "noise",
            (hours - 1) * HOUR + 15 * MINUTE + (number + 1) * SECOND,
            CELL,
        )
    }));
    grid(&events)
}

/// The end of the last hour: 2027-01-19T08:00.
const END: &str = "at => '2027-01-19T08:00:00Z', domain => 'observed', baseline => INTERVAL '57 days'";
/// P(N ≥ 5) of the Poisson law with mean 1.
const FIVE_OF_ONE: f64 = 0.003_659_846_827_343_713;

#[tokio::test]
async fn a_burst_over_an_even_past_is_the_poisson_law() {
    let grid = hourly();
    let all = "value, expected, size, p, q, recurrence_days, recurrence_days_area, enough, baseline_events, excluded, statistic, alarm";
    let burst = rows(&grid, &format!("SELECT {all} FROM bursts('noise', {END})")).await;
    assert_eq!(burst.len(), 1);
    assert_eq!(burst[0][0], json!(5));
    close(&burst[0][1], 1.0);
    assert_eq!(burst[0][2], Value::Null);
    close(&burst[0][3], FIVE_OF_ONE);
    close(&burst[0][4], FIVE_OF_ONE);
    close(&burst[0][5], 1.0 / 24.0 / FIVE_OF_ONE);
    close(&burst[0][6], 1.0 / 24.0 / FIVE_OF_ONE);
    assert_eq!(
        burst[0][7..],
        [json!(true), json!(1344), json!(0), Value::Null, Value::Null]
    );
    // A quarter of an hour is expected to have a quarter of an event; looks every five minutes cost 3.3 times as many alarms.
    let quarter = "SELECT value, expected, recurrence_days * p FROM bursts('noise', at => '2027-01-19T07:30:00Z', window => INTERVAL '15 minutes', \
                   domain => 'observed', baseline => INTERVAL '1368 hours 30 minutes', evaluate_every => INTERVAL '5 minutes')";
    let quarter = rows(&grid, quarter).await;
    assert_eq!(quarter[0][0], json!(5));
    close(&quarter[0][1], 0.25);
    close(&quarter[0][2], 15.0 / 1440.0 / 3.3);
    // With the cells around it, which have been silent: less is expected there, and more looks are taken.
    let around = "SELECT count(*), min(expected), max(recurrence_days_area) < max(recurrence_days) FROM bursts('noise', at => '2027-01-19T08:00:00Z')";
    let around = rows(&grid, around).await;
    assert_eq!(around[0][0], json!(7));
    assert!(around[0][1].as_f64().unwrap() > 0.0 && around[0][1].as_f64().unwrap() < 0.1);
    let counted = "SELECT min_count_3, value >= 6 FROM (SELECT enough AS min_count_3, value FROM bursts('noise', at => '2027-01-19T08:00:00Z', min_count => 6)) ORDER BY value DESC LIMIT 1";
    assert_eq!(rows(&grid, counted).await, [[json!(false), json!(false)]]);
}

#[tokio::test]
async fn other_models_compare_with_the_days_before() {
    let grid = hourly();
    let of = |model: &str| {
        format!(
            "SELECT statistic, alarm, p, expected, baseline_events FROM bursts('noise', {END}, model => '{model}')"
        )
    };
    for (model, statistic, past) in [("ears_c1", 8.0, 56), ("ears_c2", 8.0, 56), ("ears_c3", 7.0, 56)] {
        let row = rows(&grid, &of(model)).await;
        close(&row[0][0], statistic);
        assert_eq!(
            row[0][1..],
            [json!(true), Value::Null, Value::Null, json!(past)],
            "{model}"
        );
    }
    let cusum = rows(&grid, &of("cusum")).await;
    close(&cusum[0][0], 2.96);
    assert_eq!(cusum[0][1], json!(true));
    let farrington = rows(&grid, &of("farrington")).await;
    assert_eq!(farrington[0][..2], [Value::Null, Value::Null]);
    close(&farrington[0][2], FIVE_OF_ONE);
    assert_eq!(farrington[0][3..], [json!(1.0), json!(24)]);
}

#[tokio::test]
async fn questions_without_an_answer_say_why() {
    let grid = hourly();
    for (sql, words) in [
        (
            "trends('noise', step => INTERVAL '1 month')",
            "months differ in length",
        ),
        (
            "trends('noise', step => INTERVAL '7 seconds')",
            "a whole number of buckets of 60 s",
        ),
        (
            "trends('noise', window => INTERVAL '10 days', step => INTERVAL '1 minute')",
            "at most 4000 of them",
        ),
        (
            "trends('noise', season => 0)",
            "trends: season is 0, allowed is a whole number from 1",
        ),
        (
            "trends('noise', method => 'mann')",
            "allowed is 'plain', 'seasonal' or 'hamed_rao'",
        ),
        ("trends('noise', k => 2)", "no argument k; it has layer"),
        ("trends('nois')", "did you mean 'noise'?"),
        (
            "bursts('noise', metric => 'weight')",
            "bursts: metric is 'weight', allowed is 'count'",
        ),
        (
            "bursts('noise', model => 'poisson')",
            "allowed is 'negbin', 'ears_c1'",
        ),
        ("bursts('noise', exclude_p => 1.0)", "a number from 0 to below 1"),
        ("bursts('noise', exclude_p => -0.1)", "a number from 0 to below 1"),
        (
            "bursts('noise', baseline => INTERVAL '1 hour')",
            "no window of 1 h lies between",
        ),
        (
            "bursts('noise', baseline => INTERVAL '2 months')",
            "months differ in length",
        ),
        (
            "bursts('noise', area => 'district')",
            "area is 'district', allowed is 'parent', or a level",
        ),
    ] {
        let said = refusal(&grid, &format!("SELECT * FROM {sql}")).await;
        assert!(said.contains(words), "{sql}: {said}");
    }
    // Nothing happened: no rows, and no error.
    for quiet in [
        "trends('flooding')",
        "bursts('flooding')",
        "bursts('flooding', model => 'ears_c3')",
    ] {
        assert_eq!(
            rows(&grid, &format!("SELECT count(*) FROM {quiet}")).await,
            [[json!(0)]],
            "{quiet}"
        );
    }
    let plan = rows(
        &grid,
        "EXPLAIN SELECT cell FROM trends('noise', window => INTERVAL '7 days')",
    )
    .await;
    let plan = format!("{plan:?}");
    assert!(
        plan.contains("window=2027-01-12T00:00:00Z/2027-01-19T00:00:00Z"),
        "{plan}"
    );
    assert!(plan.contains("method=seasonal of 7"), "{plan}");
}
