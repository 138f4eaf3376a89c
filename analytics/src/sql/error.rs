//! What can go wrong with a query, sorted by whose turn it is to act.

use std::fmt::Write as _;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

/// Why a query gave no answer, or stopped giving one. Texts say what to do; [`SqlError::Internal`] alone keeps a
/// cause that is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The statement, a parameter or an argument is wrong, or not supported, or refused. Status 400.
    #[error("{0}")]
    BadRequest(String),
    /// The time of the query ran out. Status 504.
    #[error(
        "the query ran out of its {milliseconds} ms; narrow it (layer, time, area) or ask for a longer timeout"
    )]
    TimedOut {
        /// The time that the query had, in milliseconds.
        milliseconds: u64,
    },
    /// The query needs more memory than it may have, or too many queries run. Status 422.
    #[error("{0}")]
    ResourcesExhausted(String),
    /// Somebody cancelled the query. Status 409.
    #[error("the query was cancelled")]
    Cancelled,
    /// A fault of the engine. Status 500.
    #[error("the query failed inside the engine; the log has the cause")]
    Internal {
        /// For the log, not for the client.
        cause: String,
    },
}

impl SqlError {
    /// A [`SqlError::BadRequest`] with this text.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::BadRequest(text.into())
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

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        let place = place_of(&error);
        let root = error.find_root();
        match root {
            DataFusionError::External(cause) => match cause.downcast_ref::<Self>() {
                Some(ours) => ours.clone(),
                None => Self::Internal {
                    cause: error.strip_backtrace(),
                },
            },
            DataFusionError::ResourcesExhausted(_) => Self::ResourcesExhausted(format!(
                "the query needs more memory than it may have: {}; narrow it, aggregate earlier or add LIMIT",
                text_of(root)
            )),
            DataFusionError::ArrowError(cause, _) => from_arrow(cause, &error),
            DataFusionError::SQL(cause, _) => Self::BadRequest(parser_text(cause)),
            DataFusionError::Plan(_)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::Execution(_) => Self::BadRequest(format!("{}{place}", text_of(root))),
            DataFusionError::Collection(errors) => Self::BadRequest(
                errors
                    .iter()
                    .map(|one| text_of(one.find_root()))
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
            _ => Self::Internal {
                cause: error.strip_backtrace(),
            },
        }
    }
}

fn from_arrow(cause: &ArrowError, whole: &DataFusionError) -> SqlError {
    match cause {
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<SqlError>() {
            Some(ours) => ours.clone(),
            None => match inner.downcast_ref::<DataFusionError>() {
                Some(DataFusionError::ResourcesExhausted(text)) => SqlError::ResourcesExhausted(text.clone()),
                _ => SqlError::Internal {
                    cause: whole.strip_backtrace(),
                },
            },
        },
        ArrowError::MemoryError(_)
        | ArrowError::OffsetOverflowError(_)
        | ArrowError::DictionaryKeyOverflowError => SqlError::ResourcesExhausted(format!(
            "a column of the answer grew past what one batch can hold ({cause}); make its values smaller"
        )),
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::NotYetImplemented(_) => SqlError::BadRequest(cause.to_string()),
        _ => SqlError::Internal {
            cause: whole.strip_backtrace(),
        },
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

/// What a function of ours says of its arguments, without the planner's words around it.
fn own_words(text: &str) -> &str {
    let Some((_, ours)) = text.split_once("user-defined coercion failed with: External error: ") else {
        return text;
    };
    ours.split_once(". No function matches the given name")
        .map_or(ours, |(ours, _)| ours)
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
        assert!(matches!(error, SqlError::Internal { cause } if cause.contains("0x17")));
    }
}
