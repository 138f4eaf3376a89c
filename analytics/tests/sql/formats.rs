//! The bytes that clients see.

use std::io::Cursor;

use datafusion::arrow::ipc::reader::StreamReader;
use futures::StreamExt as _;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{QueryPhase, SqlError, SqlRequest, is_cell};
use std::time::Duration;

use crate::tables::{ask, engine, request, start};

const EVERY_KIND: &str = "SELECT cell, layer, bucket, count, sum, count = 3 AS few, \
    h3_disk(cell, 0) AS list, DATE '2026-11-22' AS day, 1.5::DECIMAL(20,2) AS price, -9007199254740993 AS low, \
    named_struct('a', 1, 'b', 'x\"y') AS pair, INTERVAL '90 minutes' AS span, CAST(1.25 AS REAL) AS half, '' AS empty \
    FROM cells ORDER BY bucket";

async fn text(sql: &str, format: AnswerFormat) -> String {
    let engine = engine();
    let bytes = ask(&engine, request(sql), format)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    String::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn json_of_every_kind_of_value() {
    assert_eq!(
        text(EVERY_KIND, AnswerFormat::Json).await,
        concat!(
            r#"{"columns":[{"name":"cell","type":"h3_cell"},{"name":"layer","type":"text"},{"name":"bucket","type":"timestamp"},"#,
            r#"{"name":"count","type":"uint64"},{"name":"sum","type":"float64"},{"name":"few","type":"boolean"},"#,
            r#"{"name":"list","type":"list<h3_cell>"},{"name":"day","type":"date"},{"name":"price","type":"decimal(20,2)"},"#,
            r#"{"name":"low","type":"int64"},{"name":"pair","type":"struct"},{"name":"span","type":"interval"},"#,
            r#"{"name":"half","type":"float32"},{"name":"empty","type":"text"}],"rows":["#,
            r#"["89411ca1b67ffff","noise","1970-01-01T00:00:00Z",3,1.5,true,["89411ca1b67ffff"],"2026-11-22",1.50,"-9007199254740993",{"a":1,"b":"x\"y"},"1 hours 30 mins",1.25,""],"#,
            r#"["89411ca1b6fffff","noise","1970-01-01T00:01:00Z",4,null,false,["89411ca1b6fffff"],"2026-11-22",1.50,"-9007199254740993",{"a":1,"b":"x\"y"},"1 hours 30 mins",1.25,""],"#,
            r#"["89411ca1b67ffff","water","1970-01-01T00:01:00.500Z","1152921504606846976",null,false,["89411ca1b67ffff"],"2026-11-22",1.50,"-9007199254740993",{"a":1,"b":"x\"y"},"1 hours 30 mins",1.25,""]"#,
            r#"],"truncated":false}"#
        )
    );
}

#[tokio::test]
async fn ndjson_is_one_object_a_row() {
    assert_eq!(
        text(
            "SELECT layer, cell, sum FROM cells ORDER BY count LIMIT 2",
            AnswerFormat::NdJson
        )
        .await,
        "{\"layer\":\"noise\",\"cell\":\"89411ca1b67ffff\",\"sum\":1.5}\n{\"layer\":\"noise\",\"cell\":\"89411ca1b6fffff\",\"sum\":null}\n"
    );
}

#[tokio::test]
async fn csv_quotes_what_needs_it_and_tells_null_from_empty() {
    assert_eq!(
        text("SELECT cell, count, sum, 'a,\"b\"' AS \"x,y\", '' AS empty, NULL AS nothing FROM cells ORDER BY count", AnswerFormat::Csv).await,
        "cell,count,sum,\"x,y\",empty,nothing\n\
         89411ca1b67ffff,3,1.5,\"a,\"\"b\"\"\",\"\",\n\
         89411ca1b6fffff,4,,\"a,\"\"b\"\"\",\"\",\n\
         89411ca1b67ffff,1152921504606846976,,\"a,\"\"b\"\"\",\"\",\n"
    );
}

#[tokio::test]
async fn arrow_keeps_types_and_marks() {
    let engine = engine();
    let bytes = ask(
        &engine,
        request("SELECT cell, layer, count FROM cells"),
        AnswerFormat::Arrow,
    )
    .await
    .expect("bytes");
    let reader = StreamReader::try_new(Cursor::new(bytes), None).expect("a stream");
    assert!(is_cell(reader.schema().field(0)));
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 3);
}

#[tokio::test]
async fn an_empty_answer_is_whole_in_every_format() {
    let sql = "SELECT cell FROM cells WHERE count = 99";
    assert_eq!(
        text(sql, AnswerFormat::Json).await,
        r#"{"columns":[{"name":"cell","type":"h3_cell"}],"rows":[],"truncated":false}"#
    );
    assert_eq!(text(sql, AnswerFormat::NdJson).await, "");
    assert_eq!(text(sql, AnswerFormat::Csv).await, "cell\n");
}

#[tokio::test]
async fn pieces_stay_small_and_come_while_the_query_runs() {
    let engine = engine();
    let answer = start(
        &engine,
        request("SELECT value, repeat('x', 100) FROM range(10000000000)"),
    )
    .await
    .expect("it starts");
    let mut body = encode(answer, AnswerFormat::Json).await.expect("first rows").body;
    for _ in 0..50 {
        let piece = body.next().await.expect("more").expect("bytes");
        assert!(piece.len() < 80_000, "{}", piece.len());
    }
}

#[tokio::test]
async fn a_failure_before_the_first_row_is_an_error_not_a_body() {
    let engine = engine();
    let late = SqlRequest {
        timeout: Some(Duration::from_millis(100)),
        ..request("SELECT sum(a.value * b.value) FROM range(1000000) a, range(1000000) b")
    };
    let answer = start(&engine, late).await;
    let end = match answer {
        Ok(answer) => encode(answer, AnswerFormat::Json).await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert_eq!(
        end,
        Err(SqlError::TimedOut {
            milliseconds: 100,
            phase: QueryPhase::Running
        })
    );
}

#[tokio::test]
async fn in_csv_of_one_column_a_null_is_no_empty_line() {
    for (sql, expected) in [
        ("SELECT sum(count) AS n FROM cells WHERE count = 99", "n\n\"\"\n"),
        ("SELECT sum FROM cells ORDER BY count", "sum\n1.5\n\"\"\n\"\"\n"),
        ("SELECT NULL AS nothing", "nothing\n\"\"\n"),
        ("SELECT CAST('NaN' AS DOUBLE) AS x", "x\n\"\"\n"),
        ("SELECT CAST(NULL AS INT[]) AS x", "x\n\"\"\n"),
        ("SELECT '' AS x", "x\n\"\"\n"),
        ("SELECT NULL AS a, NULL AS b", "a,b\n,\n"),
    ] {
        assert_eq!(text(sql, AnswerFormat::Csv).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn columns_of_one_name_are_refused_where_one_would_be_lost() {
    let engine = engine();
    for (sql, format, words) in [
        (
            "SELECT x.a, y.a, x.b, y.b, 5 AS c FROM (VALUES (1, 3)) x(a, b), (VALUES (2, 4)) y(a, b)",
            AnswerFormat::NdJson,
            "named 'a' and 'b'",
        ),
        (
            "SELECT x.cell, y.cell FROM cells x, cells y",
            AnswerFormat::NdJson,
            "named 'cell'",
        ),
        (
            "SELECT * FROM cells x JOIN cells y ON x.cell = y.cell",
            AnswerFormat::NdJson,
            "'layer'",
        ),
        (
            "SELECT named_struct('a', 1, 'a', 2) AS pair",
            AnswerFormat::Json,
            "column pair",
        ),
        (
            "SELECT named_struct('a', 1, 'a', 2) AS pair",
            AnswerFormat::Csv,
            "column pair",
        ),
        (
            "SELECT [named_struct('a', 1, 'a', 2)] AS pairs",
            AnswerFormat::NdJson,
            "column pairs",
        ),
    ] {
        match ask(&engine, request(sql), format).await {
            Err(SqlError::BadRequest(text)) => assert!(text.contains(words), "{sql}: {text}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    // An array, a line and a batch have places for both.
    let twice = "SELECT x.a, y.a FROM (VALUES (1)) x(a), (VALUES (2)) y(a)";
    assert!(text(twice, AnswerFormat::Json).await.contains("[[1,2]]"));
    assert_eq!(text(twice, AnswerFormat::Csv).await, "a,a\n1,2\n");
    assert!(
        ask(
            &engine,
            request("SELECT named_struct('a', 1, 'a', 2)"),
            AnswerFormat::Arrow
        )
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn a_time_without_a_zone_has_none() {
    let sql = "SELECT to_local_time(bucket AT TIME ZONE 'Asia/Kolkata') AS local, bucket AT TIME ZONE 'Asia/Kolkata' AS zoned, \
        [arrow_cast(bucket, 'Timestamp(Second, None)')] AS list, named_struct('t', arrow_cast(bucket, 'Timestamp(Nanosecond, None)'), 'u', bucket) AS pair, \
        arrow_cast(DATE '2026-11-22', 'Date64') AS day, CAST('08:15:30' AS TIME) AS clock FROM cells ORDER BY count LIMIT 1";
    assert_eq!(
        text(sql, AnswerFormat::Json).await,
        concat!(
            r#"{"columns":[{"name":"local","type":"timestamp without time zone"},{"name":"zoned","type":"timestamp"},"#,
            r#"{"name":"list","type":"list<timestamp without time zone>"},{"name":"pair","type":"struct"},"#,
            r#"{"name":"day","type":"date"},{"name":"clock","type":"time"}],"rows":["#,
            r#"["1970-01-01T05:30:00","1970-01-01T00:00:00Z",["1970-01-01T00:00:00"],"#,
            r#"{"t":"1970-01-01T00:00:00","u":"1970-01-01T00:00:00Z"},"2026-11-22","08:15:30"]],"truncated":false}"#
        )
    );
    assert_eq!(
        text(
            "SELECT to_local_time(bucket AT TIME ZONE 'Asia/Kolkata') AS local FROM cells ORDER BY count DESC LIMIT 1",
            AnswerFormat::Csv
        )
        .await,
        "local\n1970-01-01T05:31:00.500\n"
    );
}
