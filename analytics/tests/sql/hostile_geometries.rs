//! Every function of geometries with every kind of bad value in every place: an answer, NULL or a clear error.

use std::collections::BTreeMap;

use riskgrid_analytics::sql::{SqlEngine, SqlError};

use crate::tables::{csv, engine};

const GEOMETRIES: [&str; 11] = [
    "NULL",
    "'POINT EMPTY'",
    "'POLYGON EMPTY'",
    "'GEOMETRYCOLLECTION(POINT EMPTY)'",
    "'nonsense'",
    "X'0101000000'",
    "'POINT(1 2)'",
    "'POINT(1e300 -1e300)'",
    "'LINESTRING(0 0,0 0)'",
    "'POLYGON((0 0,0 0,0 0,0 0))'",
    "'POLYGON((0 0,2 2,2 0,0 2,0 0))'",
];
const NUMBERS: [&str; 4] = ["NULL", "-1.5", "1e308", "'NaN'::double"];
const WHOLES: [&str; 2] = ["NULL", "4326"];
const TEXTS: [&str; 4] = ["NULL", "''", "'nonsense'", "'ws10'"];

/// Name, and the values that each argument is tried with.
fn functions() -> BTreeMap<String, Vec<&'static [&'static str]>> {
    riskgrid_analytics::functions::all(&std::sync::Arc::default())
        .into_iter()
        .filter(|function| !function.name().starts_with("h3_"))
        .map(|function| {
            let arguments = function
                .documentation()
                .and_then(|documentation| documentation.arguments.clone())
                .unwrap_or_default();
            let values = arguments.into_iter().map(|(_, kind)| match kind.as_str() {
                "a number" => NUMBERS.as_slice(),
                "an integer" => WHOLES.as_slice(),
                "a text" => TEXTS.as_slice(),
                _ => GEOMETRIES.as_slice(),
            });
            (function.name().to_owned(), values.collect())
        })
        .collect()
}

/// All ways to take one value of each list.
fn combinations(values: &[&'static [&'static str]]) -> Vec<Vec<&'static str>> {
    values.iter().fold(vec![vec![]], |made, next| {
        let with = |taken: &Vec<&'static str>| {
            let taken = taken.clone();
            next.iter()
                .map(move |value| [taken.as_slice(), &[*value]].concat())
        };
        made.iter().flat_map(with).collect()
    })
}

/// What a call answers: the text of its one value, empty for NULL.
async fn answer(engine: &SqlEngine, sql: &str) -> Result<String, SqlError> {
    let text = csv(engine, sql).await?;
    // In CSV of one column NULL is `""`.
    Ok(text
        .lines()
        .nth(1)
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned())
}

#[tokio::test]
async fn no_value_hurts_a_function_of_geometries() {
    let engine = engine();
    let functions = functions();
    assert!(functions.len() > 60, "{}", functions.len());
    let mut wrong = Vec::new();
    for (name, values) in functions {
        for arguments in combinations(&values) {
            let null = arguments.contains(&"NULL");
            let call = format!("SELECT {name}({}) AS answer", arguments.join(", "));
            match answer(&engine, &call).await {
                Ok(text) if !null || text.is_empty() => {}
                Err(SqlError::BadRequest(text) | SqlError::ResourcesExhausted(text))
                    if text.contains(&name) => {}
                answer => wrong.push(format!("{call}: {answer:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// The same values in columns: a bad row is NULL and does not end the query.
#[tokio::test]
async fn a_bad_row_is_null_and_the_others_are_answered() {
    let engine = engine();
    let mut wrong = Vec::new();
    for (name, values) in functions() {
        if name == "st_knn" {
            continue;
        }
        // Bytes and texts cannot share a column.
        let combinations: Vec<_> = combinations(&values)
            .into_iter()
            .filter(|arguments| arguments.iter().all(|value| !value.starts_with('X')))
            .collect();
        let columns: Vec<String> = (0..values.len()).map(|index| format!("c{index}")).collect();
        let rows: Vec<String> = combinations
            .iter()
            .map(|arguments| {
                let cast = arguments
                    .iter()
                    .zip(&values)
                    .map(|(value, values)| match *values {
                        values if values == NUMBERS => format!("CAST({value} AS DOUBLE)"),
                        values if values == WHOLES => format!("CAST({value} AS BIGINT)"),
                        _ => format!("CAST({value} AS TEXT)"),
                    });
                format!("({})", cast.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let columns = columns.join(", ");
        let sql = format!(
            "SELECT count(*) AS n FROM (SELECT {name}({columns}) AS answer FROM (VALUES {}) t({columns})) \
             WHERE answer IS NULL OR answer IS NOT NULL",
            rows.join(", ")
        );
        let counted = answer(&engine, &sql).await;
        if counted != Ok(rows.len().to_string()) {
            wrong.push(format!("{name}: {counted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
