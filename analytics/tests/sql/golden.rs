//! One file a function: statements and what they answer, in `golden/*.slt`.
//!
//! A block is `query` or `error`, the statement, a line `----`, and the expected CSV, or words of the message. Blocks
//! are parted by empty lines; lines that start with `#` are comments.

use std::fs;
use std::path::Path;

use riskgrid_analytics::sql::{SqlEngine, SqlError};

use crate::tables::{csv, engine};

#[tokio::test]
async fn golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/golden");
    let engine = engine();
    let mut wrong = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a text file");
        files += 1;
        for block in text.split("\n\n") {
            if let Err(why) = check(&engine, block).await {
                wrong.push(format!(
                    "{}: {why}",
                    path.file_name().unwrap_or_default().display()
                ));
            }
        }
    }
    assert!(files >= 10, "one file a function");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn check(engine: &SqlEngine, block: &str) -> Result<(), String> {
    let lines: Vec<&str> = block
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let Some((kind, rest)) = lines.split_first() else {
        return Ok(());
    };
    let Some(line) = rest.iter().position(|line| *line == "----") else {
        return Err(format!("no ---- in\n{block}"));
    };
    let sql = rest[..line].join("\n");
    let expected = rest[line + 1..].join("\n");
    match (*kind, csv(engine, &sql).await) {
        ("query", Ok(answer)) if answer.trim_end() == expected => Ok(()),
        ("error", Err(SqlError::BadRequest(text) | SqlError::ResourcesExhausted(text)))
            if text.contains(&expected) =>
        {
            Ok(())
        }
        (_, Ok(answer)) => Err(format!("{sql}\nexpected\n{expected}\nanswered\n{answer}")),
        (_, Err(error)) => Err(format!("{sql}\nexpected\n{expected}\nfailed with\n{error:?}")),
    }
}
