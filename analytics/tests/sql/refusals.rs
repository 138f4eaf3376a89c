//! What the engine does not do, said in a way that helps.

use std::fmt::Write as _;

use riskgrid_analytics::sql::SqlError;

use crate::tables::{csv, engine};

#[tokio::test]
async fn mistakes_are_answered_with_their_place_and_a_way_out() {
    let engine = engine();
    for (sql, words) in [
        ("SELECT * FROM nowhere", vec!["nowhere", "line 1, column 15"]),
        ("SELECT kount FROM cells", vec!["kount"]),
        ("SELECT (1\n FROM cells", vec!["parsed", "Line: 2"]),
        (
            "SELECT h3_paren(cell, 5) FROM cells",
            vec!["h3_paren", "h3_parent"],
        ),
        ("SELECT 1 / 0", vec!["ivide by zero"]),
        ("SELECT CAST('x' AS INT)", vec!["x"]),
        (
            "SELECT * FROM nothing(1)",
            vec!["no table function nothing", "generate_series"],
        ),
        (
            "SELECT h3_parent(cell) FROM cells",
            vec!["h3_parent(cell, res) takes 2 arguments"],
        ),
        (
            "SELECT h3_cell('a', 1.0, 2)",
            vec!["h3_cell(lon, lat, res)", "a number"],
        ),
        (
            "SELECT * FROM cells WHERE cell = 'noise'",
            vec!["'noise' is not an H3 cell"],
        ),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            vec!["CREATE EXTERNAL TABLE is refused"],
        ),
        ("COPY cells TO 'x.csv'", vec!["COPY is refused"]),
        (
            "INSERT INTO cells SELECT * FROM cells",
            vec!["INSERT INTO", "refused"],
        ),
        ("SET datafusion.execution.batch_size = 1", vec!["SET is refused"]),
        (
            "SELECT * FROM information_schema.df_settings",
            vec!["df_settings"],
        ),
        ("SELECT * FROM '/etc/passwd'", vec!["files and URLs"]),
    ] {
        match csv(&engine, sql).await {
            Err(SqlError::BadRequest(text)) => {
                for word in words {
                    assert!(text.contains(word), "{sql}: {text}");
                }
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn deep_and_long_statements_do_not_take_the_process_down() {
    let engine = engine();
    for sql in [
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT 1{}", "+1".repeat(100_000)),
        format!("SELECT {}1", "-".repeat(100_000)),
        format!("SELECT {}true", "NOT ".repeat(50_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(10_000)),
        format!("SELECT {}1{}", "abs(".repeat(20_000), ")".repeat(20_000)),
        format!(
            "SELECT * FROM {}SELECT 1{}",
            "(".repeat(10_000),
            ")".repeat(10_000)
        ),
        format!(
            "SELECT * FROM cells WHERE cell = 1{}",
            " OR count = 1".repeat(15_000)
        ),
        "x".repeat(1 << 20),
    ] {
        let error = csv(&engine, &sql).await.expect_err("refused");
        assert!(
            matches!(error, SqlError::BadRequest(_)),
            "{}: {error:?}",
            &sql[..40]
        );
    }
    let deepest = format!("SELECT 1{}", "+1".repeat(350));
    assert!(
        csv(&engine, &deepest)
            .await
            .expect("still allowed")
            .ends_with("\n351\n")
    );
    let wide = format!(
        "SELECT count(*) AS n FROM cells WHERE count IN (3{})",
        ",4".repeat(20_000)
    );
    assert_eq!(csv(&engine, &wide).await.as_deref(), Ok("n\n2\n"));
}

#[tokio::test]
async fn short_statements_that_would_take_hours_to_plan_are_refused() {
    let engine = engine();
    let mut doubled = "SELECT 1 AS x".to_owned();
    for _ in 0..40 {
        doubled = format!("SELECT x + x AS x FROM ({doubled}) WHERE x > 0");
    }
    let mut laughs = "WITH t0 AS (SELECT 1 AS x)".to_owned();
    for number in 1..40 {
        let before = number - 1;
        let _ = write!(
            laughs,
            ", t{number} AS (SELECT a.x FROM t{before} a, T{before} b)"
        );
    }
    laughs.push_str(" SELECT * FROM t39");
    for (sql, words) in [
        (doubled, "parts once it is written out"),
        (laughs, "more than 1000 tables"),
    ] {
        match csv(&engine, &sql).await {
            Err(SqlError::BadRequest(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    let fair = "WITH a AS (SELECT count AS x FROM cells), b AS (SELECT * FROM a UNION ALL SELECT * FROM a) \
                SELECT count(*) AS n FROM (SELECT x + x AS y FROM b) WHERE y > 0 AND y < 9";
    assert_eq!(csv(&engine, fair).await.as_deref(), Ok("n\n4\n"));
}
