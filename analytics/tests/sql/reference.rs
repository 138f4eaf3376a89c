//! Functions against other software: values kept in `fixtures/reference/`, made by `geometry_reference.py` there.

use std::fs;
use std::path::Path;

use riskgrid_analytics::sql::format::AnswerFormat;
use serde_json::Value;

use crate::tables::{ask, engine, request};

/// The largest difference of two numbers that both sides compute, relative to the larger of 1 and the number.
const TOLERANCE: f64 = 1e-9;
/// The same of areas that were put together or cut: their corners lie on a grid.
const TOLERANCE_OF_OVERLAYS: f64 = 1e-8;
/// Expressions of one statement.
const AT_ONCE: usize = 100;

fn rows(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/reference")
        .join(file);
    let text = fs::read_to_string(path).expect("the values of the other software");
    let field = |text: &str| match text.strip_prefix('"') {
        Some(quoted) => quoted.trim_end_matches('"').replace("\"\"", "\""),
        None => text.to_owned(),
    };
    text.lines()
        .skip(1)
        .map(|line| {
            let (sql, value) = if line.starts_with('"') {
                let end = line.find("\",").expect("the end of a quoted expression");
                line.split_at(end + 1)
            } else {
                line.split_at(line.find(',').expect("two fields"))
            };
            (field(sql), field(value.trim_start_matches(',')))
        })
        .collect()
}

fn agrees(sql: &str, answer: &Value, expected: &str) -> bool {
    let overlay = [
        "st_intersection(",
        "st_union(",
        "st_difference(",
        "st_symdifference(",
    ];
    let tolerance = if overlay.iter().any(|name| sql.contains(name)) {
        TOLERANCE_OF_OVERLAYS
    } else {
        TOLERANCE
    };
    match answer {
        Value::Null => expected.is_empty(),
        Value::String(text) => text == expected,
        Value::Number(number) => match (number.as_f64(), expected.parse::<f64>()) {
            (Some(number), Ok(expected)) => (number - expected).abs() <= tolerance * expected.abs().max(1.0),
            _ => false,
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            serde_json::from_str::<Value>(expected).is_ok_and(|expected| *answer == expected)
        }
    }
}

async fn compare(file: &str, at_least: usize) {
    let engine = engine();
    let rows = rows(file);
    assert!(rows.len() >= at_least, "{}", rows.len());
    let mut wrong = Vec::new();
    for rows in rows.chunks(AT_ONCE) {
        let columns: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(index, (sql, _))| format!("{sql} AS c{index}"))
            .collect();
        let sql = format!("SELECT {}", columns.join(", "));
        let bytes = ask(&engine, request(&sql), AnswerFormat::Json)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        let answers = answer["rows"][0].as_array().expect("one row");
        for ((sql, expected), answer) in rows.iter().zip(answers) {
            if !agrees(sql, answer, expected) {
                wrong.push(format!("{sql} is {answer}, by the other software {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn st_functions_agree_with_shapely() {
    compare("st_functions.csv", 3_000).await;
}

#[tokio::test]
async fn h3_functions_agree_with_the_reference_library() {
    compare("h3_functions.csv", 2_000).await;
}
