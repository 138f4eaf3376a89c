//! Numbers that outgrow their type: reports 3520, 12140, 16406 and 21318.

use super::{refused, right};

const MOST: &str = "9223372036854775807";
const LEAST: &str = "CAST('-9223372036854775808' AS BIGINT)";

fn of(expression: &str, rows: &str) -> String {
    format!("SELECT {expression} AS r FROM (VALUES {rows}) t(x)")
}

#[tokio::test]
async fn integers_do_not_wrap() {
    let kinds = [
        ("TINYINT", "127", "-128"),
        ("SMALLINT", "32767", "-32768"),
        ("INT", "2147483647", "-2147483648"),
        ("BIGINT", MOST, "-9223372036854775808"),
        ("TINYINT UNSIGNED", "255", "0"),
        ("SMALLINT UNSIGNED", "65535", "0"),
        ("INT UNSIGNED", "4294967295", "0"),
        ("BIGINT UNSIGNED", "18446744073709551615", "0"),
    ];
    for (kind, most, least) in kinds {
        let (most, least) = (
            format!("(CAST('{most}' AS {kind}))"),
            format!("(CAST('{least}' AS {kind}))"),
        );
        let (one, two) = (format!("CAST(1 AS {kind})"), format!("CAST(2 AS {kind})"));
        refused(&[
            (&of(&format!("x + {one}"), &most), "does not fit"),
            (&of(&format!("x - {one}"), &least), "does not fit"),
            (&of(&format!("x * {two}"), &most), "does not fit"),
            (&of(&format!("{one} + x"), &most), "does not fit"),
            (&format!("SELECT {most} + {one} AS r"), "does not fit"),
            (&of("x + x", &format!("{least}, {most}")), "does not fit"),
            (
                &format!("SELECT 1 AS r FROM (VALUES {most}) t(x) WHERE x + {one} > {one}"),
                "does not fit",
            ),
            (
                &format!("SELECT count(*) AS r FROM (VALUES {most}) t(x) GROUP BY x * {two}"),
                "does not fit",
            ),
            (
                &format!("SELECT sum(x * {two}) AS r FROM (VALUES {most}) t(x)"),
                "does not fit",
            ),
        ])
        .await;
        right(&[
            (&of(&format!("x - {one} + {one} = x"), &most), &["true"]),
            (&of(&format!("x * {one} = x"), &least), &["true"]),
        ])
        .await;
    }
    assert_eq!(
        super::as_it_comes(&of("x + 1", &format!("({MOST})"))).await,
        super::as_it_comes(&format!("SELECT {LEAST} AS r")).await,
        "DataFusion no longer wraps, the guard may go"
    );
    refused(&[
        (&format!("SELECT -x AS r FROM (VALUES ({LEAST}), (1)) t(x)"), "does not fit"),
        (&format!("SELECT -(x - 0) AS r FROM (VALUES ({LEAST}), (1)) t(x)"), "does not fit"),
        (&format!("SELECT x / -1 AS r FROM (VALUES ({LEAST}), (1)) t(x)"), ""),
        (&format!("SELECT abs(x) AS r FROM (VALUES ({LEAST}), (1)) t(x)"), ""),
        (&format!("SELECT gcd(x, 0) AS r FROM (VALUES ({LEAST}), (1)) t(x)"), ""),
        (&format!("SELECT lcm(x, x - 1) AS r FROM (VALUES ({MOST}), (1)) t(x)"), ""),
        ("SELECT factorial(x) AS r FROM (VALUES (21), (1)) t(x)", ""),
        ("SELECT count(*) * 4611686018427387904 AS r FROM cells WHERE count < 5", "does not fit"),
        ("SELECT a.n - b.n AS r FROM (SELECT count AS n FROM cells WHERE count = 3) a, (SELECT count AS n FROM cells WHERE count = 4) b", "BIGINT"),
        ("SELECT count * count AS r FROM cells WHERE layer = 'water'", "does not fit"),
        ("SELECT sum(x) OVER (ORDER BY x) + 9223372036854775807 AS r FROM (VALUES (1)) t(x)", "does not fit"),
    ])
    .await;
    right(&[
        ("SELECT CAST(a.n AS BIGINT) - CAST(b.n AS BIGINT) AS r FROM (SELECT count AS n FROM cells WHERE count = 3) a, (SELECT count AS n FROM cells WHERE count = 4) b", &["-1"]),
        ("SELECT count - 5 AS r FROM cells WHERE count = 3", &["-2"]),
        (&format!("SELECT x % -1 AS r FROM (VALUES ({LEAST})) t(x)"), &["0"]),
        ("SELECT power(10, 30) AS r", &["1e+30"]),
        ("SELECT 1.5 + 2 AS r, 2 * 3 - 4 AS s, -(2 - 5) AS u", &["3.5,2,3"]),
        ("SELECT x + 1 AS r FROM (VALUES (NULL), (2)) t(x)", &["", "3"]),
    ])
    .await;
}

#[tokio::test]
async fn names_of_computed_columns_stay() {
    let engine = crate::tables::engine();
    for (sql, header) in [
        (
            "SELECT n + 1, -n FROM points WHERE n = 8",
            "points.n + Int64(1),(- points.n)",
        ),
        (
            "SELECT sum(count + 1) FROM cells WHERE count = 3",
            "sum(cells.count + Int64(1))",
        ),
        ("SELECT n * 2 FROM (SELECT 1 + 2 AS n)", "n * Int64(2)"),
    ] {
        let text = crate::tables::csv(&engine, sql).await.expect("an answer");
        let first = text.lines().next().unwrap_or_default().replace('"', "");
        assert_eq!(first, header.replace('"', ""), "{sql}");
    }
}

#[tokio::test]
async fn sums_do_not_wrap() {
    let rows = format!("({MOST}), (1)");
    for sum in [
        "sum(x)",
        "sum(DISTINCT x)",
        "sum(x) OVER ()",
        "sum(x) OVER (ORDER BY x)",
        "sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "sum(DISTINCT x) OVER ()",
        "sum(x) FILTER (WHERE x > 0)",
    ] {
        refused(&[(&of(sum, &rows), "a sum does not fit")]).await;
    }
    assert!(
        super::as_it_comes(&of("sum(x)", &rows)).await.is_some(),
        "DataFusion refuses, the guard may go"
    );
    refused(&[
        (&format!("SELECT g, sum(x) AS r FROM (VALUES (1, {MOST}), (1, 1), (2, 5)) t(g, x) GROUP BY g"), "a sum does not fit"),
        (&format!("SELECT g, sum(DISTINCT x) AS r, count(DISTINCT g) AS c FROM (VALUES (1, {MOST}), (1, 1), (2, 5)) t(g, x) GROUP BY g"), "a sum does not fit"),
        (&format!("SELECT sum(x) AS r FROM (VALUES ({LEAST}), (-1)) t(x)"), "a sum does not fit"),
        ("SELECT sum(x) AS r FROM (VALUES (CAST('18446744073709551615' AS BIGINT UNSIGNED)), (CAST(1 AS BIGINT UNSIGNED))) t(x)", "a sum does not fit"),
        ("SELECT g, sum(x) AS r FROM (VALUES (1, CAST('18446744073709551615' AS BIGINT UNSIGNED)), (1, CAST(1 AS BIGINT UNSIGNED))) t(g, x) GROUP BY g", "a sum does not fit"),
        ("SELECT sum(count * CAST(8 AS BIGINT UNSIGNED)) AS r FROM (SELECT count FROM cells UNION ALL SELECT count FROM cells)", "a sum does not fit"),
    ])
    .await;
}

#[tokio::test]
async fn a_sum_that_fits_at_its_end_is_right_whatever_it_was_between() {
    right(&[
        (&of("sum(x)", &format!("({MOST}), ({MOST}), (-{MOST}), (1), (-1)")), &[MOST]),
        (
            &format!("SELECT g, sum(x) AS r FROM (VALUES (1, {MOST}), (1, {MOST}), (1, -{MOST}), (2, NULL), (3, 4)) t(g, x) GROUP BY g"),
            &["1,9223372036854775807", "2,", "3,4"],
        ),
        (
            &format!("SELECT k, sum(x) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS r FROM (VALUES (1, {MOST}), (2, -{MOST}), (3, {MOST})) t(k, x)"),
            &["1,9223372036854775807", "2,0", "3,0"],
        ),
        (&of("sum(DISTINCT x)", "(2), (2), (3), (NULL)"), &["5"]),
        (
            "SELECT k, sum(DISTINCT x) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS r FROM (VALUES (1, 5), (2, 5), (3, 6)) t(k, x)",
            &["1,5", "2,5", "3,11"],
        ),
        ("SELECT sum(DISTINCT x) AS a, count(DISTINCT y) AS b FROM (VALUES (2, 1), (2, 2), (3, 2)) t(x, y)", &["5,2"]),
        ("SELECT g, sum(DISTINCT x) AS a, count(DISTINCT y) AS b FROM (VALUES (0, 2, 1), (0, 2, 2), (1, 3, 2)) t(g, x, y) GROUP BY g", &["0,2,2", "1,3,1"]),
        ("SELECT sum(x) AS r FROM (VALUES (1)) t(x) WHERE x > 1", &[""]),
        ("SELECT sum(count) AS r FROM cells", &["1152921504606846983"]),
        ("SELECT layer, sum(count) AS r FROM cells GROUP BY layer", &["noise,7", "water,1152921504606846976"]),
        ("SELECT layer, sum(count) FILTER (WHERE count > 3) AS r FROM cells GROUP BY layer", &["noise,4", "water,1152921504606846976"]),
        ("SELECT sum(sum) AS r FROM cells WHERE layer = 'noise'", &["1.5"]),
        ("SELECT sum(CAST(x AS TINYINT)) AS r FROM (VALUES (100), (100)) t(x)", &["200"]),
        ("SELECT sum(value) AS r FROM range(100000)", &["4999950000"]),
        ("SELECT value % 3 AS g, sum(value) AS r FROM range(100000) GROUP BY value % 3", &["0,1666683333", "1,1666616667", "2,1666650000"]),
        ("SELECT CAST(sum(i) AS VARCHAR) AS r FROM (VALUES (INTERVAL '1 day'), (INTERVAL '2 day')) t(i)", &["3days"]),
        ("SELECT CAST(sum(b - a) AS VARCHAR) = CAST(max(b - a) AS VARCHAR) AS r FROM (VALUES (TIMESTAMP '2026-01-01T00:00:00', TIMESTAMP '2026-01-02T00:00:00')) t(a, b)", &["true"]),
        ("SELECT sum(CAST(x AS DECIMAL(5, 2))) AS r FROM (VALUES (1.25), (-0.5), (NULL)) t(x)", &["0.75"]),
        ("SELECT g, sum(CAST(x AS DECIMAL(5, 2))) AS r FROM (VALUES (1, 1.25), (1, -0.5), (2, NULL)) t(g, x) GROUP BY g", &["1,0.75", "2,"]),
    ])
    .await;
    right(&[(
        &of("sum(CAST(x AS DECIMAL(38, 0)))", "('60000000000000000000000000000000000000'), ('60000000000000000000000000000000000000'), ('60000000000000000000000000000000000000'), ('-90000000000000000000000000000000000000')"),
        &["90000000000000000000000000000000000000"],
    )])
    .await;
}

#[tokio::test]
async fn decimals_do_not_wrap_and_hold_no_more_digits_than_their_type_says() {
    const NINES: &str = "99999999999999999999999999999999999999";
    let rows = format!("(CAST('{NINES}' AS DECIMAL(38, 0))), (CAST('{NINES}' AS DECIMAL(38, 0)))");
    refused(&[
        (&of("sum(x)", &rows), "a sum does not fit"),
        (
            &format!("SELECT g, sum(x) AS r FROM (SELECT 1 AS g, x FROM (VALUES {rows}) t(x)) GROUP BY g"),
            "a sum does not fit",
        ),
        (&of("avg(x)", &rows), ""),
        (&of("x + x", &rows), "does not fit"),
        (&of("x + 1", &rows), "more digits"),
        (&of("x * 3", &rows), "does not fit"),
        (&of("-x - 1", &rows), "more digits"),
        (
            "SELECT x * x AS r FROM (VALUES (CAST('9999999999999999999999.9999' AS DECIMAL(38, 4)))) t(x)",
            "does not fit",
        ),
        (
            "SELECT x * x AS r FROM (VALUES (CAST('12345678901234567890' AS DECIMAL(38, 0)))) t(x)",
            "more digits",
        ),
    ])
    .await;
    assert!(
        super::as_it_comes(&of("sum(x)", &rows)).await.is_some(),
        "DataFusion refuses, the guard may go"
    );
    right(&[
        (&of("x - x", &rows), &["0", "0"]),
        (
            "SELECT CAST(99999 AS DECIMAL(5, 0)) * CAST(99999 AS DECIMAL(5, 0)) AS r",
            &["9999800001"],
        ),
        (
            "SELECT CAST(1.25 AS DECIMAL(5, 2)) + CAST(1 AS DECIMAL(3, 0)) AS r",
            &["2.25"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn casts_and_times_that_do_not_fit_are_refused() {
    refused(&[
        (&of("CAST(x AS INT)", &format!("({MOST}), (1)")), ""),
        (&of("CAST(x AS SMALLINT)", "(40000), (1)"), ""),
        (&of("CAST(x AS BIGINT UNSIGNED)", "(-1), (1)"), ""),
        (&of("CAST(x AS BIGINT)", "(1e30), (1.0)"), ""),
        (&of("CAST(x AS BIGINT)", "(CAST('NaN' AS DOUBLE))"), ""),
        (&of("CAST(x AS DECIMAL(5, 2))", "(12345.678), (1.0)"), ""),
        (
            &of("x + INTERVAL '300 years'", "(TIMESTAMP '2026-04-11T00:00:00')"),
            "",
        ),
        (
            &of("x + INTERVAL '1 day'", "(TIMESTAMP '2262-04-11T00:00:00')"),
            "",
        ),
        (
            &of(
                "x - TIMESTAMP '1678-01-01T00:00:00'",
                "(TIMESTAMP '2262-04-11T00:00:00')",
            ),
            "",
        ),
        (&of("x + INTERVAL '100000000 years'", "(DATE '2026-04-11')"), ""),
        (&of("x + x", "(INTERVAL '2000000000 months')"), ""),
        (&of("CAST(x AS TIMESTAMP)", "(DATE '9999-01-01')"), ""),
        (&of("to_timestamp(x)", &format!("({MOST})")), ""),
    ])
    .await;
}

#[tokio::test]
async fn averages_of_durations_and_sums_of_intervals_do_not_wrap() {
    let spans = "(TIMESTAMP '1700-01-01T00:00:00', TIMESTAMP '1900-01-02T00:00:00'), \
        (TIMESTAMP '1700-01-01T00:00:00', TIMESTAMP '1900-01-02T00:00:00'), (NULL, NULL)";
    super::guarded(
        &format!("SELECT avg(b - a) = max(b - a) AS r FROM (VALUES {spans}) t(a, b)"),
        &["true"],
    )
    .await;
    right(&[
        (
            &format!("SELECT g, avg(b - a) = min(b - a) AS r FROM (SELECT 1 AS g, a, b FROM (VALUES {spans}) t(a, b)) GROUP BY g"),
            &["1,true"],
        ),
        (
            &format!("SELECT avg(b - a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) = b - a AS r FROM (VALUES {spans}) t(a, b)"),
            &["", "true", "true"],
        ),
        ("SELECT avg(b - a) AS r FROM (VALUES (TIMESTAMP '2026-01-01T00:00:00', TIMESTAMP '2026-01-02T00:00:00')) t(a, b)", &["PT86400S"]),
        ("SELECT avg(b - a) AS r FROM (VALUES (TIMESTAMP '2026-01-01T00:00:00', TIMESTAMP '2026-01-02T00:00:00')) t(a, b) WHERE a > b", &[""]),
        ("SELECT g, CAST(sum(i) AS VARCHAR) AS r FROM (VALUES (1, INTERVAL '1 day'), (1, INTERVAL '2 hours'), (2, NULL)) t(g, i) GROUP BY g", &["1,1days2hours", "2,"]),
        ("SELECT avg(x) AS r, avg(CAST(x + 0 AS DECIMAL(4, 1))) AS s FROM (VALUES (1), (2)) t(x)", &["1.5,1.50000"]),
    ])
    .await;
    refused(&[
        ("SELECT sum(i) AS r FROM (VALUES (INTERVAL '2000000000 months'), (INTERVAL '2000000000 months')) t(i)", "a sum does not fit"),
        (&format!("SELECT sum(b - a) AS r FROM (VALUES {spans}) t(a, b)"), "a sum does not fit"),
    ])
    .await;
}
