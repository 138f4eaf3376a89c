//! Whose mistake it is: what a statement or a value does wrong is told as such, by name.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use riskgrid_analytics::sql::{SqlError, SqlRequest};

use crate::tables::{csv, engine, no_functions, request};

/// Statements, and what the refusal says of what is wrong in each.
const MISTAKES: &[(&str, &str)] = &[
    // Patterns.
    ("SELECT * FROM cells WHERE layer ~ '('", "("),
    ("SELECT * FROM cells WHERE layer ~* '('", "("),
    ("SELECT * FROM cells WHERE layer !~ '['", "["),
    ("SELECT * FROM cells WHERE layer !~* 'a{2,1}'", "a{2,1}"),
    ("SELECT * FROM points WHERE text ~ '('", "("),
    ("SELECT * FROM points WHERE text ~ (name || '(')", "("),
    ("SELECT * FROM points WHERE name ~ concat('(', name)", "("),
    ("SELECT layer ~ '(' FROM cells", "("),
    ("SELECT 'a' ~ '('", "("),
    ("SELECT * FROM cells WHERE layer SIMILAR TO '('", "("),
    ("SELECT regexp_like(layer, '(') FROM cells", "("),
    ("SELECT regexp_like(name, '(') FROM points", "("),
    ("SELECT regexp_like(name, concat(name, '(')) FROM points", "("),
    ("SELECT regexp_match(name, '(') FROM points", "("),
    ("SELECT regexp_match('x', '(')", "("),
    ("SELECT regexp_count(name, '(') FROM points", "("),
    ("SELECT regexp_instr(name, '(') FROM points", "("),
    ("SELECT regexp_replace(name, '(', 'x') FROM points", "("),
    (
        "SELECT regexp_replace(name, concat(name, '('), 'x') FROM points",
        "(",
    ),
    ("SELECT regexp_replace('a', '(', 'x')", "("),
    ("SELECT regexp_like(name, 'a', 'q') FROM points", "q"),
    ("SELECT regexp_replace(name, 'a', 'b', 'q') FROM points", "q"),
    ("SELECT regexp_match(name, 'a', 'g') FROM points", "g"),
    ("SELECT * FROM points WHERE name LIKE 'a!' ESCAPE '!!'", "!!"),
    // Zones.
    ("SELECT now() AT TIME ZONE 'Mars/Olympus'", "Mars/Olympus"),
    (
        "SELECT bucket AT TIME ZONE 'Mars/Olympus' FROM cells",
        "Mars/Olympus",
    ),
    (
        "SELECT 1 FROM cells WHERE bucket AT TIME ZONE 'Mars/Olympus' > now()",
        "Mars/Olympus",
    ),
    ("SELECT count(*) FROM cells GROUP BY bucket AT TIME ZONE ''", "''"),
    ("SELECT bucket AT TIME ZONE layer FROM cells", "layer"),
    (
        "SELECT bucket AT TIME ZONE concat('U', 'TC') FROM cells",
        "concat",
    ),
    (
        "SELECT to_local_time(bucket AT TIME ZONE 'Nowhere') FROM cells",
        "Nowhere",
    ),
    ("SELECT from_unixtime(5, 'Mars/Olympus')", "Mars/Olympus"),
    (
        "SELECT from_unixtime(n, 'Mars/Olympus') FROM points",
        "Mars/Olympus",
    ),
    ("SELECT from_unixtime(n, name) FROM points", "constant"),
    (
        "SELECT arrow_cast(bucket, 'Timestamp(Second, Some(\"Mars/Olympus\"))') FROM cells",
        "Mars/Olympus",
    ),
    (
        "SELECT TIMESTAMP '2026-11-22T08:00:00 Mars/Olympus'",
        "Mars/Olympus",
    ),
    (
        "SELECT to_timestamp('2026-11-22 08:00 Mars/Olympus', '%Y-%m-%d %H:%M %Z')",
        "Mars/Olympus",
    ),
    // Times and dates.
    ("SELECT to_timestamp(name) FROM points", "good"),
    ("SELECT to_timestamp('yesterday')", "yesterday"),
    ("SELECT to_timestamp('2026', '%Q')", "2026"),
    ("SELECT to_date('x')", "to_date"),
    ("SELECT to_date(name) FROM points", "to_date"),
    ("SELECT to_char(bucket, '%Q') FROM cells", "to_char"),
    ("SELECT date_trunc('fortnight', bucket) FROM cells", "fortnight"),
    ("SELECT date_trunc(layer, bucket) FROM cells", "date_trunc"),
    ("SELECT date_part('fortnight', bucket) FROM cells", "fortnight"),
    ("SELECT extract(fortnight FROM bucket) FROM cells", "FORTNIGHT"),
    (
        "SELECT date_bin(INTERVAL '0 seconds', bucket) FROM cells",
        "DATE_BIN",
    ),
    (
        "SELECT date_bin(INTERVAL '1 month 1 day', bucket) FROM cells",
        "DATE_BIN",
    ),
    ("SELECT INTERVAL 'x'", "x"),
    ("SELECT INTERVAL '5 fortnights'", "fortnights"),
    ("SELECT CAST('nine hours' AS INTERVAL)", "nine"),
    ("SELECT CAST(name AS INTERVAL) FROM points", "good"),
    ("SELECT DATE '2026-13-01'", "2026-13-01"),
    ("SELECT TIMESTAMP 'x'", "x"),
    ("SELECT CAST(name AS TIMESTAMP) FROM points", "good"),
    ("SELECT * FROM cells WHERE bucket > 'yesterday'", "yesterday"),
    ("SELECT make_date(2026, 13, 1)", "13"),
    ("SELECT bucket + INTERVAL '300000000 years' FROM cells", "years"),
    // Casts and numbers.
    ("SELECT 'abc'::int", "abc"),
    ("SELECT name::int FROM points", "good"),
    ("SELECT CAST('x' AS DOUBLE)", "x"),
    ("SELECT CAST('maybe' AS BOOLEAN)", "maybe"),
    ("SELECT CAST(-1 AS BIGINT UNSIGNED)", "-1"),
    ("SELECT CAST(300 AS TINYINT)", "300"),
    ("SELECT CAST('12345.678' AS DECIMAL(4,2))", "DECIMAL"),
    ("SELECT CAST(1 AS DECIMAL(99,2))", "DECIMAL"),
    ("SELECT arrow_cast(1, 'Nothing')", "Nothing"),
    ("SELECT 1 / 0", "zero"),
    ("SELECT n / 0 FROM points", "zero"),
    ("SELECT n % 0 FROM points", "zero"),
    ("SELECT count / (count - 3) FROM cells", "zero"),
    ("SELECT factorial(100)", "100"),
    ("SELECT gcd(-9223372036854775808, 0)", "gcd"),
    ("SELECT 'a' + 1", "a"),
    ("SELECT layer + 1 FROM cells", "Utf8"),
    ("SELECT NOT layer FROM cells", "layer"),
    ("SELECT -layer FROM cells", "layer"),
    ("SELECT sum(layer) FROM cells", "sum"),
    ("SELECT bucket + bucket FROM cells", "Timestamp"),
    ("SELECT * FROM cells WHERE layer", "layer"),
    ("SELECT * FROM cells WHERE count", "count"),
    // Names and places in a query.
    ("SELECT cell FROM cells GROUP BY layer", "cell"),
    ("SELECT sum(sum(count)) FROM cells", "sum"),
    ("SELECT layer FROM cells WHERE sum(count) > 1", "aggregate"),
    (
        "SELECT a.layer, layer FROM cells a JOIN cells b ON a.cell = b.cell",
        "layer",
    ),
    (
        "SELECT layer FROM cells UNION SELECT layer, cell FROM cells",
        "columns",
    ),
    ("SELECT layer FROM cells ORDER BY 7", "7"),
    ("SELECT layer FROM cells LIMIT -1", "-1"),
    ("SELECT layer FROM cells LIMIT 'x'", "x"),
    ("SELECT (SELECT layer FROM cells)", "row"),
    (
        "SELECT * FROM cells WHERE layer = (SELECT layer FROM cells)",
        "row",
    ),
    (
        "SELECT layer FROM cells WHERE cell IN (SELECT cell, layer FROM cells)",
        "column",
    ),
    ("SELECT lag(layer, 'x') OVER (ORDER BY cell) FROM cells", "x"),
    ("SELECT ntile(0) OVER (ORDER BY cell) FROM cells", "tile"),
    (
        "SELECT nth_value(layer, 'x') OVER (ORDER BY cell) FROM cells",
        "x",
    ),
    (
        "SELECT sum(count) OVER (ROWS BETWEEN 1 FOLLOWING AND 2 PRECEDING) FROM cells",
        "FOLLOWING",
    ),
    ("SELECT * FROM generate_series(1, 10, 0)", "step"),
    ("VALUES (1), (2, 3)", "2"),
    ("SELECT UNNEST(1)", "unnest"),
    // Functions.
    ("SELECT nothing(1)", "nothing"),
    ("SELECT substr(1)", "substr"),
    ("SELECT lpad('x', -1, 5, 6)", "lpad"),
    ("SELECT chr(-1)", "-1"),
    ("SELECT chr(99999999)", "99999999"),
    ("SELECT decode('x', 'hex')", "hex"),
    ("SELECT decode('x', 'base99')", "base99"),
    ("SELECT encode('x', 'base99')", "base99"),
    ("SELECT digest('x', 'md99')", "digest"),
    ("SELECT split_part('a,b', ',', 0)", "field position"),
    ("SELECT named_struct('a')", "named_struct"),
    ("SELECT named_struct(1, 2)", "named_struct"),
    ("SELECT array_element(1, 2)", "array_element"),
    ("SELECT array_position([1,2], 1, 99)", "99"),
    ("SELECT make_map(NULL, 1)", "map"),
    ("SELECT map([1,1],[2,3])", "map"),
    ("SELECT range(1, 10, 0)", "0"),
    ("SELECT approx_percentile_cont(count, 2) FROM cells", "2"),
    (
        "SELECT approx_percentile_cont(count, count) FROM cells",
        "ercentile",
    ),
    ("SELECT nullif(1)", "nullif"),
    ("SELECT greatest()", "greatest"),
    ("SELECT h3_parent(cell, 99) FROM cells", "99"),
    ("SELECT h3_cell(200, 95, 9)", "95"),
    ("SELECT st_geomfromtext('POINT(')", "POINT("),
    ("SELECT string_agg(layer, count) FROM cells", "string_agg"),
    ("SELECT arrow_typeof()", "arrow_typeof"),
    ("SELECT concat_ws()", "concat_ws"),
    ("SELECT array_to_string(1, ',')", "array_to_string"),
    ("SELECT to_hex('x')", "to_hex"),
    ("SELECT log(-1, 'x')", "log"),
    ("SELECT get_field(cell, 'x') FROM cells", "argument 1"),
    ("SELECT * FROM cells TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
    ("SELECT count(*) FILTER (WHERE layer) FROM cells", "noise"),
    (
        "SELECT DISTINCT ON (layer) cell FROM cells ORDER BY cell",
        "DISTINCT ON",
    ),
];

#[tokio::test]
async fn mistakes_of_the_caller_are_told_as_such() {
    let engine = engine();
    let mut wrong = Vec::new();
    for (sql, words) in MISTAKES {
        match csv(&engine, sql).await {
            Err(SqlError::BadRequest(text))
                if text.to_lowercase().contains(&words.to_lowercase())
                    && !text.contains("again")
                    && !text.contains("bug in DataFusion") => {}
            other => wrong.push(format!("{sql}\n    {other:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        MISTAKES.len(),
        wrong.join("\n")
    );
    assert_eq!(engine.internal_errors(), 0);
}

#[tokio::test]
async fn texts_of_a_column_become_times() {
    let engine = engine();
    let texts =
        "(VALUES ('2026-11-22T08:00:00Z'), ('2026-11-22T08:00:00.5+08:00'), (NULL), ('2026-11-22')) AS t(x)";
    for (name, second) in [
        ("to_timestamp", "2026-11-22T00:00:00.500Z"),
        ("to_timestamp_seconds", "2026-11-22T00:00:00Z"),
        ("to_timestamp_millis", "2026-11-22T00:00:00.500Z"),
        ("to_timestamp_micros", "2026-11-22T00:00:00.500Z"),
        ("to_timestamp_nanos", "2026-11-22T00:00:00.500Z"),
    ] {
        assert_eq!(
            csv(&engine, &format!("SELECT 1 AS n, {name}(x) AS t FROM {texts}"))
                .await
                .as_deref(),
            Ok(&*format!(
                "n,t\n1,2026-11-22T08:00:00Z\n1,{second}\n1,\n1,2026-11-22T00:00:00Z\n"
            )),
            "{name}"
        );
        // In a filter too, and by formats.
        let sql =
            format!("SELECT count(*) AS n FROM {texts} WHERE {name}(x) >= {name}('2026-11-22T00:00:00Z')");
        assert_eq!(csv(&engine, &sql).await.as_deref(), Ok("n\n3\n"), "{sql}");
        let sql = format!(
            "SELECT {name}(x, '%d.%m.%Y %H:%M') AS t FROM (VALUES ('22.11.2026 08:15'), (NULL)) AS t(x)"
        );
        assert_eq!(
            csv(&engine, &sql).await.as_deref(),
            Ok("t\n2026-11-22T08:15:00Z\n\"\"\n"),
            "{sql}"
        );
    }
}

/// A table with a fault in it: what it fails with is what `DataFusion` says of its own faults.
#[derive(Debug)]
struct Faulty;

#[async_trait]
impl TableProvider for Faulty {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Err(DataFusionError::Internal("pointer 0x17".to_owned()))
    }
}

#[tokio::test]
async fn a_fault_of_the_engine_is_told_as_its_own_with_a_place_in_the_log_and_counted() {
    let engine = engine();
    let tables = || -> Arc<dyn SchemaProvider> {
        let schema = MemorySchemaProvider::new();
        schema
            .register_table("faulty".to_owned(), Arc::new(Faulty))
            .expect("a new name");
        Arc::new(schema)
    };
    let named = SqlRequest {
        query_id: Some("mine".to_owned()),
        ..request("SELECT x FROM faulty")
    };
    let error = engine
        .query(named, tables(), no_functions())
        .await
        .expect_err("a fault");
    let text = error.to_string();
    assert!(
        text.contains("query_id mine") && text.contains("not the statement's"),
        "{text}"
    );
    assert!(!text.contains("0x17") && !text.contains("DataFusion"), "{text}");
    assert!(matches!(error, SqlError::Internal { cause, .. } if cause.contains("0x17")));
    assert_eq!(engine.internal_errors(), 1);
    let mistake = engine
        .query(request("SELECT y FROM faulty"), tables(), no_functions())
        .await;
    assert!(matches!(mistake, Err(SqlError::BadRequest(_))), "{mistake:?}");
    assert_eq!(engine.internal_errors(), 1);
}
