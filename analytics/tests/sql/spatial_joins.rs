//! Joins on geometries: by the R-tree they give what the nested loop gives.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};
use futures::StreamExt as _;
use proptest::prelude::*;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{SqlEngine, SqlError, SqlLimits};

use crate::tables::{engine, limits, no_functions, request, within};

/// Rows of one batch, few, so that there are many.
const BATCH: usize = 7;

type Point = (Option<f64>, Option<f64>);

fn table(columns: Vec<(&str, ArrayRef)>) -> Arc<MemTable> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns fit");
    let mut partitions = vec![vec![], vec![]];
    for (number, start) in (0..whole.num_rows()).step_by(BATCH).enumerate() {
        let batch = whole.slice(start, BATCH.min(whole.num_rows() - start));
        partitions[number % 2].push(batch);
    }
    Arc::new(MemTable::try_new(whole.schema(), partitions).expect("a table"))
}

fn ids(rows: usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..rows as i64))
}

fn points_table(points: &[Point]) -> Arc<MemTable> {
    let axis = |of: fn(&Point) -> Option<f64>| -> ArrayRef {
        Arc::new(points.iter().map(of).collect::<Float64Array>())
    };
    table(vec![
        ("id", ids(points.len())),
        ("lon", axis(|point| point.0)),
        ("lat", axis(|point| point.1)),
    ])
}

fn schema(tables: Vec<(&str, Arc<MemTable>)>) -> Arc<dyn SchemaProvider> {
    let schema = MemorySchemaProvider::new();
    for (name, table) in tables {
        schema.register_table(name.to_owned(), table).expect("a new name");
    }
    Arc::new(schema)
}

fn shapes(points: &[Point], areas: &[Option<String>]) -> Arc<dyn SchemaProvider> {
    let texts: ArrayRef = Arc::new(areas.iter().map(|area| area.as_deref()).collect::<StringArray>());
    schema(vec![
        ("points", points_table(points)),
        (
            "areas",
            table(vec![("id", ids(areas.len())), ("geometry", texts)]),
        ),
    ])
}

pub(crate) async fn ask(
    engine: &SqlEngine,
    tables: &Arc<dyn SchemaProvider>,
    sql: &str,
) -> Result<String, SqlError> {
    let answer = engine
        .query(request(sql), Arc::clone(tables), no_functions())
        .await?;
    let mut body = encode(answer, AnswerFormat::Csv).await?.body;
    let mut text = String::new();
    while let Some(piece) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&piece?));
    }
    Ok(text)
}

pub(crate) async fn plan(engine: &SqlEngine, tables: &Arc<dyn SchemaProvider>, sql: &str) -> String {
    ask(engine, tables, &format!("EXPLAIN {sql}"))
        .await
        .expect("a plan")
}

/// Every other corner of a square of this size, or all, or crossed.
fn area(kind: u8, west: f64, south: f64, size: f64) -> Option<String> {
    let (east, north) = (west + size, south + size);
    Some(match kind {
        0 => return None,
        1 => "POLYGON EMPTY".to_owned(),
        2 => "no area".to_owned(),
        3 => format!("POLYGON(({west} {south},{east} {south},{west} {north},{west} {south}))"),
        4 => format!("POLYGON(({west} {south},{east} {north},{east} {south},{west} {north},{west} {south}))"),
        5 => format!("LINESTRING({west} {south},{east} {north})"),
        6 => format!("POINT({west} {south})"),
        7 => {
            let (inner_west, inner_south) = (west + size / 4.0, south + size / 4.0);
            let (inner_east, inner_north) = (east - size / 4.0, north - size / 4.0);
            format!(
                "POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}),\
                 ({inner_west} {inner_south},{inner_east} {inner_south},{inner_east} {inner_north},{inner_west} {inner_north},{inner_west} {inner_south}))"
            )
        }
        _ => format!("POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}))"),
    })
}

const CONDITIONS: [&str; 10] = [
    "st_contains(a.geometry, st_point(p.lon, p.lat))",
    "st_within(st_point(p.lon, p.lat), a.geometry)",
    "st_intersects(st_point(p.lon, p.lat), a.geometry)",
    "st_covers(a.geometry, st_point(p.lon, p.lat))",
    "st_touches(st_point(p.lon, p.lat), a.geometry)",
    "st_dwithin(a.geometry, st_point(p.lon, p.lat), 0.5)",
    "st_dwithinsphere(st_point(p.lon, p.lat), a.geometry, 60000)",
    "p.id % 3 < a.id AND st_contains(a.geometry, st_point(p.lon, p.lat)) AND p.lat + a.id > 3",
    "st_intersects(st_makeenvelope(p.lon, p.lat, p.lon + 1, p.lat + 0.5), a.geometry)",
    "st_crosses(a.geometry, st_makeenvelope(p.lon, p.lat, p.lon + 1, p.lat + 0.5))",
];
const JOINS: [&str; 8] = [
    "JOIN",
    "LEFT JOIN",
    "RIGHT JOIN",
    "FULL JOIN",
    "LEFT SEMI JOIN",
    "LEFT ANTI JOIN",
    "RIGHT SEMI JOIN",
    "RIGHT ANTI JOIN",
];

fn columns_of(join: &str) -> &'static str {
    match join {
        "LEFT SEMI JOIN" | "LEFT ANTI JOIN" => "p.id AS p, p.lon",
        "RIGHT SEMI JOIN" | "RIGHT ANTI JOIN" => "a.id AS a, a.geometry",
        _ => "a.geometry, p.id AS p, a.id AS a, p.lon + 1 AS lon",
    }
}

fn places() -> impl Strategy<Value = Vec<Point>> {
    let axis = || prop::option::weighted(0.9, (0_i32..32).prop_map(|eighth| f64::from(eighth) / 4.0));
    prop::collection::vec((axis(), axis()), 0..40)
}

fn areas() -> impl Strategy<Value = Vec<Option<String>>> {
    let one = (0_u8..12, 0_i32..28, 0_i32..28, 1_i32..16).prop_map(|(kind, west, south, size)| {
        area(
            kind,
            f64::from(west) / 4.0,
            f64::from(south) / 4.0,
            f64::from(size) / 4.0,
        )
    });
    prop::collection::vec(one, 0..20)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_index_gives_what_the_nested_loop_gives(
        points in places(),
        areas in areas(),
        condition in 0..CONDITIONS.len(),
    ) {
        let (engine, runtime) = (engine(), runtime());
        let tables = shapes(&points, &areas);
        let condition = CONDITIONS[condition];
        for join in JOINS {
            for sides in ["points p {join} areas a", "areas a {join} points p"] {
                let from = sides.replace("{join}", join);
                let columns = match (sides.starts_with("points"), join) {
                    (false, "LEFT SEMI JOIN" | "LEFT ANTI JOIN") => columns_of("RIGHT SEMI JOIN"),
                    (false, "RIGHT SEMI JOIN" | "RIGHT ANTI JOIN") => columns_of("LEFT SEMI JOIN"),
                    _ => columns_of(join),
                };
                let order: Vec<String> = (1..=columns.split(',').count()).map(|number| number.to_string()).collect();
                let order = order.join(", ");
                let by_index = format!("SELECT {columns} FROM {from} ON {condition} ORDER BY {order}");
                // The index does not see into CASE.
                let by_loop = format!(
                    "SELECT {columns} FROM {from} ON CASE WHEN {condition} THEN true ELSE false END ORDER BY {order}"
                );
                let (found, expected) = runtime.block_on(async {
                    (ask(&engine, &tables, &by_index).await, ask(&engine, &tables, &by_loop).await)
                });
                prop_assert_eq!(found, expected, "{}", by_index);
            }
        }
    }

    /// The distances of the k nearest, by a look at all.
    #[test]
    fn the_nearest_are_those_of_a_look_at_all(
        sensors in prop::collection::vec((-180.0..=180.0_f64, -90.0..=90.0_f64), 1..20),
        facilities in prop::collection::vec((-180.0..=180.0_f64, -90.0..=90.0_f64), 0..40),
        k in 1_usize..5,
    ) {
        let (engine, runtime) = (engine(), runtime());
        let some = |places: &[(f64, f64)]| -> Vec<Point> {
            places.iter().map(|(lon, lat)| (Some(*lon), Some(*lat))).collect()
        };
        let tables = schema(vec![
            ("sensors", points_table(&some(&sensors))),
            ("facilities", points_table(&some(&facilities))),
        ]);
        let metres = "st_distancesphere(st_point(s.lon, s.lat), st_point(f.lon, f.lat))";
        let by_index = format!(
            "SELECT s.id, f.id AS f, {metres} AS metres FROM sensors s JOIN facilities f \
             ON st_knn(st_point(s.lon, s.lat), st_point(f.lon, f.lat), {k}) ORDER BY s.id, metres"
        );
        let by_look = format!(
            "SELECT id, f, metres FROM (SELECT s.id, f.id AS f, {metres} AS metres, \
             row_number() OVER (PARTITION BY s.id ORDER BY {metres}) AS place FROM sensors s CROSS JOIN facilities f) \
             WHERE place <= {k} ORDER BY id, metres"
        );
        let (found, expected) = runtime.block_on(async {
            (ask(&engine, &tables, &by_index).await, ask(&engine, &tables, &by_look).await)
        });
        prop_assert_eq!(found, expected);
    }
}

pub(crate) fn few() -> Arc<dyn SchemaProvider> {
    let points: Vec<Point> = (0..50)
        .map(|number| (Some(f64::from(number) / 10.0), Some(1.0)))
        .collect();
    let areas: Vec<Option<String>> = (0..5)
        .map(|number| area(9, f64::from(number), 0.0, 2.0))
        .collect();
    shapes(&points, &areas)
}

#[tokio::test]
async fn explain_shows_the_index_whichever_way_the_join_is_written() {
    let (engine, tables) = (engine(), few());
    for from in [
        "points p JOIN areas a ON st_contains(a.geometry, st_point(p.lon, p.lat))",
        "areas a JOIN points p ON st_within(st_point(p.lon, p.lat), a.geometry)",
        "points p, areas a WHERE st_intersects(a.geometry, st_point(p.lon, p.lat)) AND p.id > 3",
        "points p LEFT JOIN areas a ON st_covers(a.geometry, st_point(p.lon, p.lat)) AND a.id > 1",
        "areas a LEFT JOIN points p ON st_contains(a.geometry, st_point(p.lon, p.lat)) AND p.id < a.id",
        "points p JOIN areas a ON st_dwithin(st_point(p.lon, p.lat), a.geometry, 0.25)",
        "points p JOIN points a ON st_dwithinsphere(st_point(p.lon, p.lat), st_point(a.lon, a.lat), 250)",
        "points p JOIN points a ON st_knn(st_point(p.lon, p.lat), st_point(a.lon, a.lat), 2)",
    ] {
        let plan = plan(&engine, &tables, &format!("SELECT p.id, a.id FROM {from}")).await;
        assert!(plan.contains("SpatialJoinExec: index=rtree"), "{from}\n{plan}");
        assert!(!plan.contains("NestedLoopJoinExec"), "{from}\n{plan}");
    }
}

#[tokio::test]
async fn areas_are_indexed_and_only_the_columns_asked_for_are_copied() {
    let (engine, tables) = (engine(), few());
    for from in ["points p JOIN areas a", "areas a JOIN points p"] {
        let sql = format!(
            "SELECT a.id, count(*) AS n FROM {from} ON st_contains(a.geometry, st_point(p.lon, p.lat)) GROUP BY a.id ORDER BY a.id"
        );
        let plan = plan(&engine, &tables, &sql).await;
        assert!(plan.contains("projection=[id]"), "{plan}");
        let indexed = plan.split("SpatialJoinExec").nth(1).expect("the join");
        let geometry = indexed.find("[id, geometry]");
        assert!(
            geometry.is_none() || geometry < indexed.find("[lon, lat]"),
            "{plan}"
        );
        assert_eq!(
            ask(&engine, &tables, &sql).await.as_deref(),
            Ok("id,n\n0,19\n1,19\n2,19\n3,19\n4,9\n")
        );
    }
}

#[tokio::test]
async fn rows_are_counted_where_no_column_is_asked_for() {
    let (engine, tables) = (engine(), few());
    let sql =
        "SELECT count(*) AS n FROM points p JOIN areas a ON st_contains(a.geometry, st_point(p.lon, p.lat))";
    assert_eq!(ask(&engine, &tables, sql).await.as_deref(), Ok("n\n85\n"));
}

#[tokio::test]
async fn the_nearest_of_those_that_are_asked_for() {
    let (engine, tables) = (engine(), few());
    let nearest = "st_knn(st_point(p.lon, p.lat), st_point(q.lon, q.lat), 1)";
    let sql = format!(
        "SELECT p.id, q.id AS q FROM points p JOIN points q ON {nearest} WHERE q.id >= 20 AND p.id IN (3, 30) ORDER BY p.id"
    );
    assert_eq!(
        ask(&engine, &tables, &sql).await.as_deref(),
        Ok("id,q\n3,20\n30,30\n")
    );

    let sql = format!(
        "SELECT p.id, q.id AS q FROM points p LEFT JOIN points q ON {nearest} AND q.id > 100 WHERE p.id < 2 ORDER BY p.id"
    );
    assert_eq!(ask(&engine, &tables, &sql).await.as_deref(), Ok("id,q\n0,\n1,\n"));
}

#[tokio::test]
async fn the_nearest_cannot_be_asked_otherwise() {
    let (engine, tables) = (engine(), few());
    for (sql, words) in [
        (
            "SELECT st_knn(st_point(lon, lat), st_point(1, 1), 1) FROM points",
            "st_knn depends on all rows of a table",
        ),
        (
            "SELECT p.id FROM points p JOIN points q ON st_knn(st_point(p.lon, p.lat), st_point(q.lon, q.lat), 0)",
            "st_knn: k is 0, allowed is 1 to 10000",
        ),
        (
            "SELECT p.id FROM points p JOIN points q ON st_knn(st_point(p.lon, p.lat), st_point(q.lon, q.lat), p.id)",
            "st_knn depends on all rows of a table",
        ),
    ] {
        let error = ask(&engine, &tables, sql).await.expect_err(sql).to_string();
        assert!(error.contains(words), "{sql}: {error}");
    }
}

#[tokio::test]
async fn an_index_that_does_not_fit_is_refused() {
    let engine = SqlEngine::new(SqlLimits {
        query_memory_bytes: 4 << 20,
        ..limits()
    })
    .expect("an engine");
    let points: Vec<Point> = vec![(Some(1.0), Some(1.0)); 10];
    let ring: Vec<String> = (0..4_000)
        .map(|number| f64::from(number) / 4_000.0 * std::f64::consts::TAU)
        .map(|angle| format!("{} {}", angle.cos(), angle.sin()))
        .collect();
    let large = format!("POLYGON(({},{}))", ring.join(","), ring[0]);
    let areas: Vec<Option<String>> = vec![Some(large); 20];
    let tables = shapes(&points, &areas);
    let sql = "SELECT count(*) FROM points p JOIN areas a ON st_contains(a.geometry, st_point(p.lon, p.lat))";
    let error = ask(&engine, &tables, sql).await;
    assert!(
        matches!(&error, Err(SqlError::ResourcesExhausted(text)) if text.contains("SpatialJoinExec")),
        "{error:?}"
    );
    within(Duration::from_secs(10), "memory given back", || {
        engine.memory_bytes() == 0
    })
    .await;
}
