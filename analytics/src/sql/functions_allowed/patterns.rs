//! Regular expressions: how large one is once it is compiled, and how much work it can be over a text.
//!
//! The engine behind them never goes back, so one search takes at most a step for each state and letter. Where all
//! matches are looked for there may be as many searches as letters; such a walk is made once beforehand, with a look at
//! the flag between the matches, and given up when it is long.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;
use regex_automata::nfa::thompson::{Config, NFA};
use regex_automata::util::syntax;

use super::work::cut;
use crate::sql::bounds::QueryGuard;
use crate::sql::error::SqlError;

/// Letters of a pattern.
const LETTERS: usize = 8 << 10;
/// Bytes of a compiled pattern.
const COMPILED_BYTES: usize = 256 << 10;
/// Rows of a piece where each row may have a pattern of its own: all patterns of a piece are held at once.
const PATTERNS_OF_PIECE: usize = 32;
/// Letters of a pattern that a message shows.
const SHOWN: usize = 80;
/// Patterns whose size is remembered.
const REMEMBERED: usize = 256;
/// How long all matches in one text may be looked for.
const LONGEST_WALK: Duration = Duration::from_millis(500);
/// Steps of a search that need no walk, however often it is begun anew.
const STEPS_WITHOUT_WALK: u64 = 1 << 24;

/// Where the pieces of a batch end.
///
/// # Errors
/// [`SqlError::BadRequest`] if a pattern is too large; [`SqlError::ResourcesExhausted`] if it is too much work for a text.
pub(super) fn pieces(
    name: &str,
    values: &[ColumnarValue],
    rows: usize,
    guard: Option<&QueryGuard>,
) -> Result<Vec<usize>> {
    let [texts, patterns, others @ ..] = values else {
        return Ok(vec![rows]);
    };
    // Flags are the last argument where they are a text; regexp_replace has its replacement before them.
    let flags = match name {
        "regexp_replace" => others.get(1),
        _ => others.iter().rev().find(|value| value.data_type().is_string()),
    };
    let (texts, patterns) = (Texts::new(texts)?, Texts::new(patterns)?);
    let flags = flags.map(Texts::new).transpose()?;
    let finds_all = matches!(name, "regexp_replace" | "regexp_count" | "regexp_instr");
    let own_patterns = !patterns.constant || flags.as_ref().is_some_and(|flags| !flags.constant);

    let mut last: Option<(String, u64)> = None;
    let mut steps = Vec::with_capacity(rows);
    for row in 0..rows {
        let Some(pattern) = patterns.get(row) else {
            steps.push(1);
            continue;
        };
        let flags = flags
            .as_ref()
            .and_then(|flags| flags.get(row))
            .unwrap_or_default();
        let is_same = last.as_ref().is_some_and(|(known, _)| {
            known
                .strip_suffix(pattern)
                .and_then(|rest| rest.strip_prefix("(?"))
                .map_or(flags.is_empty() && known == pattern, |rest| {
                    rest.strip_suffix(')') == Some(flags)
                })
        });
        if !is_same {
            if let Some(guard) = guard {
                guard.check()?;
            }
            let whole = with_flags(flags, pattern);
            let states = states_of(name, &whole)?;
            last = Some((whole, states));
        }
        let Some((whole, states)) = &last else { continue };
        let text = texts.get(row).unwrap_or_default();
        let once = states.saturating_mul(text.len() as u64 + 1);
        steps.push(once);
        if finds_all && once.saturating_mul(text.len() as u64 + 1) > STEPS_WITHOUT_WALK {
            walk(name, whole, text, guard)?;
        }
    }
    let mut ends = cut(
        rows,
        |row| steps.get(row).copied().unwrap_or(0),
        |steps| {
            SqlError::ResourcesExhausted(format!(
                "{name} could take {steps} steps for one row, the states of its pattern times the letters of the text; use a smaller pattern or a shorter text"
            ))
        },
    )?;
    if own_patterns {
        let more = (PATTERNS_OF_PIECE..rows).step_by(PATTERNS_OF_PIECE);
        ends.extend(more);
        ends.sort_unstable();
        ends.dedup();
    }
    Ok(ends)
}

/// Judges a pattern that is a constant before any row is there: a mistake is told whatever the rows.
///
/// # Errors
/// [`SqlError::BadRequest`] if it is too large or cannot be read.
pub(super) fn check_constant(name: &str, pattern: &str) -> Result<(), SqlError> {
    states_of(name, pattern)?;
    regex::Regex::new(pattern).map(drop).map_err(|error| {
        let said = error.to_string();
        let why = said.lines().last().unwrap_or_default();
        let shown: String = pattern.chars().take(SHOWN).collect();
        SqlError::BadRequest(format!("{name}: the pattern `{shown}` cannot be read: {why}"))
    })
}

/// As the functions put them together; `g` is theirs, not the pattern's.
fn with_flags(flags: &str, pattern: &str) -> String {
    if flags.is_empty() {
        return pattern.to_owned();
    }
    format!("(?{flags}){pattern}")
}

/// States of the compiled pattern.
fn states_of(name: &str, pattern: &str) -> Result<u64, SqlError> {
    static KNOWN: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);
    if pattern.len() > LETTERS {
        return Err(SqlError::BadRequest(format!(
            "{name}: a pattern has {} letters, allowed are {LETTERS}",
            pattern.len()
        )));
    }
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(states) = known().get(pattern) {
        return Ok(*states);
    }
    let states = match compiled(pattern) {
        Ok(nfa) => nfa.states().len() as u64,
        Err(error) if error.size_limit().is_some() => {
            return Err(SqlError::BadRequest(format!(
                "{name}: the pattern takes more than {COMPILED_BYTES} bytes once it is compiled; use fewer or shorter repetitions"
            )));
        }
        // The function itself says what is wrong; compiling what is wrong is soon given up.
        Err(_) => 1,
    };
    let mut known = known();
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(pattern.to_owned(), states);
    Ok(states)
}

fn compiled(pattern: &str) -> Result<NFA, Box<regex_automata::nfa::thompson::BuildError>> {
    // The functions take `g` out before they compile.
    let pattern = match pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
        Some((flags, rest)) if flags.contains('g') => with_flags(&flags.replace('g', ""), rest),
        _ => pattern.to_owned(),
    };
    NFA::compiler()
        .syntax(syntax::Config::new().nest_limit(100))
        .configure(Config::new().nfa_size_limit(Some(COMPILED_BYTES)))
        .build(&pattern)
        .map_err(Box::new)
}

/// Looks for all matches once.
fn walk(name: &str, pattern: &str, text: &str, guard: Option<&QueryGuard>) -> Result<()> {
    let pattern = pattern.replacen("(?g)", "", 1);
    let Ok(regex) = regex::RegexBuilder::new(&pattern).size_limit(10 << 20).build() else {
        return Ok(());
    };
    let start = Instant::now();
    for (number, _) in regex.find_iter(text).enumerate() {
        if number % 64 != 0 {
            continue;
        }
        if let Some(guard) = guard {
            guard.check()?;
        }
        if start.elapsed() > LONGEST_WALK {
            return Err(SqlError::ResourcesExhausted(format!(
                "{name} takes too long to find all matches in a text of {} bytes; use a simpler pattern or a shorter text",
                text.len()
            ))
            .into());
        }
    }
    Ok(())
}

/// A column of texts, or one text for all rows.
struct Texts {
    texts: ArrayRef,
    constant: bool,
}

impl Texts {
    fn new(value: &ColumnarValue) -> Result<Self> {
        let (array, constant) = match value {
            ColumnarValue::Array(array) => (ArrayRef::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array_of_size(1)?, true),
        };
        let is_known = matches!(array.data_type(), DataType::Utf8 | DataType::Utf8View);
        let texts = if is_known {
            array
        } else {
            cast(&array, &DataType::Utf8)?
        };
        Ok(Self { texts, constant })
    }

    fn get(&self, row: usize) -> Option<&str> {
        let row = if self.constant { 0 } else { row };
        if self.texts.is_null(row) {
            return None;
        }
        match self.texts.as_string_view_opt() {
            Some(views) => Some(views.value(row)),
            None => self.texts.as_string_opt::<i32>().map(|texts| texts.value(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;

    use super::*;

    fn asked(name: &str, text: &str, pattern: &str) -> Result<Vec<usize>> {
        let values = [text, pattern].map(|text| ColumnarValue::Scalar(ScalarValue::from(text)));
        pieces(name, &values, 1, None)
    }

    #[test]
    fn a_pattern_is_judged_by_what_it_compiles_to() {
        let long = "a".repeat(100_000);
        assert!(asked("regexp_like", &long, "^a+b").is_ok());
        assert!(asked("regexp_like", "short", "[a-z]{3}[0-9]{2,4}").is_ok());
        assert!(asked("regexp_like", &long, "a[0-9a-f]{3000}z").is_err());
        assert!(asked("regexp_like", "a", r"\w{1000}").is_err());
        assert!(asked("regexp_like", "a", "(((a{100}){100}){100})").is_err());
        assert!(asked("regexp_like", "a", &"a|".repeat(8_000)).is_err());
    }

    #[test]
    fn looking_for_all_matches_again_and_again_is_given_up() {
        let long = "a".repeat(1_000_000);
        assert!(asked("regexp_count", &"a".repeat(10_000), "a").is_ok());
        assert!(asked("regexp_count", &long, "a*b|a").is_err());
    }
}
