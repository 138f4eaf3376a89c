//! Windows ordered by what has no distances, extremes of what has no order, frames past all rows.

use riskgrid_analytics::sql::SqlError;

use super::{guarded, refused, right};

#[tokio::test]
async fn a_window_may_be_ordered_by_an_interval_a_struct_or_a_map() {
    guarded(
        "SELECT row_number() OVER (ORDER BY i) AS r FROM (VALUES (INTERVAL '2 day'), (INTERVAL '1 day')) t(i)",
        &["1", "2"],
    )
    .await;
    right(&[
        (
            "SELECT k, sum(k) OVER (ORDER BY i) AS r FROM (VALUES (1, INTERVAL '2 day'), (2, INTERVAL '1 day'), (4, INTERVAL '2 day')) t(k, i)",
            &["1,7", "2,2", "4,7"],
        ),
        (
            "SELECT k, count(*) OVER (ORDER BY struct(i)) AS r FROM (VALUES (1, 2), (2, 1), (4, 2)) t(k, i)",
            &["1,3", "2,1", "4,3"],
        ),
        (
            "SELECT k, rank() OVER (ORDER BY MAP {'a': i}) AS r FROM (VALUES (1, 2), (2, 1), (4, 2)) t(k, i)",
            &["1,2", "2,1", "4,2"],
        ),
        (
            "SELECT k, last_value(k) OVER (ORDER BY i RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS r \
             FROM (VALUES (1, INTERVAL '2 day'), (2, INTERVAL '1 day')) t(k, i)",
            &["1,1", "2,1"],
        ),
    ])
    .await;
    refused(&[(
        "SELECT sum(1) OVER (ORDER BY i RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS r FROM (VALUES (INTERVAL '1 day')) t(i)",
        "extract(epoch FROM …)",
    )])
    .await;
}

#[tokio::test]
async fn the_largest_map_is_refused_and_the_largest_list_is_not() {
    refused(&[
        (
            "SELECT max(m) AS r FROM (VALUES (MAP {'a': 1})) t(m)",
            "takes no maps",
        ),
        (
            "SELECT min(m) OVER () AS r FROM (VALUES (MAP {'a': 1})) t(m)",
            "takes no maps",
        ),
    ])
    .await;
    right(&[
        (
            "SELECT CAST(min(m) AS VARCHAR) AS r FROM (VALUES ([1, 2]), ([0])) t(m)",
            &["[0]"],
        ),
        (
            "SELECT max(m['a']) AS r FROM (VALUES (MAP {'a': 1}), (MAP {'a': 7})) t(m)",
            &["7"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_frame_does_not_reach_past_what_can_be_counted() {
    refused(&[(
        "SELECT sum(x) OVER (ORDER BY x ROWS BETWEEN 18446744073709551615 PRECEDING AND 18446744073709551615 FOLLOWING) AS r FROM (VALUES (1), (2)) t(x)",
        "UNBOUNDED",
    )])
    .await;
    right(&[(
        "SELECT sum(x) OVER (ORDER BY x ROWS BETWEEN 9223372036854775807 PRECEDING AND 9223372036854775807 FOLLOWING) AS r FROM (VALUES (1), (2)) t(x)",
        &["3", "3"],
    )])
    .await;
}

#[tokio::test]
async fn extreme_numbers_of_characters_and_items_end_no_query_inside() {
    let least = "CAST('-9223372036854775808' AS BIGINT)";
    right(&[
        (
            &format!("SELECT rpad('x', {least}) || lpad('x', {least}) || '.' AS r"),
            &["."],
        ),
        (
            &format!("SELECT left('xyz', {least}) || right('xyz', {least}) || '.' AS r"),
            &["."],
        ),
        (
            "SELECT left('xyz', 9223372036854775807) || right('xyz', 9223372036854775807) AS r",
            &["xyzxyz"],
        ),
        ("SELECT substr('xyz', 2, 9223372036854775807) AS r", &["yz"]),
        (&format!("SELECT repeat('x', {least}) || '.' AS r"), &["."]),
        (
            &format!("SELECT split_part('a-b', '-', {least}) || '.' AS r"),
            &["."],
        ),
    ])
    .await;
    let engine = crate::tables::engine();
    let mut inside = Vec::new();
    for sql in [
        format!("SELECT rpad(s, n) FROM (VALUES ('x', {least}), ('x', -1), (NULL, 1)) t(s, n)"),
        format!("SELECT rpad(s, n, 'ab') FROM (VALUES ('x', {least}), ('x', 2)) t(s, n)"),
        format!("SELECT lpad(s, n, 'ab') FROM (VALUES ('x', {least}), ('x', 2)) t(s, n)"),
        format!("SELECT left(s, n), right(s, n) FROM (VALUES ('xyz', {least}), ('xyz', 9223372036854775807)) t(s, n)"),
        format!("SELECT substr(s, n) FROM (VALUES ('xyz', {least}), ('xyz', 9223372036854775807)) t(s, n)"),
        format!("SELECT substr(s, n, 1) FROM (VALUES ('xyz', {least})) t(s, n)"),
        "SELECT substr(s, n, n) FROM (VALUES ('xyz', 9223372036854775807)) t(s, n)".to_owned(),
        format!("SELECT repeat(s, n) FROM (VALUES ('xyz', {least})) t(s, n)"),
        format!("SELECT split_part(s, '-', n) FROM (VALUES ('a-b', {least})) t(s, n)"),
        format!("SELECT substr_index(s, '-', n) FROM (VALUES ('a-b', {least})) t(s, n)"),
        format!("SELECT overlay('abc' PLACING 'x' FROM {least} FOR 1)"),
        "SELECT overlay('abc' PLACING 'x' FROM 9223372036854775807 FOR 9223372036854775807)".to_owned(),
        "SELECT array_resize([1, 2], 3), array_resize([1, 2], NULL)".to_owned(),
        "SELECT array_resize([1, 2], -1)".to_owned(),
        format!("SELECT array_resize(a, n) FROM (VALUES ([1, 2], {least}), ([1], -1)) t(a, n)"),
        "SELECT array_resize(a, n) FROM (VALUES ([1, 2], 3), (NULL, 2), ([1], NULL)) t(a, n)".to_owned(),
        "SELECT array_resize(a, n, 7) FROM (VALUES ([1, 2], 3), ([1], 0)) t(a, n)".to_owned(),
        "SELECT array_resize([[1], [2]], 3)".to_owned(),
        "SELECT array_sum([1, 2, 3]), array_sum([1.5, NULL])".to_owned(),
        "SELECT array_sum([[1], [2]])".to_owned(),
        "SELECT array_sum(['a'])".to_owned(),
        "SELECT array_sum(NULL), array_sum([])".to_owned(),
        "SELECT array_sum(array_agg(x)) FROM (VALUES (1), (NULL)) t(x)".to_owned(),
        "SELECT array_sum([9223372036854775807, 9223372036854775807])".to_owned(),
        "SELECT array_max([[1], [2]]), array_min([[1], [2]])".to_owned(),
        "SELECT array_max(NULL), array_min([])".to_owned(),
        "SELECT array_max([struct(1), struct(2)])".to_owned(),
        "SELECT array_sort([struct(2), struct(1)])".to_owned(),
        "SELECT array_sort([MAP {'a': 1}])".to_owned(),
        "SELECT array_distance([1.0], [1.0, 2.0])".to_owned(),
        "SELECT array_distance([[1.0]], [[1.0]])".to_owned(),
        format!("SELECT array_slice([1, 2, 3], {least}, {least})"),
        format!("SELECT array_slice([1, 2, 3], 1, 3, {least})"),
        "SELECT array_slice([1, 2, 3], 9223372036854775807, 9223372036854775807)".to_owned(),
        format!("SELECT array_element([1, 2], {least}), [1, 2][9223372036854775807]"),
        format!("SELECT array_repeat(1, {least})"),
        format!("SELECT array_remove_n([1, 1], 1, {least}), array_replace_n([1, 1], 1, 2, {least})"),
        format!("SELECT array_position([1, 2], 1, {least})"),
        "SELECT array_position([1, 2], 1, 9223372036854775807)".to_owned(),
        "SELECT flatten([[[1]], NULL]), flatten([1])".to_owned(),
        "SELECT array_to_string([[1], [2]], ','), array_to_string([struct(1)], ',')".to_owned(),
        "SELECT array_except([[1]], [[1]]), array_intersect([[1]], [[1]]), array_union([[1]], [[1]])".to_owned(),
        "SELECT array_has([[1]], [1]), array_has_any([[1]], [[1]]), array_has_all([[1]], [[1]])".to_owned(),
        "SELECT array_distinct([[1], [1]]), array_distinct([struct(1)])".to_owned(),
        "SELECT array_ndims(1)".to_owned(),
        "SELECT cardinality([[1], [2]]), cardinality(MAP {'a': 1}), array_dims([[1], [2]])".to_owned(),
        format!("SELECT range({least}, 9223372036854775807, 9223372036854775807)"),
        format!("SELECT generate_series(1, {least}, {least})"),
        "SELECT range(1, 5, 0)".to_owned(),
        "SELECT nth_value(x, 9223372036854775807) OVER (ORDER BY x) FROM (VALUES (1)) t(x)".to_owned(),
        format!("SELECT nth_value(x, {least}) OVER (ORDER BY x) FROM (VALUES (1)) t(x)"),
        format!("SELECT nth_value(x, {least} ORDER BY x) FROM (VALUES (1)) t(x)"),
        format!("SELECT lead(x, {least}) OVER (ORDER BY x), lag(x, {least}) OVER (ORDER BY x) FROM (VALUES (1), (2)) t(x)"),
        format!("SELECT lead(x, {least}) IGNORE NULLS OVER (ORDER BY x) FROM (VALUES (1), (NULL)) t(x)"),
        "SELECT lead(x, 9223372036854775807) IGNORE NULLS OVER (ORDER BY x) FROM (VALUES (1), (NULL)) t(x)".to_owned(),
        "SELECT ntile(9223372036854775807) OVER (ORDER BY x) FROM (VALUES (1)) t(x)".to_owned(),
        "SELECT sum(x) OVER (ORDER BY x RANGE BETWEEN 9223372036854775807 PRECEDING AND 9223372036854775807 FOLLOWING) FROM (VALUES (1), (-9)) t(x)".to_owned(),
        "SELECT x FROM (VALUES (1)) t(x) LIMIT 9223372036854775807 OFFSET 9223372036854775807".to_owned(),
        "SELECT chr(-1)".to_owned(),
        "SELECT round(1.5, 2147483647), round(1.5, -2147483648), trunc(1.5, 2147483647), trunc(1.5, -2147483648)".to_owned(),
        "SELECT 1 << 9223372036854775807, 1 >> -1".to_owned(),
        format!("SELECT make_date({least}, 1, 1)"),
        format!("SELECT to_timestamp_seconds({least}), from_unixtime({least})"),
        format!("SELECT to_timestamp({least})"),
        format!("SELECT to_timestamp_millis({least})"),
        format!("SELECT CAST({least} AS TIMESTAMP)"),
        "SELECT date_trunc('year', TIMESTAMP '1677-09-21T00:12:44')".to_owned(),
        "SELECT date_bin(INTERVAL '1 day', TIMESTAMP '1677-09-21T00:12:44')".to_owned(),
        "SELECT date_bin(INTERVAL '0 day', TIMESTAMP '2026-09-21T00:12:44')".to_owned(),
        "SELECT date_bin(INTERVAL '100000000 months', TIMESTAMP '2026-09-21T00:12:44')".to_owned(),
        "SELECT DATE '2026-01-01' + INTERVAL '100000000 years', DATE '2026-01-01' + 2147483647".to_owned(),
        "SELECT CAST(2147483647 AS DATE)".to_owned(),
        "SELECT INTERVAL '2000000000 months' + INTERVAL '2000000000 months'".to_owned(),
        "SELECT -i FROM (VALUES (INTERVAL '-2147483648 months')) t(i)".to_owned(),
        "SELECT to_char(DATE '2026-01-01', '%Q'), to_char(now(), '%')".to_owned(),
        "SELECT to_hex(-1), bit_length('x')".to_owned(),
        "SELECT approx_percentile_cont(0.5, 0) WITHIN GROUP (ORDER BY x) FROM (VALUES (1)) t(x)".to_owned(),
        "SELECT approx_percentile_cont(0.5, -1) WITHIN GROUP (ORDER BY x) FROM (VALUES (1)) t(x)".to_owned(),
        "SELECT percentile_cont(2) WITHIN GROUP (ORDER BY x) FROM (VALUES (1)) t(x)".to_owned(),
        "SELECT sum(DISTINCT x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1.5), (2.5)) t(x)".to_owned(),
    ] {
        let answer = super::rows(&engine, &sql).await;
        if matches!(answer, Err(SqlError::Internal { .. })) {
            inside.push(format!("{sql}: {answer:?}"));
        }
    }
    assert!(inside.is_empty(), "{}", inside.join("\n"));
}

#[tokio::test]
async fn a_condition_that_is_never_null_may_be_grouped_by() {
    guarded(
        "SELECT DISTINCT (x > y) IS NOT FALSE AS r FROM (VALUES (1, 2), (NULL, 1), (2, 1)) t(x, y)",
        &["false", "true"],
    )
    .await;
    right(&[
        (
            "SELECT (x > y) IS FALSE AS g, count(*) AS n FROM (VALUES (1, 2), (NULL, 1), (2, 1)) t(x, y) GROUP BY (x > y) IS FALSE",
            &["false,2", "true,1"],
        ),
        (
            "SELECT (x > y) IS TRUE AS r FROM (VALUES (1, 2), (NULL, 1)) t(x, y) UNION SELECT x IS NOT DISTINCT FROM y FROM (VALUES (1, 1)) t(x, y)",
            &["false", "true"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_filter_of_an_aggregate_may_compute_and_list() {
    right(&[
        (
            "SELECT count(*) FILTER (WHERE x + 1 > 2) AS a, sum(x) FILTER (WHERE x IN (1, 2) AND x NOT IN (1, NULL)) AS b FROM (VALUES (1), (2), (NULL)) t(x)",
            &["1,"],
        ),
        (
            "SELECT g, count(*) FILTER (WHERE -x < -1) AS a FROM (VALUES (1, 1), (1, 2), (2, NULL)) t(g, x) GROUP BY g",
            &["1,1", "2,0"],
        ),
        (
            "SELECT x, sum(x + 1) FILTER (WHERE x * 2 > 2) OVER (ORDER BY x) AS a FROM (VALUES (1), (2)) t(x)",
            &["1,", "2,3"],
        ),
    ])
    .await;
}
