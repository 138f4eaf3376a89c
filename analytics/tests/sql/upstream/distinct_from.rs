//! `a IS DISTINCT FROM b AND c`: what the parser takes for the right side.

use super::{guarded, right};

#[tokio::test]
async fn what_follows_is_distinct_from_belongs_to_the_chain() {
    guarded(
        "SELECT false IS NOT DISTINCT FROM true AND false AS r",
        &["false"],
    )
    .await;
    guarded(
        "SELECT b FROM (VALUES (true), (false), (NULL)) t(b) WHERE b IS DISTINCT FROM true AND b IS NOT NULL",
        &["false"],
    )
    .await;
    right(&[
        ("SELECT count(*) AS n FROM cells WHERE layer IS DISTINCT FROM 'noise' AND count > 3", &["1"]),
        ("SELECT count(*) AS n FROM cells WHERE count < 4 AND layer IS NOT DISTINCT FROM 'water' OR count = 4", &["1"]),
        ("SELECT count(*) AS n FROM cells WHERE NOT layer IS DISTINCT FROM 'noise' AND count = 4", &["1"]),
        ("SELECT count(*) AS n FROM cells WHERE layer IS DISTINCT FROM 'x' AND sum IS DISTINCT FROM NULL OR false", &["2"]),
    ])
    .await;
    let mut queries = Vec::new();
    for x in ["true", "false", "NULL"] {
        for y in ["true", "false", "NULL"] {
            for z in ["true", "false", "NULL"] {
                let same = |written: &str, meant: &str| {
                    format!(
                        "SELECT ({written}) IS NOT DISTINCT FROM ({meant}) AS r FROM (VALUES ({x}, {y}, {z}, true), (false, true, true, false)) t(x, y, z, w)"
                    )
                };
                for (written, meant) in [
                    ("x IS DISTINCT FROM y AND z", "(x IS DISTINCT FROM y) AND z"),
                    (
                        "z OR x IS DISTINCT FROM y OR w",
                        "z OR (x IS DISTINCT FROM y) OR w",
                    ),
                    (
                        "z AND x IS NOT DISTINCT FROM y OR w",
                        "(z AND (x IS NOT DISTINCT FROM y)) OR w",
                    ),
                    (
                        "NOT x IS DISTINCT FROM y AND z",
                        "(NOT (x IS DISTINCT FROM y)) AND z",
                    ),
                    (
                        "x IS DISTINCT FROM y AND z IS DISTINCT FROM w OR x AND y",
                        "((x IS DISTINCT FROM y) AND (z IS DISTINCT FROM w)) OR (x AND y)",
                    ),
                ] {
                    queries.push(same(written, meant));
                }
            }
        }
    }
    let all_same: &[&str] = &["true", "true"];
    let queries: Vec<_> = queries.iter().map(|sql| (sql.as_str(), all_same)).collect();
    right(&queries).await;
}
