//! What is looked at before a statement is parsed, or planned: the parser takes types apart and EXPLAINs off without
//! counting how deep it is, and arguments of table functions are computed while a plan is made.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::sql::error::SqlError;

/// Parentheses and the like in one another, for the parser and before it.
pub(crate) const PARSER_DEPTH: usize = 128;
/// `ARRAY<`, `STRUCT<` and the like in one statement.
const MOST_ANGLES: usize = 64;
/// `[]` behind one another.
const MOST_SQUARES: usize = 64;
/// EXPLAINs before one another.
const MOST_EXPLAINS: usize = 2;
/// Statements with fewer of the letters that nest are not taken apart for this.
const FEW: usize = 16;

/// # Errors
/// [`SqlError::BadRequest`] if the statement nests types, parentheses or EXPLAINs too deeply to be parsed.
pub(crate) fn check(sql: &str) -> Result<(), SqlError> {
    let openings = sql
        .bytes()
        .filter(|byte| matches!(byte, b'(' | b'[' | b'<' | b'{'))
        .count();
    let explains = sql
        .split_ascii_whitespace()
        .take_while(|word| word.eq_ignore_ascii_case("explain"))
        .count();
    if openings < FEW && explains <= MOST_EXPLAINS {
        return Ok(());
    }
    // What cannot be taken apart is not parsed either: the parser says why.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else {
        return Ok(());
    };
    let mut depth = Depth::default();
    for token in &tokens {
        if !matches!(token, Token::Whitespace(_)) {
            depth.takes(token);
        }
        if depth.is_too_deep() {
            return Err(SqlError::bad_request(
                "the statement is nested too deeply; write it flatter, and types as lists of structs of plain values",
            ));
        }
    }
    Ok(())
}

/// How deep a statement is so far.
#[derive(Default)]
struct Depth {
    parentheses: usize,
    angles: usize,
    squares: usize,
    explains: usize,
    after_word: bool,
}

impl Depth {
    fn takes(&mut self, token: &Token) {
        let after_word = std::mem::replace(&mut self.after_word, matches!(token, Token::Word(_)));
        match token {
            Token::LParen | Token::LBrace => self.parentheses += 1,
            Token::RParen | Token::RBrace | Token::RBracket => {
                self.parentheses = self.parentheses.saturating_sub(1);
            }
            Token::LBracket => {
                self.parentheses += 1;
                self.squares += 1;
            }
            // A number may stand between the brackets.
            Token::Number(..) => {}
            _ => self.squares = 0,
        }
        match token {
            Token::Lt if after_word => self.angles += 1,
            // Types close; what compares goes on with a value.
            Token::Gt | Token::ShiftRight => self.angles = self.angles.saturating_sub(1),
            Token::Number(..) | Token::SingleQuotedString(_) | Token::LParen | Token::RParen => {
                self.angles = 0;
            }
            Token::Word(word) if word.value.eq_ignore_ascii_case("explain") => self.explains += 1,
            _ => {}
        }
    }

    fn is_too_deep(&self) -> bool {
        self.parentheses > PARSER_DEPTH
            || self.angles > MOST_ANGLES
            || self.squares > MOST_SQUARES
            || self.explains > MOST_EXPLAINS + MOST_ANGLES
    }
}

/// # Errors
/// [`SqlError::BadRequest`] if a table function is called with a pattern, which is compared while the plan is made.
pub(crate) fn check_table(table: &TableFactor) -> Result<(), SqlError> {
    let args = match table {
        TableFactor::Table { args: Some(args), .. } => &args.args,
        TableFactor::Function { args, .. } => args,
        _ => return Ok(()),
    };
    for arg in args {
        let (FunctionArg::Unnamed(value)
        | FunctionArg::Named { arg: value, .. }
        | FunctionArg::ExprNamed { arg: value, .. }) = arg;
        if let FunctionArgExpr::Expr(value) = value
            && value.visit(&mut NoPatterns).is_break()
        {
            return Err(SqlError::bad_request(
                "an argument of a table function is a plain value, not a comparison with a pattern",
            ));
        }
    }
    Ok(())
}

struct NoPatterns;

impl Visitor for NoPatterns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_pattern = match expr {
            Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::RLike { .. } => true,
            Expr::BinaryOp { op, .. } => matches!(
                op,
                BinaryOperator::PGRegexMatch
                    | BinaryOperator::PGRegexIMatch
                    | BinaryOperator::PGRegexNotMatch
                    | BinaryOperator::PGRegexNotIMatch
                    | BinaryOperator::PGLikeMatch
                    | BinaryOperator::PGILikeMatch
                    | BinaryOperator::PGNotLikeMatch
                    | BinaryOperator::PGNotILikeMatch
                    | BinaryOperator::Regexp
            ),
            _ => false,
        };
        if is_pattern {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_explains_are_not_nested_past_the_parser() {
        let nested = |open: &str, close: &str, times: usize| {
            format!(
                "SELECT CAST(NULL AS {}INT{})",
                open.repeat(times),
                close.repeat(times)
            )
        };
        for bad in [
            nested("ARRAY<", ">", 20_000),
            nested("STRUCT<a ", ">", 20_000),
            nested("Nullable(", ")", 20_000),
            nested("", "[]", 50_000),
            nested("", "[2]", 50_000),
            "EXPLAIN ".repeat(20_000) + "SELECT 1",
        ] {
            assert!(check(&bad).is_err(), "{}", &bad[..40]);
        }
        for good in [
            nested("ARRAY<", ">", 3),
            nested("", "[]", 3),
            "EXPLAIN ANALYZE SELECT 1".to_owned(),
            "SELECT a[1][2][3] FROM t WHERE ".to_owned() + &"a < b AND ".repeat(60) + "c < d",
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
    }
}
