//! What can go wrong with a query, sorted by whose turn it is to act.

use std::fmt::Write as _;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::query_phase::QueryPhase;

/// Why a query gave no answer, or stopped giving one. Texts say what to do; [`SqlError::Internal`] alone keeps a
/// cause that is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The statement, a parameter or an argument is wrong, or not supported, or refused. Status 400.
    #[error("{0}")]
    BadRequest(String),
    /// The time of the query ran out. Status 504.
    #[error(
        "the query ran out of its {milliseconds} ms while it was {phase}; narrow it (layer, time, area) or ask for a longer timeout"
    )]
    TimedOut {
        /// The time that the query had, in milliseconds.
        milliseconds: u64,
        /// What it was at then.
        phase: QueryPhase,
    },
    /// As many queries wait as may. Status 429.
    #[error("as many queries wait as may; try again in {retry_after} s")]
    QueueFull {
        /// When to try again, in seconds.
        retry_after: u64,
    },
    /// The plan would read or compare more than it may. Status 422.
    #[error(
        "the query is expected to look at {estimate} {what}, allowed are {limit}; narrow it (layer, time, area), or aggregate before a join"
    )]
    TooExpensive {
        /// `rows` or `pairs`.
        what: &'static str,
        /// How many are expected.
        estimate: u64,
        /// How many may be.
        limit: u64,
    },
    /// The answer has more bytes than it may. Status 422.
    #[error(
        "the answer has more than the {limit} bytes that it may have; ask for fewer rows or columns, or aggregate"
    )]
    AnswerTooLarge {
        /// How many may be.
        limit: u64,
    },
    /// A query of this id runs. Status 409.
    #[error("a query with the id {0} is running; use another id or none")]
    IdInUse(String),
    /// It is not for this role. Status 403.
    #[error("{0}")]
    Forbidden(String),
    /// The query needs more memory than it may have, or too many queries run. Status 422.
    #[error("{0}")]
    ResourcesExhausted(String),
    /// Somebody cancelled the query. Status 499.
    #[error("the query was cancelled")]
    Cancelled,
    /// A fault of the engine. Status 500.
    #[error("{}", internal_text(.query_id.as_deref()))]
    Internal {
        /// For the log, not for the client.
        cause: String,
        /// Where the log has it; known once the error leaves the engine.
        query_id: Option<String>,
    },
}

fn internal_text(query_id: Option<&str>) -> String {
    let place = query_id.map_or_else(String::new, |id| format!(" under query_id {id}"));
    format!(
        "the statement failed inside riskgrid, which is riskgrid's fault and not the statement's; the log has the cause{place}. \
         It may work when it is written another way"
    )
}

impl SqlError {
    /// A [`SqlError::BadRequest`] with this text.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::BadRequest(text.into())
    }

    /// A [`SqlError::Internal`] with this cause.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self::Internal {
            cause: cause.into(),
            query_id: None,
        }
    }

    /// The same error with the id of its query, for those who look for its cause.
    pub(crate) fn of_query(mut self, id: &str) -> Self {
        if let Self::Internal { query_id, .. } = &mut self {
            query_id.get_or_insert_with(|| id.to_owned());
        }
        self
    }

    /// The same error as one of `DataFusion`'s, to travel through its plans; [`From`] finds it again.
    pub fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

impl From<SqlError> for DataFusionError {
    fn from(error: SqlError) -> Self {
        error.into_datafusion()
    }
}

impl From<ArrowError> for SqlError {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

/// Whose turn it is to act on an error of `DataFusion` or Arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The caller's: the statement or a value is wrong.
    Caller,
    /// The caller's: less must be asked for.
    Narrower,
    /// Ours.
    Ours,
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        if let DataFusionError::External(cause) = root
            && let Some(ours) = cause.downcast_ref::<Self>()
        {
            return ours.clone();
        }
        if let Some(text) = pattern_mistake(&root.to_string()) {
            return Self::BadRequest(text);
        }
        match root {
            DataFusionError::ArrowError(cause, _) => from_arrow(cause, &error),
            DataFusionError::SQL(cause, _) => Self::BadRequest(parser_text(cause)),
            DataFusionError::Collection(errors) => from_several(errors, &error),
            _ => match turn_of(root) {
                Turn::Caller => Self::BadRequest(format!("{}{}", text_of(root), place_of(&error))),
                Turn::Narrower => Self::ResourcesExhausted(format!(
                    "the query needs more memory than it may have: {}; narrow it, aggregate earlier or add LIMIT",
                    text_of(root)
                )),
                Turn::Ours => Self::internal(error.strip_backtrace()),
            },
        }
    }
}

/// The table of kinds; the test is `mistakes_of_the_caller_are_told_as_such` (`analytics/tests/sql/mistakes.rs`).
fn turn_of(error: &DataFusionError) -> Turn {
    match error {
        DataFusionError::ResourcesExhausted(_) => Turn::Narrower,
        DataFusionError::Plan(_)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Execution(_) => Turn::Caller,
        _ => Turn::Ours,
    }
}

/// The same of Arrow's errors.
fn turn_of_arrow(error: &ArrowError) -> Turn {
    match error {
        ArrowError::MemoryError(_)
        | ArrowError::OffsetOverflowError(_)
        | ArrowError::DictionaryKeyOverflowError => Turn::Narrower,
        ArrowError::InvalidArgumentError(text) if is_about_arrays(text) => Turn::Ours,
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::NotYetImplemented(_) => Turn::Caller,
        _ => Turn::Ours,
    }
}

/// What is wrong with a regular expression. `DataFusion` tells it as an error from outside, of Arrow or of its own,
/// according to where the pattern was looked at.
fn pattern_mistake(text: &str) -> Option<String> {
    let says = [
        "regex parse error",
        "Compiled regex exceeds size limit",
        "CompiledTooBig",
    ]
    .into_iter()
    .find_map(|beginning| text.get(text.find(beginning)?..))?;
    let says = says.split("\n~~~").next().unwrap_or(says).trim_end();
    Some(format!(
        "a pattern is no regular expression that can be used: {says}"
    ))
}

/// What Arrow says of arrays that do not fit together, which no statement can help.
fn is_about_arrays(text: &str) -> bool {
    [
        "column types must match schema types",
        "all columns in a record batch must have",
        "number of columns(",
        "Column '",
        "It is not possible to",
        "Cannot interleave",
        "Incorrect",
    ]
    .iter()
    .any(|beginning| text.starts_with(beginning))
}

fn from_several(errors: &[DataFusionError], whole: &DataFusionError) -> SqlError {
    let turns = errors.iter().map(|one| turn_of(one.find_root()));
    if turns.clone().any(|turn| turn == Turn::Ours) {
        return SqlError::internal(whole.strip_backtrace());
    }
    let texts: Vec<String> = errors.iter().map(|one| text_of(one.find_root())).collect();
    SqlError::BadRequest(texts.join("; "))
}

fn from_arrow(cause: &ArrowError, whole: &DataFusionError) -> SqlError {
    if let ArrowError::ExternalError(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<SqlError>() {
            return ours.clone();
        }
        if let Some(DataFusionError::ResourcesExhausted(text)) = inner.downcast_ref::<DataFusionError>() {
            return SqlError::ResourcesExhausted(text.clone());
        }
    }
    match turn_of_arrow(cause) {
        Turn::Caller => SqlError::BadRequest(own_words(&cause.to_string()).to_owned()),
        Turn::Narrower => SqlError::ResourcesExhausted(format!(
            "a column of the answer grew past what one batch can hold ({cause}); make its values smaller"
        )),
        Turn::Ours => SqlError::internal(whole.strip_backtrace()),
    }
}

fn parser_text(error: &ParserError) -> String {
    match error {
        ParserError::RecursionLimitExceeded => {
            "the statement is nested too deeply; write it flatter (IN instead of OR, WITH instead of subqueries)"
                .to_owned()
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            format!("the statement cannot be parsed: {text}")
        }
    }
}

/// The message without `DataFusion`'s prefixes and hints to its own bug tracker.
fn text_of(error: &DataFusionError) -> String {
    let message = error.message();
    let text = message
        .split(DataFusionError::BACK_TRACE_SEP)
        .next()
        .unwrap_or_default();
    own_words(text).trim_end().to_owned()
}

/// Where Arrow and `DataFusion` say nothing that helps, what is to be said instead.
const CLEARER: [(&str, &str); 2] = [
    (
        "Unable to cast to Date32 for converting from i64 to i32 failed",
        "to_date was given a text that is no date: without a format it takes texts such as '2026-11-22'",
    ),
    (
        "Cast error: Format error",
        "to_char was given a format that cannot be written: it takes those of strftime, such as '%Y-%m-%d %H:%M'",
    ),
];

/// What is said of the arguments of a function, without the planner's words around it.
fn own_words(text: &str) -> &str {
    if let Some((_, clearer)) = CLEARER.iter().find(|(unclear, _)| text.contains(unclear)) {
        return clearer;
    }
    const NO_MATCH: &str = "No function matches the given name";
    if let Some((_, ours)) = text.split_once("user-defined coercion failed with: External error: ") {
        let end = ours.find(NO_MATCH).unwrap_or(ours.len());
        return ours.get(..end).unwrap_or(ours).trim_end_matches([' ', '.']);
    }
    match text.find(NO_MATCH) {
        // Before it the planner tells of a fault of its own, which it is not.
        Some(start) if text.contains("failed to match any signature") => text.get(start..).unwrap_or(text),
        _ => text,
    }
}

/// ` (line 2, column 5)` where the planner kept the place, and its advice.
fn place_of(error: &DataFusionError) -> String {
    let mut text = String::new();
    if let Some(diagnostic) = error.diagnostic() {
        if let Some(span) = diagnostic.span.filter(|span| span.start.line > 0) {
            let _ = write!(text, " (line {}, column {})", span.start.line, span.start.column);
        }
        for help in &diagnostic.helps {
            let _ = write!(text, "; {}", help.message);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_error_survives_the_way_through_datafusion() {
        let ours = SqlError::ResourcesExhausted("too much".to_owned());
        let wrapped = DataFusionError::Context("while running".to_owned(), Box::new(ours.clone().into()));
        assert_eq!(SqlError::from(wrapped), ours);
    }

    #[test]
    fn what_a_function_says_of_its_arguments_comes_without_the_planners_words() {
        let planned = "Execution error: Function 'f' user-defined coercion failed with: External error: f(a): a must \
            be a number, not Utf8. No function matches the given name and argument types 'f(Utf8)'.";
        assert_eq!(own_words(planned), "f(a): a must be a number, not Utf8");
        assert_eq!(own_words("table 'x' not found"), "table 'x' not found");
    }

    #[test]
    fn a_division_by_zero_is_the_callers_mistake() {
        let error = SqlError::from(DataFusionError::from(ArrowError::DivideByZero));
        assert!(matches!(error, SqlError::BadRequest(_)), "{error:?}");
    }

    #[test]
    fn an_unknown_fault_keeps_its_cause_out_of_the_message() {
        let error = SqlError::from(DataFusionError::Internal("pointer 0x17".to_owned()));
        assert!(!error.to_string().contains("0x17"));
        assert!(matches!(error, SqlError::Internal { cause, .. } if cause.contains("0x17")));
    }
}
