//! A statement that a rule asks again and again, as it is asked at one time.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use riskgrid_ingest::EventTime;

use super::error::SqlError;

/// The statement with `at` in the place of `$1`, over `cells` and `events` as they are at that time: buckets that begin
/// before it and events before it. Other tables are as they are.
///
/// # Errors
/// [`SqlError::BadRequest`] where it is no one statement that asks, or has another parameter.
pub fn at_time(sql: &str, at: EventTime) -> Result<String, SqlError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .with_unescape(false)
        .tokenize()
        .map_err(|error| SqlError::BadRequest(format!("the statement cannot be read: {error}")))?;
    let time = format!("arrow_cast('{at}', 'Timestamp(Microsecond, Some(\"UTC\"))')");
    let mut text = format!(
        "WITH cells AS (SELECT * FROM cells WHERE bucket < {time}), events AS (SELECT * FROM events WHERE time < {time})"
    );
    let mut is_first = true;
    for token in tokens {
        match &token {
            Token::Whitespace(_) => text.push(' '),
            Token::Placeholder(name) if name == "$1" => text.push_str(&time),
            Token::Placeholder(name) => {
                return Err(SqlError::BadRequest(format!(
                    "{name} is not a parameter of a rule; $1 is the time of which it asks, and there is no other"
                )));
            }
            Token::Word(word) if is_first && word.keyword == Keyword::WITH => {
                is_first = false;
                text.push(',');
            }
            Token::Word(word) if is_first && word.keyword != Keyword::SELECT => {
                return Err(SqlError::BadRequest(format!(
                    "the statement begins with {}; a rule asks, with SELECT or WITH … SELECT",
                    word.value
                )));
            }
            token => {
                is_first = false;
                text.push_str(&token.to_string());
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sql: &str) -> String {
        match at_time(sql, EventTime::from_micros(1_795_334_400_000_000)) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_time_stands_for_the_parameter_and_not_in_texts_or_comments() {
        let text = at("SELECT '$1' AS a, $1 AS b -- $1\nFROM cells");
        assert!(text.contains("'$1' AS a"), "{text}");
        assert_eq!(text.matches("2026-11-22T08:00:00Z").count(), 3, "{text}");
    }

    #[test]
    fn names_that_a_statement_gives_itself_follow_those_of_the_time() {
        let text = at("  WITH a AS (SELECT 1) SELECT * FROM a");
        assert!(text.contains("), events AS ("), "{text}");
        assert!(text.contains(", a AS (SELECT 1) SELECT * FROM a"), "{text}");
    }

    #[test]
    fn what_writes_or_has_other_parameters_is_refused() {
        assert!(at("DELETE FROM cells").contains("begins with DELETE"));
        assert!(at("EXPLAIN SELECT 1").contains("begins with EXPLAIN"));
        assert!(at("SELECT $2").contains("$2 is not a parameter"));
    }
}
