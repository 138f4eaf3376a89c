//! Whatever is asked of a table keeps the rows that it keeps of the same rows in plain memory: what a scan takes of a
//! condition, and what an optimizer makes of it meanwhile, changes no answer.

use std::cell::Cell;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::catalog::{MemTable, TableProvider};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use riskgrid_analytics::sql::format::AnswerFormat;
use riskgrid_analytics::sql::{SqlEngine, SqlError, SqlLimits};
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::{DAY, EventTime, MINUTE};
use serde_json::Value;

use crate::areas::places;
use crate::made::{ENGINE, Made, START, answer_beside, block_on, events, everything, grid, grid_over};

type Others = Vec<(String, Arc<dyn TableProvider>)>;

/// Its functions see the areas that the tables are of.
static OVER_PLACES: LazyLock<SqlEngine> =
    LazyLock::new(|| SqlEngine::over(&places(), SqlLimits::default()).unwrap());

const TABLES: [&str; 7] = [
    "cells",
    "events",
    "sensors",
    "reports",
    "facilities",
    "population",
    "areas",
];

/// Every row of each table, in memory under the name `plain_…`, one after the other in two partitions.
fn in_memory(snapshot: &Arc<GridSnapshot>) -> Others {
    let copy = |name: &&str| -> (String, Arc<dyn TableProvider>) {
        let sql = format!("SELECT * FROM {name}");
        let everything = everything();
        let bytes = answer_beside(
            &OVER_PLACES,
            (snapshot, &everything),
            &[],
            (&sql, None),
            AnswerFormat::Arrow,
        );
        let reader = StreamReader::try_new(Cursor::new(block_on(bytes).unwrap()), None).unwrap();
        let schema = reader.schema();
        let mut partitions = vec![Vec::new(), Vec::new()];
        for (number, batch) in reader.enumerate() {
            let batch = batch.unwrap();
            let half = batch.num_rows() / 2;
            partitions[number % 2].push(batch.slice(0, half));
            partitions[(number + 1) % 2].push(batch.slice(half, batch.num_rows() - half));
        }
        let table = MemTable::try_new(schema, partitions).unwrap();
        (format!("plain_{name}"), Arc::new(table))
    };
    TABLES.iter().map(copy).collect()
}

/// The rows of an answer in an order of their own, or why there is none.
fn asked(snapshot: &Arc<GridSnapshot>, others: &Others, sql: &str) -> Result<Vec<String>, String> {
    let everything = everything();
    let answer = answer_beside(
        &OVER_PLACES,
        (snapshot, &everything),
        others,
        (sql, None),
        AnswerFormat::Json,
    );
    match block_on(answer) {
        Ok(bytes) => {
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            let mut rows: Vec<String> = answer["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect();
            rows.sort_unstable();
            Ok(rows)
        }
        Err(SqlError::BadRequest(why)) => Err(why),
        Err(other) => panic!("{sql}: {other:?}"),
    }
}

fn one_of(texts: &[&str]) -> BoxedStrategy<String> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    select(texts).boxed()
}

fn a_text() -> BoxedStrategy<String> {
    one_of(&[
        "'water'",
        "'noise'",
        "'nothing'",
        "''",
        "'Water'",
        "NULL",
        "CAST(NULL AS VARCHAR)",
        "'no' || 'ise'",
    ])
}

fn a_time() -> BoxedStrategy<String> {
    let near = (0..DAY / MINUTE, select(vec![-1, 0, 1, 27_000_000])).prop_map(|(minute, beside)| {
        format!(
            "TIMESTAMP '{}'",
            EventTime::from_micros(START + minute * MINUTE + beside)
        )
    });
    let others = one_of(&[
        "NULL",
        "CAST(NULL AS TIMESTAMP)",
        "TIMESTAMP '2026-11-22T09:00:00.000000001Z'",
        "TIMESTAMP '2026-11-22T17:00:00+08:00'",
        "DATE '2026-11-22'",
        "DATE '2026-11-23'",
        "'2026-11-22T10:00:00Z'",
        "arrow_cast('2026-11-22T10:00:00', 'Timestamp(Second, None)')",
        "arrow_cast('2026-11-22T10:00:00Z', 'Timestamp(Millisecond, Some(\"Asia/Tokyo\"))')",
        "now()",
        "now() + INTERVAL '90 minutes'",
        "date_trunc('day', now())",
    ]);
    prop_oneof![4 => near, 2 => others].boxed()
}

/// `{cell}` is one that there is.
fn a_cell() -> BoxedStrategy<String> {
    one_of(&[
        "'{cell}'",
        "'{cell}'",
        "'8928308280fffff'",
        "0",
        "18446744073709551615",
        "9223372036854775807",
        "-1",
        "1.5",
        "NULL",
        "CAST(NULL AS BIGINT UNSIGNED)",
        "h3_from_string('{cell}')",
    ])
}

fn a_number() -> BoxedStrategy<String> {
    let near = (0..40_i32).prop_map(|part| format!("{:?}", 113.925 + f64::from(part) / 1500.0));
    let others = one_of(&[
        "0",
        "-0.0",
        "0.0",
        "1",
        "3",
        "22.54",
        "113.94",
        "60",
        "3600",
        "-1",
        "18446744073709551615",
        "1e308",
        "NULL",
        "CAST('NaN' AS DOUBLE)",
        "CAST('Infinity' AS DOUBLE)",
        "CAST('-Infinity' AS DOUBLE)",
        "CAST(NULL AS DOUBLE)",
        "CAST(113.94 AS REAL)",
        "CAST(22.54 AS DECIMAL(6,2))",
    ]);
    prop_oneof![1 => near, 2 => others].boxed()
}

/// A column, or what is made of it, and constants to compare it with.
fn sides(table: &'static str) -> BoxedStrategy<(String, BoxedStrategy<String>)> {
    let mut all: Vec<(String, BoxedStrategy<String>)> = Vec::new();
    let mut add = |exprs: &[&str], constants: BoxedStrategy<String>| {
        all.extend(exprs.iter().map(|expr| ((*expr).to_owned(), constants.clone())));
    };
    let places: &[&str] = &["lon", "lat", "lon + lat", "abs(lon)"];
    match table {
        "cells" => {
            add(
                &[
                    "layer",
                    "layer",
                    "upper(layer)",
                    "coalesce(layer, 'x')",
                    "nullif(layer, 'noise')",
                ],
                a_text(),
            );
            add(
                &[
                    "bucket",
                    "bucket",
                    "bucket",
                    "date_trunc('hour', bucket)",
                    "bucket + INTERVAL '1 hour'",
                    "last_time",
                ],
                a_time(),
            );
            add(
                &["cell", "cell", "h3_parent(cell, 7)", "h3_parent(cell, 12)"],
                a_cell(),
            );
            add(
                &[
                    "bucket_seconds",
                    "count",
                    "sum",
                    "channels",
                    "extract(hour FROM bucket)",
                ],
                a_number(),
            );
        }
        "events" => {
            add(
                &["layer", "layer", "areas[1]", "type", "nullif(layer, 'noise')"],
                a_text(),
            );
            add(
                &["time", "time", "time", "date_trunc('hour', time)", "received"],
                a_time(),
            );
            add(&["cell", "cell", "h3_parent(cell, 7)"], a_cell());
            add(places, a_number());
            add(&["value", "severity"], a_number());
        }
        "sensors" => {
            add(&["layer", "sensor"], a_text());
            add(&["last_time"], a_time());
            add(&["cell"], a_cell());
            add(places, a_number());
        }
        "reports" => {
            add(&["layer", "status"], a_text());
            add(&["updated", "closed"], a_time());
            add(&["cell"], a_cell());
            add(places, a_number());
        }
        "facilities" => {
            add(&["kind", "name"], a_text());
            add(&["cell"], a_cell());
            add(places, a_number());
        }
        "population" => {
            add(&["cell"], a_cell());
            add(places, a_number());
        }
        _ => {
            add(&["area", "parent", "level"], a_text());
            add(&["lon", "lat", "population"], a_number());
        }
    }
    select((0..all.len()).collect::<Vec<_>>())
        .prop_map(move |index| all[index].clone())
        .boxed()
}

/// A condition of one column and constants.
fn plain_condition(table: &'static str) -> BoxedStrategy<String> {
    let compared = sides(table).prop_flat_map(|(side, constant)| {
        let operators = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"];
        prop_oneof![
            4 => (select(operators.to_vec()), constant.clone(), any::<bool>()).prop_map({
                let side = side.clone();
                move |(operator, constant, is_swapped)| {
                    if is_swapped { format!("{constant} {operator} {side}") } else { format!("{side} {operator} {constant}") }
                }
            }),
            2 => (prop::collection::vec(constant.clone(), 1..5), any::<bool>()).prop_map({
                let side = side.clone();
                move |(constants, negated)| {
                    format!("{side} {}IN ({})", if negated { "NOT " } else { "" }, constants.join(", "))
                }
            }),
            2 => (constant.clone(), constant.clone(), any::<bool>()).prop_map({
                let side = side.clone();
                move |(low, high, negated)| {
                    format!("{side} {}BETWEEN {low} AND {high}", if negated { "NOT " } else { "" })
                }
            }),
            1 => any::<bool>().prop_map({
                let side = side.clone();
                move |negated| format!("{side} IS {}NULL", if negated { "NOT " } else { "" })
            }),
            1 => constant.prop_map(move |constant| format!("CASE WHEN {side} = {constant} THEN NULL WHEN {side} IS NULL THEN TRUE ELSE {side} <> {constant} END")),
        ]
    });
    let odd = one_of(match table {
        "cells" => &[
            "TRUE",
            "FALSE",
            "NULL",
            "h3_in_area(cell, 'harbour')",
            "h3_in_area(cell, 'quay') IS NULL",
            "bucket < last_time",
            "layer LIKE '%o%'",
            "layer NOT LIKE NULL",
            "layer ~ '^n'",
            "h3_resolution(cell) = 9",
            "bucket = bucket",
            "layer <> layer",
        ],
        "events" => &[
            "TRUE",
            "NULL",
            "array_has(areas, 'quay')",
            "array_has(areas, NULL)",
            "NOT array_has(areas, 'harbour')",
            "h3_in_area(cell, 'quay')",
            "st_within(st_point(lon, lat), st_makeenvelope(113.93, 22.53, 113.94, 22.54))",
            "st_dwithinsphere(st_point(lon, lat), st_point(113.93, 22.53), 800)",
            "areas IS NULL",
            "lon > lat",
            "time < received",
            "layer LIKE '%o%'",
            "array_has(ARRAY['water', NULL], layer)",
        ],
        _ => &[
            "TRUE",
            "FALSE",
            "NULL",
            "lon > lat",
            "st_within(st_point(lon, lat), st_makeenvelope(113.93, 22.53, 113.94, 22.54))",
        ],
    });
    prop_oneof![6 => compared, 1 => odd].boxed()
}

fn condition(table: &'static str) -> BoxedStrategy<String> {
    let whole = plain_condition(table).prop_recursive(3, 10, 2, |part| {
        prop_oneof![
            4 => (part.clone(), part.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            3 => (part.clone(), part.clone()).prop_map(|(a, b)| format!("({a}) OR ({b})")),
            2 => part.clone().prop_map(|a| format!("NOT ({a})")),
            1 => (part.clone(), select(vec!["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"]))
                .prop_map(|(a, truth)| format!("({a}) IS {truth}")),
            1 => (part.clone(), part.clone()).prop_map(|(a, b)| format!("CASE WHEN {a} THEN {b} END")),
            1 => part.prop_map(|a| format!("coalesce({a}, TRUE)")),
        ]
    });
    whole.boxed()
}

/// The shapes of queries around a condition, `{t}` the table, `{c}` and `{d}` the conditions.
fn forms(table: &str) -> Vec<&'static str> {
    let mut forms = vec![
        "SELECT * FROM {t} WHERE {c}",
        "SELECT count(*) FROM {t} WHERE {c}",
        "WITH c AS (SELECT * FROM {t} WHERE {c}) SELECT count(*) FROM c",
        "SELECT count(*) FROM (SELECT * FROM {t} WHERE {d}) s WHERE {c}",
        "SELECT count(*) FROM (SELECT 1 FROM {t} WHERE {c} LIMIT 3)",
        "SELECT * FROM (SELECT * FROM {t} WHERE {c} UNION ALL SELECT * FROM {t} WHERE {d})",
        "SELECT count(*) FROM {t} JOIN (VALUES (1), (NULL), (2)) w(wanted) ON w.wanted < 2 WHERE {c}",
        "WITH c AS (SELECT * FROM {t}) SELECT count(*) FROM c CROSS JOIN (SELECT count(*) AS of_all FROM c WHERE {d}) x WHERE {c}",
    ];
    match table {
        "cells" => forms.extend([
            "SELECT cell, sum(count), max(last_time), bit_or(sources) FROM {t} WHERE {c} GROUP BY cell",
            "SELECT h3_parent(cell, 6), sum(weight) FROM {t} WHERE {c} AND {d} GROUP BY 1",
            "SELECT layer, date_trunc('hour', bucket), sum(count) FROM {t} WHERE {c} GROUP BY 1, 2",
            "SELECT s.layer, sum(s.count) FROM {t} s LEFT JOIN (SELECT layer AS other FROM {t} GROUP BY layer) o ON s.layer = o.other WHERE {c} GROUP BY s.layer",
            "SELECT min(bucket), max(bucket), count(bucket) FROM {t} WHERE {c}",
        ]),
        "events" => forms.extend([
            "SELECT cell, count(*) FROM {t} WHERE {c} GROUP BY cell",
            "SELECT h3_parent(cell, 6), count(*) FROM {t} WHERE {c} AND {d} GROUP BY 1",
            "SELECT min(time), max(time), count(lon) FROM {t} WHERE {c}",
        ]),
        _ => {}
    }
    forms
}

/// Errors of a value that an expression cannot take. Whether its row is looked at at all depends on which condition comes first,
/// and so on the plan: `a AND b` may ask `b` only of rows that `a` keeps. So one side may answer where the other cannot, and
/// only then.
const OF_A_ROW: [&str; 3] = [
    // A number past the integers that it is compared among.
    "an't cast value",
    // A number past the decimals that it is compared among.
    "Overflowing on",
    "to store in a Decimal",
];

fn is_of_a_row(refusal: &str) -> bool {
    OF_A_ROW.iter().any(|part| refusal.contains(part))
}

/// How pairs of answers came out.
#[derive(Default)]
struct Tally {
    equal: Cell<u32>,
    refused: Cell<u32>,
    /// One side met a value that the other did not look at.
    of_a_row: Cell<u32>,
}

impl Tally {
    /// A test that compares little proves little.
    fn check(&self) {
        let (equal, refused, of_a_row) = (self.equal.get(), self.refused.get(), self.of_a_row.get());
        let all = equal + refused + of_a_row;
        assert!(
            equal * 2 > all && of_a_row * 10 < all,
            "of {all} pairs {equal} are equal, {refused} refused on both sides, {of_a_row} on one"
        );
    }
}

fn add(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

fn compared(
    snapshot: &Arc<GridSnapshot>,
    table: &str,
    cell: u64,
    conditions: &[String; 2],
    tally: &Tally,
) -> Result<(), TestCaseError> {
    let others = in_memory(snapshot);
    let cell = h3o::CellIndex::try_from(cell).unwrap().to_string();
    let [first, second] = conditions
        .each_ref()
        .map(|condition| format!("({})", condition.replace("{cell}", &cell)));
    for form in forms(table) {
        let sql = |table: &str| {
            form.replace("{t}", table)
                .replace("{c}", &first)
                .replace("{d}", &second)
        };
        let found = asked(snapshot, &others, &sql(table));
        let expected = asked(snapshot, &others, &sql(&format!("plain_{table}")));
        match (&found, &expected) {
            (Err(_), Err(_)) => add(&tally.refused),
            (Err(why), Ok(_)) | (Ok(_), Err(why)) if is_of_a_row(why) => add(&tally.of_a_row),
            _ => {
                prop_assert_eq!(&found, &expected, "{}", sql(table));
                add(&tally.equal);
            }
        }
    }
    Ok(())
}

/// Some events, and some without a layer and a place.
fn some_events() -> impl Strategy<Value = Vec<Made>> {
    (events(DAY), prop::collection::vec(0..DAY, 0..4)).prop_map(|(mut events, nameless)| {
        events.extend(nameless.into_iter().map(Made::nameless));
        events
    })
}

fn conditions(tables: &'static [&'static str]) -> impl Strategy<Value = (&'static str, [String; 2])> {
    select(tables).prop_flat_map(|table| (Just(table), [condition(table), condition(table)]))
}

fn all_compared(tables: &'static [&'static str], name: &'static str) {
    let config = ProptestConfig {
        source_file: Some(file!()),
        test_name: Some(name),
        ..ProptestConfig::with_cases(24)
    };
    let tally = Tally::default();
    let strategy = (some_events(), any::<Index>(), conditions(tables));
    TestRunner::new(config)
        .run(&strategy, |(events, of, (table, asked))| {
            let cell = of.get(&events).cell();
            compared(&grid_over(&places(), &events), table, cell, &asked, &tally)
        })
        .unwrap_or_else(|error| panic!("{error}"));
    tally.check();
}

#[test]
fn cells_are_those_of_plain_memory() {
    all_compared(&["cells"], "cells");
}

#[test]
fn events_are_those_of_plain_memory() {
    all_compared(&["events"], "events");
}

#[test]
fn other_tables_are_those_of_plain_memory() {
    all_compared(
        &["sensors", "reports", "facilities", "population", "areas"],
        "other tables",
    );
}

#[test]
fn what_an_optimizer_makes_of_a_filter_that_was_taken_is_still_asked() {
    let events = [
        Made::at_cell("noise", 5, 0x0891_41ca_1b67_ffff),
        Made::at_cell("water", 5, 0x0891_41ca_1b67_ffff),
    ];
    let snapshot = grid(&events);
    for (condition, expected) in [
        ("layer NOT IN ('x', NULL)", 0),
        ("layer NOT IN ('water')", 1),
        ("layer IN ('water', NULL)", 1),
        ("NOT (layer IN ('water', NULL))", 0),
        ("bucket IS DISTINCT FROM NULL", 2),
        ("bucket IS NOT DISTINCT FROM NULL", 0),
        ("cell IS DISTINCT FROM NULL", 2),
        ("cell <> NULL OR layer = 'noise'", 1),
        ("NULL", 0),
        ("(bucket = bucket) IS NOT NULL", 2),
    ] {
        for form in [
            "SELECT count(*) FROM cells WHERE {}",
            "WITH c AS (SELECT * FROM cells WHERE {}) SELECT count(*) FROM c",
            "SELECT coalesce(sum(n), 0) FROM (SELECT cell, sum(count) AS n FROM (SELECT * FROM cells WHERE {}) GROUP BY cell)",
            "SELECT count(*) FROM (SELECT * FROM cells WHERE {} UNION ALL SELECT * FROM cells WHERE FALSE)",
        ] {
            let sql = form.replace("{}", condition);
            assert_eq!(
                asked(&snapshot, &Vec::new(), &sql),
                Ok(vec![format!("[{expected}]")]),
                "{sql}"
            );
        }
    }
}

#[test]
fn explain_analyze_runs_the_plan_that_the_query_runs() {
    let snapshot = grid(&[Made::at_cell("noise", 5, 0x0891_41ca_1b67_ffff)]);
    let shown = |sql: &str| {
        let everything = everything();
        let answer = answer_beside(
            &ENGINE,
            (&snapshot, &everything),
            &[],
            (sql, Some(3)),
            AnswerFormat::Json,
        );
        String::from_utf8(block_on(answer).unwrap()).unwrap()
    };
    // The limit of the request is the query's, not that of the lines that tell of it.
    for explain in ["EXPLAIN FORMAT INDENT", "EXPLAIN ANALYZE"] {
        let plan = shown(&format!(
            "{explain} SELECT id FROM events WHERE layer NOT IN ('x', NULL)"
        ));
        assert!(plan.contains("fetch=4"), "{explain}: {plan}");
        assert!(plan.contains("\"truncated\":false"), "{explain}: {plan}");
    }
}
