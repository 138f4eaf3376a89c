//! Every query ends: by itself, by its time, by its memory, by being cancelled or dropped; then its threads are free.

use std::time::Duration;

use futures::StreamExt as _;
use riskgrid_analytics::sql::{Asker, QueryPhase, SqlEngine, SqlError, SqlLimits, SqlRequest};

use crate::tables::{engine, limits, request, start, within};

/// The promise is 1 s. Joins keep it without optimization too; an aggregate that empties a full table in one go does not.
const FREE_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// Queries that would run for hours.
const ENDLESS: [(&str, &str); 17] = [
    (
        "spatial join",
        "SELECT count(*) FROM range(5000) a JOIN range(100000000) b \
         ON st_intersects(st_makeenvelope(0, 0, a.value + 1, 1), st_makeenvelope(0, 0, 1, b.value + 1))",
    ),
    (
        "spatial join without a match",
        "SELECT count(*) FROM range(5000) a JOIN range(100000000) b \
         ON st_touches(st_makeenvelope(0, 0, a.value + 1, 1), st_makeenvelope(0, 0, 1, b.value + 1))",
    ),
    (
        "cross join",
        "SELECT sum(a.value * b.value) FROM range(3000000) a CROSS JOIN range(3000000) b",
    ),
    (
        "triple cross join",
        "SELECT sum(a.value + b.value + c.value) FROM range(100) a, range(100) b, range(10000000000) c",
    ),
    (
        "nested loop join",
        "SELECT sum(b.value) FROM range(1000000) a JOIN range(1000000) b ON a.value < b.value",
    ),
    (
        "hash join with many matches",
        "SELECT sum(b.value) FROM range(1000000) a JOIN range(1000000) b ON a.value % 2 = b.value % 2",
    ),
    (
        "left join",
        "SELECT count(b.value) FROM range(1000000) a LEFT JOIN range(1000000) b ON a.value > b.value",
    ),
    (
        "nested loop join without a match",
        "SELECT count(*) FROM range(3000000) a JOIN range(3000000) b ON a.value + b.value < 0",
    ),
    (
        "hash join without a match",
        "SELECT count(*) FROM range(1000000) a JOIN range(1000000) b ON a.value % 2 = b.value % 2 AND a.value + b.value < 0",
    ),
    (
        "full join",
        "SELECT count(*) FROM range(1000000) a FULL JOIN range(1000000) b ON a.value * b.value < 0",
    ),
    (
        "aggregate",
        "SELECT value % 1000, avg(value), stddev(value) FROM range(10000000000000) GROUP BY 1",
    ),
    (
        "filter that lets nothing through",
        "SELECT value FROM range(10000000000000) WHERE value % 7 = 8",
    ),
    ("many rows", "SELECT value FROM range(10000000000000)"),
    (
        "many small lists",
        "SELECT count(u) FROM (SELECT unnest(range(0, 100)) AS u FROM range(10000000000))",
    ),
    (
        "recursion without end",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    ),
    (
        "semi join",
        "SELECT count(*) FROM range(10000000000000) a WHERE a.value IN (SELECT value * 2 FROM range(1000))",
    ),
    (
        "union",
        "SELECT max(value) FROM (SELECT * FROM range(10000000000000) UNION ALL SELECT * FROM range(10000000000000))",
    ),
];

/// These tests measure time, so they run one after the other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn run_to_end(engine: &SqlEngine, request: SqlRequest) -> Result<(), SqlError> {
    let mut stream = start(engine, request).await?.stream;
    while let Some(batch) = stream.next().await {
        batch?;
    }
    Ok(())
}

#[tokio::test]
async fn a_query_out_of_time_frees_its_threads() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    for (name, sql) in ENDLESS {
        let late = SqlRequest {
            timeout: Some(Duration::from_millis(300)),
            ..request(sql)
        };
        let error = run_to_end(&engine, late).await.expect_err(name);
        assert!(
            matches!(
                error,
                SqlError::TimedOut {
                    milliseconds: 300,
                    phase: QueryPhase::Planning | QueryPhase::Running
                }
            ),
            "{name}: {error:?}"
        );
        within(FREE_WITHIN, name, || engine.tasks() == 0).await;
        assert!(engine.running().is_empty(), "{name}");
        assert_eq!(engine.memory_bytes(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_cancelled_query_frees_its_threads() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    for (name, sql) in ENDLESS {
        let named = SqlRequest {
            query_id: Some(name.to_owned()),
            ..request(sql)
        };
        let mut stream = start(&engine, named).await.expect(name).stream;
        assert_eq!(
            engine
                .running()
                .first()
                .map(|query| query.query_id.clone())
                .as_deref(),
            Some(name)
        );
        assert!(engine.cancel(name, &Asker::system()), "{name}");
        let mut end = stream.next().await;
        while matches!(end, Some(Ok(_))) {
            end = stream.next().await;
        }
        let error = SqlError::from(end.expect("an end").expect_err(name));
        assert_eq!(error, SqlError::Cancelled, "{name}");
        within(FREE_WITHIN, name, || engine.tasks() == 0).await;
        drop(stream);
        assert!(
            !engine.cancel(name, &Asker::system()),
            "{name} is no longer there"
        );
    }
}

#[tokio::test]
async fn a_dropped_answer_frees_its_threads() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    for (name, sql) in ENDLESS {
        let answer = start(&engine, request(sql)).await.expect(name);
        drop(answer);
        within(FREE_WITHIN, name, || engine.tasks() == 0).await;
        assert!(engine.running().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn nobody_reading_does_not_keep_a_query_past_its_time() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    let late = SqlRequest {
        timeout: Some(Duration::from_millis(100)),
        ..request("SELECT value FROM range(10000000000)")
    };
    let mut answer = start(&engine, late).await.expect("it starts");
    within(FREE_WITHIN, "the task ends", || engine.tasks() == 0).await;
    let mut end = answer.stream.next().await;
    while matches!(end, Some(Ok(_))) {
        end = answer.stream.next().await;
    }
    assert!(matches!(
        SqlError::from(end.expect("an end").expect_err("late")),
        SqlError::TimedOut { .. }
    ));
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_told_so() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    for (name, sql) in [
        ("array_agg", "SELECT array_agg(value) FROM range(10000000000)"),
        (
            "string_agg",
            "SELECT string_agg(CAST(value AS TEXT), ',') FROM range(10000000000)",
        ),
        (
            "sort",
            "SELECT a.value, b.value FROM range(100000) a, range(100000) b ORDER BY b.value * a.value",
        ),
        (
            "groups",
            "SELECT value % 1000000007, count(*) FROM range(10000000000) GROUP BY 1",
        ),
        (
            "distinct",
            "SELECT count(DISTINCT value % 1000000007) FROM range(10000000000)",
        ),
        (
            "hash join",
            "SELECT count(*) FROM range(10000000000) a JOIN range(10000000000) b ON a.value = b.value",
        ),
        (
            "cross join",
            "SELECT count(a.value + b.value) FROM range(10000000000) a, range(10000000000) b",
        ),
        (
            "window",
            "SELECT value, sum(value) OVER () FROM range(10000000000)",
        ),
        (
            "window with order",
            "SELECT sum(value) OVER (ORDER BY value % 10) FROM range(10000000000)",
        ),
        ("median", "SELECT median(value) FROM range(10000000000)"),
        (
            "recursion that grows",
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t, range(1000)) SELECT count(*) FROM t",
        ),
    ] {
        let error = run_to_end(&engine, request(sql)).await.expect_err(name);
        assert!(
            matches!(&error, SqlError::ResourcesExhausted(text) if text.contains("memory")),
            "{name}: {error:?}"
        );
        within(FREE_WITHIN, name, || {
            engine.tasks() == 0 && engine.memory_bytes() == 0
        })
        .await;
    }
    assert!(
        run_to_end(&engine, request("SELECT 1")).await.is_ok(),
        "the engine goes on"
    );
}

#[tokio::test]
async fn functions_that_make_much_out_of_little_are_capped() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    let doubled = |step: &str, times: usize| {
        let mut sql = "SELECT repeat('x', 4096) AS x0".to_owned();
        for number in 1..=times {
            let (old, new) = (format!("x{}", number - 1), format!("x{number}"));
            sql = format!(
                "SELECT {} AS {new} FROM ({sql}) WHERE length({old}) > 0",
                step.replace('x', &old)
            );
        }
        format!("SELECT length(x{times}) FROM ({sql})")
    };
    for sql in [
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT length(repeat('x', value)) FROM range(1000000000, 1000000010)".to_owned(),
        "SELECT lpad('x', 1000000000, 'y')".to_owned(),
        "SELECT rpad('x', 1000000000)".to_owned(),
        "SELECT array_repeat(1, 1000000000)".to_owned(),
        "SELECT array_repeat(array_repeat(1, 100000), 100000)".to_owned(),
        "SELECT array_resize([1], 1000000000, 0)".to_owned(),
        "SELECT range(0, 10000000000)".to_owned(),
        "SELECT generate_series(0, 10000000000, 1)".to_owned(),
        "SELECT generate_series(TIMESTAMP '1900-01-01', TIMESTAMP '2200-01-01', INTERVAL '1 microsecond')"
            .to_owned(),
        "SELECT range(DATE '0001-01-01', DATE '9999-01-01', INTERVAL '1 nanosecond')".to_owned(),
        "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 1000000))".to_owned(),
        "SELECT regexp_replace(repeat('x', 100000), '(.*)', repeat('\\1', 100000), 'g')".to_owned(),
        "SELECT array_to_string(range(0, 100000), repeat('y', 100000))".to_owned(),
        "SELECT concat_ws(repeat('y', 4000000), 'a', 'b', 'c', 'd', 'e')".to_owned(),
        "SELECT levenshtein(repeat('x', 1000000), repeat('y', 1000000))".to_owned(),
        doubled("concat(x, x)", 12),
        doubled("x || x", 12),
        "SELECT h3_children(h3_parent(cell, 5), 15) FROM cells".to_owned(),
        "SELECT h3_disk(cell, 4000000000) FROM cells".to_owned(),
    ] {
        let error = run_to_end(&engine, request(&sql)).await.expect_err(&sql);
        assert!(
            matches!(error, SqlError::ResourcesExhausted(_)),
            "{sql}: {error:?}"
        );
    }
}

#[tokio::test]
async fn one_query_more_than_may_run_waits_within_its_own_time() {
    let _alone = ALONE.lock().await;
    let engine = SqlEngine::new(SqlLimits {
        max_concurrent: std::num::NonZeroUsize::MIN,
        ..limits()
    })
    .expect("an engine");
    let first = start(&engine, request("SELECT value FROM range(10000000000)"))
        .await
        .expect("it runs");
    let second = SqlRequest {
        timeout: Some(Duration::from_millis(50)),
        ..request("SELECT 1")
    };
    let error = run_to_end(&engine, second.clone()).await.expect_err("no place");
    let phase = QueryPhase::Queued;
    assert_eq!(
        error,
        SqlError::TimedOut {
            milliseconds: 50,
            phase
        }
    );
    drop(first);
    within(FREE_WITHIN, "a place", || engine.tasks() == 0).await;
    let second = SqlRequest {
        timeout: Some(Duration::from_secs(30)),
        ..second
    };
    assert!(run_to_end(&engine, second).await.is_ok());
}

#[tokio::test]
async fn an_id_belongs_to_one_query_at_a_time() {
    let _alone = ALONE.lock().await;
    let engine = engine();
    let named = || SqlRequest {
        query_id: Some("mine".to_owned()),
        ..request("SELECT value FROM range(10000000000)")
    };
    let first = start(&engine, named()).await.expect("it runs");
    let error = start(&engine, named()).await.expect_err("taken");
    assert!(
        matches!(&error, SqlError::IdInUse(id) if id == "mine"),
        "{error:?}"
    );
    assert!(
        engine.cancel("mine", &Asker::system()),
        "the first is still on the list"
    );
    drop(first);
    assert!(start(&engine, named()).await.is_ok());
    let long = SqlRequest {
        query_id: Some("x".repeat(129)),
        ..request("SELECT 1")
    };
    assert!(matches!(start(&engine, long).await, Err(SqlError::BadRequest(_))));
}
