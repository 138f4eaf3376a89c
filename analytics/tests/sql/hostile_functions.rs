//! Every function with arguments that nobody means well: no abort, no panic, no answer past the limits, no thread that
//! stays busy, no memory past the bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use riskgrid_analytics::sql::{SqlEngine, SqlError, SqlLimits, SqlRequest};
use serde_json::json;

use crate::tables::{csv, engine, limits, request, start, within};

/// The promise is 1 s; without optimization it takes longer.
const FREE_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });
/// Bytes of one answer.
const ANSWER: usize = 96 << 20;
/// Bytes of this process while it is asked, other tests included.
const PROCESS: usize = 6 << 30;

/// Expressions of every type, hostile where a type has room for it.
const VALUES: [&str; 30] = [
    "NULL",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "CAST('NaN' AS DOUBLE)",
    "CAST('-Infinity' AS DOUBLE)",
    "1.7976931348623157e308",
    "CAST(99999999999999999999999999999999999999 AS DECIMAL(38, 0))",
    "CAST(-128 AS TINYINT)",
    "true",
    "''",
    "'a'",
    "'i'",
    "'(a*)*b'",
    "'a[0-9a-f]{3000}z'",
    "'%a%b_%'",
    "'POLYGON((0 0, 1 0, 1 1, 0 0))'",
    "repeat('a', 8000000)",
    "repeat('äé', 500000)",
    "range(0, 200000)",
    "[]",
    "[[[[1]]]]",
    "['a', NULL, 'b']",
    "struct(1, 'a')",
    "INTERVAL '-2147483648 months'",
    "DATE '9999-12-31'",
    "TIMESTAMP '1677-09-21 00:12:44'",
    "X'ff00'",
];

/// Always the same numbers.
struct Lot(u64);

impl Lot {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// A call with some of the values, as constants or as columns.
fn call(name: &str, kind: &str, arity: usize, lot: &mut Lot) -> String {
    let values: Vec<&str> = (0..arity)
        .map(|_| VALUES.get(lot.below(VALUES.len())).copied().unwrap_or("NULL"))
        .collect();
    let as_columns = lot.below(2) == 1;
    let args: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            if as_columns && lot.below(3) > 0 {
                format!("c{index}")
            } else {
                (*value).to_owned()
            }
        })
        .collect();
    let columns: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, value)| format!("CASE WHEN value > 0 THEN {value} END AS c{index}"))
        .collect();
    let list = args.join(", ");
    let rows = if columns.is_empty() {
        "range(3)".to_owned()
    } else {
        format!("(SELECT value, {} FROM range(3))", columns.join(", "))
    };
    match kind {
        "AGGREGATE" if lot.below(3) == 0 => {
            format!("SELECT {name}({list}) OVER (ORDER BY value) FROM {rows}")
        }
        "WINDOW" => format!("SELECT {name}({list}) OVER (ORDER BY value) FROM {rows}"),
        "TABLE" => format!("SELECT * FROM {name}({}) LIMIT 5", values.join(", ")),
        _ if as_columns || kind == "AGGREGATE" => format!("SELECT {name}({list}) FROM {rows}"),
        _ => format!("SELECT {name}({list})"),
    }
}

fn process_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// What is wrong with the end of this query, if anything.
async fn fault(engine: &SqlEngine, sql: &str) -> Option<String> {
    let asked = SqlRequest {
        timeout: Some(Duration::from_mins(1)),
        ..request(sql)
    };
    let mut bytes = 0;
    let ended = async {
        let mut stream = start(engine, asked).await?.stream;
        while let Some(batch) = stream.next().await {
            bytes += batch?.get_array_memory_size();
        }
        Ok::<_, SqlError>(())
    };
    match ended.await {
        Err(SqlError::Internal { cause, .. }) if cause.contains("panicked") => {
            Some(format!("{sql}: {cause}"))
        }
        Err(SqlError::TimedOut { .. }) => Some(format!("{sql}: out of time")),
        _ if bytes > ANSWER => Some(format!("{sql}: an answer of {bytes} bytes")),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_keeps_its_bounds_whatever_it_is_called_with() {
    let engine = engine();
    let names = csv(
        &engine,
        "SELECT DISTINCT routine_name, function_type FROM information_schema.routines ORDER BY 1, 2",
    )
    .await
    .expect("the functions");
    let mut functions: Vec<(String, String)> = names
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert!(functions.len() > 200, "{}", functions.len());
    for name in ["range", "generate_series"] {
        functions.push((name.to_owned(), "TABLE".to_owned()));
    }
    let mut lot = Lot(16);
    let mut calls = Vec::new();
    for (name, kind) in &functions {
        for arity in [0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4] {
            calls.push(call(name, kind, arity, &mut lot));
        }
    }
    let most = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let watch = {
        let (most, done) = (Arc::clone(&most), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(process_bytes(), Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(20));
            }
        })
    };
    let faults: Vec<String> = stream::iter(&calls)
        .map(|sql| fault(&engine, sql))
        .buffer_unordered(4)
        .filter_map(async |fault| fault)
        .collect()
        .await;
    done.store(true, Ordering::Relaxed);
    watch.join().expect("the watch");
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        calls.len(),
        faults.join("\n")
    );
    within(FREE_WITHIN, "the threads are free", || engine.tasks() == 0).await;
    assert_eq!(engine.memory_bytes(), 0);
    let most = most.load(Ordering::Relaxed);
    assert!(most < PROCESS, "{most} bytes");
}

/// Each is refused, and none of them makes a thread busy or the process large before it is.
#[tokio::test]
async fn what_would_end_the_process_or_a_thread_is_refused() {
    let engine = engine();
    let deep =
        |open: &str, times: usize, close: &str| format!("{}Int64{}", open.repeat(times), close.repeat(times));
    let doubled_types = (0..30).fold("SELECT 1 AS x".to_owned(), |inner, _| {
        format!("SELECT struct(x, x) AS x FROM ({inner})")
    });
    for sql in [
        "SELECT approx_percentile_cont(count, 0.5, 10000000000000) FROM cells".to_owned(),
        "SELECT approx_percentile_cont(count, 0.5, 1000000 * 10000000) FROM cells".to_owned(),
        "SELECT approx_percentile_cont(0.5, 20000000000000) WITHIN GROUP (ORDER BY sum) FROM cells".to_owned(),
        "SELECT approx_percentile_cont_with_weight(sum, count, 0.5, 10000000000000) FROM cells".to_owned(),
        "SELECT layer, approx_percentile_cont(count, 0.5, 10000000000000) FROM cells GROUP BY layer".to_owned(),
        "SELECT approx_percentile_cont(count, 0.5, 10000000000000) OVER () FROM cells".to_owned(),
        format!("SELECT arrow_cast(NULL, '{}')", deep("List(", 2_000, ")")),
        format!("SELECT arrow_try_cast(NULL, '{}')", deep("List(", 100_000 / 6, ")")),
        format!("SELECT CAST(NULL AS {})", deep("ARRAY<", 30_000, ">")),
        format!("SELECT CAST(NULL AS INT{})", "[]".repeat(60_000)),
        format!("SELECT NULL::INT{}", "[]".repeat(60_000)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(30_000)),
        "SELECT CAST(NULL AS INT[2000000000])".to_owned(),
        "SELECT * FROM range(CAST(NULL AS INT[2000000000]))".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeList(2000000000 x Int64)')".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeList(2000 x FixedSizeList(2000 x Int64))')".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)') FROM cells".to_owned(),
        doubled_types,
        "SELECT strpos(repeat('a', 8000000), concat(repeat('a', 4000000), 'b'))".to_owned(),
        "SELECT strpos(x, concat(repeat('a', 4000000), 'b')) FROM (SELECT repeat('a', 8000000 - value) AS x FROM range(3))"
            .to_owned(),
        "SELECT btrim(repeat('a', 8000000), repeat('b', 8000000))".to_owned(),
        "SELECT rtrim(x, repeat('b', 8000000)) FROM (SELECT repeat('a', 8000000 - value) AS x FROM range(3))".to_owned(),
        "SELECT array_has_all(range(0, 500000), range(1, 500000))".to_owned(),
        "SELECT range(0, 500000) @> range(1, 500001)".to_owned(),
        "SELECT array_has_any(range(0, 500000), range(600000, 1000000))".to_owned(),
        "SELECT levenshtein(repeat('x', 100000), repeat('y', 100000))".to_owned(),
        "SELECT regexp_like(repeat('a', 1000000), 'a[0-9a-f]{3000}z')".to_owned(),
        "SELECT repeat('a', 1000000) ~ 'a[0-9a-f]{3000}z'".to_owned(),
        "SELECT repeat('a', 1000000) SIMILAR TO 'a[0-9a-f]{3000}z'".to_owned(),
        "SELECT regexp_like('a', '((a{100}){100}){100}')".to_owned(),
        "SELECT regexp_like('a', 'a', 'i)(((a{100}){100}){100}')".to_owned(),
        "SELECT regexp_count(repeat('a', 1000000), 'a*b|a')".to_owned(),
        "SELECT regexp_replace(repeat('a', 1000000), 'a*b|a', 'c', 'g')".to_owned(),
        "SELECT repeat('a', 1000000) LIKE concat('%', repeat('a_', 4000), '%b')".to_owned(),
        "SELECT string_agg(CAST(value AS TEXT), repeat('x', 1000000)) FROM range(100000)".to_owned(),
        "SELECT array_agg(value) OVER (ORDER BY value) FROM range(1000000)".to_owned(),
        "SELECT string_agg(CAST(value AS TEXT), ',') OVER () FROM range(1000000)".to_owned(),
        "SELECT lag(value, 9223372036854775807) OVER () FROM range(10)".to_owned(),
        "SELECT lag(value, 50000) IGNORE NULLS OVER () FROM range(10)".to_owned(),
        "SELECT repeat('x', 8000000), value FROM range(100000)".to_owned(),
        "SELECT count(s) FROM (SELECT string_agg(repeat('x', 1000000 + value), '') AS s FROM range(20)) CROSS JOIN range(1000000)"
            .to_owned(),
        "SELECT max(s) FROM (SELECT repeat('x', 8000000 - value) AS s FROM range(2)) CROSS JOIN range(1000000)"
            .to_owned(),
        "SELECT unnest(range(0, 100000)), s FROM (SELECT repeat('x', 8000000 - value) AS s FROM range(2))".to_owned(),
        "SELECT first_value(s) OVER (), value FROM (SELECT value, repeat('x', 60000 + value % 7) AS s FROM range(8000))"
            .to_owned(),
    ] {
        let shown: String = sql.chars().take(120).collect();
        let error = match start(&engine, request(&sql)).await {
            Err(error) => error,
            Ok(mut answer) => loop {
                match answer.stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error.into(),
                    None => panic!("{shown}: it has an answer"),
                }
            },
        };
        assert!(
            matches!(error, SqlError::BadRequest(_) | SqlError::ResourcesExhausted(_)),
            "{shown}: {error:?}"
        );
        within(FREE_WITHIN, &shown, || engine.tasks() == 0 && engine.memory_bytes() == 0).await;
    }
    assert!(csv(&engine, "SELECT 1").await.is_ok(), "the engine goes on");
}

#[tokio::test]
async fn constants_of_the_usual_size_have_answers() {
    let engine = engine();
    for (sql, answer) in [
        (
            "SELECT approx_percentile_cont(CAST(value AS DOUBLE), 0.5, 100) > 3 FROM range(10)",
            "true",
        ),
        (
            "SELECT approx_percentile_cont(0.5, 200) WITHIN GROUP (ORDER BY value) FROM range(10)",
            "4.5",
        ),
        (
            "SELECT string_agg(CAST(value AS TEXT), ', ') FROM range(3)",
            "\"0, 1, 2\"",
        ),
        ("SELECT 'water level' ~ '^wat.r [a-z]+$'", "true"),
        ("SELECT 'water level' !~* 'WATER'", "false"),
        ("SELECT 'water level' SIMILAR TO 'water.*'", "true"),
        (
            "SELECT count(*) FROM (VALUES ('abc', 'a%'), ('abc', '_b_'), ('abc', 'b%')) AS v (t, p) WHERE t LIKE p",
            "2",
        ),
        (
            "SELECT count(*) FROM (VALUES ('ABC', 'a%'), ('abc', NULL)) AS v (t, p) WHERE t ILIKE p",
            "1",
        ),
        (
            "SELECT count(*) FROM (VALUES ('abc', 'a%'), ('abc', 'b%')) AS v (t, p) WHERE t NOT LIKE p",
            "1",
        ),
        (
            "SELECT arrow_cast(3, 'FixedSizeList(1 x Int64)') IS NULL",
            "false",
        ),
        (
            "SELECT arrow_typeof(arrow_cast(3, 'Decimal128(10, 2)'))",
            "\"Decimal128(10, 2)\"",
        ),
        ("SELECT length(btrim(repeat('a', 100000), 'ab'))", "0"),
        ("SELECT strpos(concat(repeat('a', 100000), 'b'), 'ab')", "100000"),
        ("SELECT array_has_all(range(0, 1000), range(10, 100))", "true"),
        (
            "SELECT regexp_replace(repeat('ab', 1000), 'b', '', 'g') = repeat('a', 1000)",
            "true",
        ),
        (
            "SELECT sum(n) FROM (SELECT lag(value, 2, 0) OVER (ORDER BY value) AS n FROM range(10))",
            "28",
        ),
        (
            "SELECT count(cardinality(a)) FROM (SELECT array_agg(value) OVER (ORDER BY value ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS a FROM range(10))",
            "10",
        ),
        ("SELECT count(*) FROM (SELECT unnest(range(0, 100000)))", "100000"),
        ("SELECT length($1) FROM range(1)", "20000"),
    ] {
        let params = if sql.contains("$1") {
            vec![json!("y".repeat(20_000))]
        } else {
            vec![]
        };
        let bytes = crate::tables::ask(
            &engine,
            SqlRequest {
                params,
                ..request(sql)
            },
            riskgrid_analytics::sql::format::AnswerFormat::Csv,
        )
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(text.lines().nth(1), Some(answer), "{sql}");
    }
}

#[tokio::test]
async fn a_batch_of_long_work_is_left_when_its_query_ends() {
    let engine = SqlEngine::new(SqlLimits {
        timeout: Duration::from_millis(500),
        ..limits()
    })
    .expect("an engine");
    for sql in [
        "SELECT count(strpos(x, repeat('a', 100) || 'b')) FROM (SELECT repeat('a', 4000 + value % 9) AS x FROM range(100000))",
        "SELECT count(levenshtein(x, y)) FROM (SELECT repeat('a', 500 + value % 9) AS x, repeat('b', 500 + value % 7) AS y FROM range(100000))",
        "SELECT count(regexp_like('aaaaaaaa', concat('a+[0-9a-f]{100}', CAST(value AS TEXT)))) FROM range(1000000)",
        "SELECT count(CASE WHEN 'aaaaaa' ~ concat('a+[0-9a-f]{100}', CAST(value AS TEXT)) THEN 1 END) FROM range(1000000)",
        "SELECT count(CASE WHEN repeat('a', 1000) LIKE concat('%', repeat('a_', 100), CAST(value AS TEXT)) THEN 1 END) FROM range(1000000)",
        "SELECT count(array_has_all(range(0, 120 + value % 3), range(1, 120 + value % 5))) FROM range(1000000)",
    ] {
        let error = match start(&engine, request(sql)).await {
            Err(error) => error,
            Ok(mut answer) => loop {
                match answer.stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error.into(),
                    None => panic!("{sql}: it has an answer"),
                }
            },
        };
        assert!(matches!(error, SqlError::TimedOut { .. }), "{sql}: {error:?}");
        within(FREE_WITHIN, sql, || engine.tasks() == 0).await;
    }
}
