//! DuckDB in a process of its own: a statement a line in, its rows as JSON a line out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::answers::Answer;

pub(super) struct DuckDb {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl DuckDb {
    pub(super) fn start(python: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/truth/duckdb_answers.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        Self {
            input: process.stdin.take().expect("its input"),
            output: BufReader::new(process.stdout.take().expect("its output")),
            process,
        }
    }

    /// The answer, or what DuckDB says is wrong.
    pub(super) fn ask(&mut self, sql: &str) -> Result<Answer, String> {
        let line = Value::String(sql.to_owned()).to_string();
        writeln!(self.input, "{line}").expect("DuckDB reads");
        self.input.flush().expect("DuckDB reads");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("DuckDB answers");
        let answer: Value =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{sql}: {error}: {answer}"));
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(Answer::of(&answer["rows"])),
        }
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
