//! Random small queries against DuckDB: three-valued logic, joins, subqueries, groups, windows, set operations over the same
//! few rows with NULLs.
//!
//! `RISKGRID_LOGIC_SEED` and `RISKGRID_LOGIC_QUERIES` set which and how many (`just logic`). With `RISKGRID_LOGIC_SQL` naming a file,
//! its queries, one a line, are compared instead.

mod answers;
mod duckdb;
mod expressions;
mod known;
mod queries;
mod random;
mod rows;

use std::path::Path;

use riskgrid_analytics::sql::{SqlError, SqlRequest};

use self::answers::{Answer, ours};
use self::duckdb::DuckDb;
use self::queries::Queries;
use self::random::Random;
use crate::skipped;
use crate::tables::{engine, request};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}"))
    })
}

/// The text of one side: where there are two, `⟦ours¦theirs⟧`.
fn side(sql: &str, theirs: bool) -> String {
    let mut text = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('⟦') {
        let (both, after) = after.split_once('⟧').expect("an end");
        let (ours, other) = both.split_once('¦').expect("two ways");
        text.push_str(before);
        text.push_str(if theirs { other } else { ours });
        rest = after;
    }
    text.push_str(rest);
    text
}

fn queries() -> Vec<String> {
    if let Some(path) = std::env::var_os("RISKGRID_LOGIC_SQL") {
        let text = std::fs::read_to_string(path).expect("the file of queries");
        return text
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
    }
    let seed = number("RISKGRID_LOGIC_SEED", 17);
    (0..number("RISKGRID_LOGIC_QUERIES", 400))
        .map(|index| Queries::new(&mut Random::new(seed.wrapping_mul(1_000_003).wrapping_add(index))).query())
        .collect()
}

#[tokio::test]
async fn random_queries_answer_as_in_duckdb() {
    let python = std::env::var("RISKGRID_PYTHON").unwrap_or_default();
    if !Path::new(&python).is_file() {
        skipped::say("RISKGRID_PYTHON names no Python with duckdb: random queries are not compared");
        return;
    }
    let engine = engine();
    let mut duckdb = DuckDb::start(&python);
    for statement in rows::statements() {
        duckdb
            .ask(&statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let (mut agreed, mut refused, mut differ) = (0_usize, 0_usize, Vec::new());
    for query in queries() {
        let asked = SqlRequest {
            ..request(&side(&query, false))
        };
        let here = ours(&engine, asked, rows::tables()).await;
        let there = duckdb.ask(&side(&query, true));
        match (here, there) {
            (Ok(here), Ok(there)) if here.is_like(&there) => agreed += 1,
            // Both refuse, each in its words: most often a number that does not fit.
            (Err(SqlError::BadRequest(_)), Err(_)) => agreed += 1,
            (Err(SqlError::BadRequest(text)), Ok(_)) if known::refusal(&text).is_some() => refused += 1,
            (here, there) => {
                if known::difference(&query).is_none() {
                    differ.push(told(&query, &here, &there));
                }
            }
        }
    }
    println!(
        "{agreed} agree, {refused} are refused here, {} differ",
        differ.len()
    );
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
    assert!(
        refused <= agreed,
        "{refused} are refused and {agreed} agree: nothing is compared"
    );
}

fn told(query: &str, here: &Result<Answer, SqlError>, there: &Result<Answer, String>) -> String {
    let here = match here {
        Ok(answer) => answer.told(),
        Err(error) => format!("{error:?}"),
    };
    let there = match there {
        Ok(answer) => answer.told(),
        Err(error) => error.clone(),
    };
    format!("{query}\n  here  {here}\n  there {there}")
}
