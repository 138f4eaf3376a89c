//! Runs golden files, `*.slt` in a folder, one file a function: statements and what they answer.
//!
//! A block is `query` or `error`, the statement, a line `----`, and the expected CSV, or words of the message. Blocks
//! are parted by empty lines; lines that start with `#` are comments. With `RISKGRID_BLESS` set (`just bless`) a block that
//! is answered otherwise gets what is answered now, to be read before it is committed.

use std::fs;
use std::path::Path;

use riskgrid_analytics::sql::SqlError;

/// Asks every statement of every file; gives back the number of files and what was wrong.
pub(crate) async fn run(
    folder: &str,
    ask: impl AsyncFn(&str) -> Result<String, SqlError>,
) -> (usize, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        let text = fs::read_to_string(path).expect("a text file");
        let name = path.file_name().unwrap_or_default().display();
        let bless = std::env::var_os("RISKGRID_BLESS").is_some_and(|value| !value.is_empty());
        let mut blessed = Vec::new();
        for block in text.trim_end().split("\n\n") {
            match check(&ask, block).await {
                Err(_) if bless => blessed.push(answered(&ask, block).await),
                Err(why) => wrong.push(format!("{name}: {why}")),
                Ok(()) => blessed.push(block.to_owned()),
            }
        }
        if bless && blessed.join("\n\n") != text.trim_end() {
            fs::write(path, blessed.join("\n\n") + "\n").expect("a file that can be written");
        }
    }
    (paths.len(), wrong)
}

async fn check(ask: &impl AsyncFn(&str) -> Result<String, SqlError>, block: &str) -> Result<(), String> {
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
    match (*kind, ask(&sql).await) {
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

/// The block with what is answered now; one that is not as it says (an error where a query is expected) stays.
async fn answered(ask: &impl AsyncFn(&str) -> Result<String, SqlError>, block: &str) -> String {
    let Some((question, _)) = block.split_once("\n----") else {
        return block.to_owned();
    };
    let lines = question.lines().filter(|line| !line.starts_with('#'));
    let kind = lines.clone().next().unwrap_or_default();
    let sql: Vec<&str> = lines.skip(1).collect();
    let answer = match (kind, ask(&sql.join("\n")).await) {
        ("query", Ok(answer)) => answer.trim_end().to_owned(),
        ("error", Err(SqlError::BadRequest(text) | SqlError::ResourcesExhausted(text))) => text,
        _ => return block.to_owned(),
    };
    format!("{question}\n----\n{answer}")
}
