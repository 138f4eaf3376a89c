//! From text to one statement that may run: parsed, read-only, not too deep, its parameters put in.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, SetExpr, Statement as AstStatement, TableFactor, Value as AstValue,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use serde_json::Value;

use super::parameters::{self, Placeholders};
use crate::sql::bounds::expansion::Relations;
use crate::sql::bounds::written;
use crate::sql::error::SqlError;
use crate::sql::functions_allowed::check_written;
use crate::sql::guards;

/// What [`parse`] tells a caller who wanted something else.
pub(crate) const ALLOWED: &str = "SQL is read-only here: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE, SHOW TABLES and SHOW COLUMNS are allowed";

/// Nested expressions and queries. A chain `a OR b OR …` is as deep as it has parts.
const DEEPEST: usize = 400;
/// SELECTs of one statement: a chain of UNIONs is as deep as it has parts.
const MOST_SELECTS: usize = 400;

/// Parses exactly one statement, refuses what is not read-only, and puts `parameters` in the place of `$1`, `$2`, ….
///
/// # Errors
/// [`SqlError::BadRequest`], with line and column where the parser knows them.
pub(crate) fn parse(sql: &str, parameters: &[Value], longest: usize) -> Result<Statement, SqlError> {
    if sql.len() > longest {
        return Err(SqlError::BadRequest(format!(
            "the statement has {} bytes, allowed are {longest}; join with a VALUES list or send several",
            sql.len()
        )));
    }
    written::check(sql)?;
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(written::PARSER_DEPTH)
        .build()?
        .parse_statements()?;
    if statements.len() > 1 {
        return Err(SqlError::BadRequest(format!(
            "{} statements were sent; send one statement a request",
            statements.len()
        )));
    }
    let Some(mut statement) = statements.pop_front() else {
        return Err(SqlError::bad_request(
            "the statement is empty; send one, such as SELECT * FROM layers",
        ));
    };
    let mut placeholders = Placeholders::new(parameters);
    allow(&mut statement, &mut placeholders)?;
    placeholders.finish()?;
    Ok(statement)
}

/// Whether a row limit may be put around the statement's plan, or the plan that it explains.
pub(crate) fn is_query(statement: &Statement) -> bool {
    let is_query = |inner: &AstStatement| matches!(inner, AstStatement::Query(_));
    match statement {
        Statement::Explain(explain) => self::is_query(&explain.statement),
        Statement::Statement(inner) => match inner.as_ref() {
            AstStatement::Explain { statement, .. } => is_query(statement),
            inner => is_query(inner),
        },
        _ => false,
    }
}

fn allow(statement: &mut Statement, placeholders: &mut Placeholders<'_>) -> Result<(), SqlError> {
    match statement {
        Statement::Explain(explain) => allow(&mut explain.statement, placeholders),
        Statement::Statement(inner) => match inner.as_mut() {
            AstStatement::Query(query) => inspect(query.as_mut(), placeholders),
            AstStatement::Explain {
                statement: explained, ..
            } => match explained.as_mut() {
                AstStatement::Query(query) => inspect(query.as_mut(), placeholders),
                other => Err(refused(&other.to_string())),
            },
            AstStatement::ExplainTable { .. }
            | AstStatement::ShowTables { .. }
            | AstStatement::ShowColumns { .. } => Ok(()),
            other => Err(refused(&other.to_string())),
        },
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

/// `statement` is the statement as SQL, or its first words.
fn refused(statement: &str) -> SqlError {
    let words: Vec<&str> = statement
        .split_whitespace()
        .take_while(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()))
        .take(3)
        .collect();
    let name = if words.is_empty() {
        "this statement".to_owned()
    } else {
        words.join(" ")
    };
    SqlError::BadRequest(format!("{name} is refused. {ALLOWED}"))
}

fn inspect(query: &mut Query, placeholders: &mut Placeholders<'_>) -> Result<(), SqlError> {
    let mut inspector = Inspector {
        placeholders,
        depth: 0,
        selects: 0,
        relations: Relations::default(),
    };
    match query.visit(&mut inspector) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Inspector<'p, 'v> {
    placeholders: &'p mut Placeholders<'v>,
    depth: usize,
    selects: usize,
    relations: Relations,
}

impl Inspector<'_, '_> {
    fn deeper(&mut self) -> ControlFlow<SqlError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return ControlFlow::Break(SqlError::BadRequest(format!(
                "the statement is nested more than {DEEPEST} deep; write IN (…) for a long OR, WITH for subqueries"
            )));
        }
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Inspector<'_, '_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let written = match query.body.as_ref() {
            SetExpr::Insert(_) => Some("INSERT"),
            SetExpr::Update(_) => Some("UPDATE"),
            SetExpr::Delete(_) => Some("DELETE"),
            SetExpr::Merge(_) => Some("MERGE"),
            _ => None,
        };
        if let Some(written) = written {
            return ControlFlow::Break(refused(written));
        }
        self.relations.query_begins(query);
        self.deeper()
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        match self.relations.query_ends(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        if select.into.is_some() {
            return ControlFlow::Break(refused("SELECT INTO"));
        }
        self.selects += 1;
        if self.selects > MOST_SELECTS {
            return ControlFlow::Break(SqlError::BadRequest(format!(
                "the statement has more than {MOST_SELECTS} SELECTs; use VALUES, or send several statements"
            )));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<SqlError> {
        self.relations.relation(relation);
        let name = relation.to_string();
        if name.contains("://") || name.contains('/') {
            return ControlFlow::Break(SqlError::BadRequest(format!(
                "{name} is not a table; files and URLs cannot be read. SHOW TABLES lists the tables"
            )));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<SqlError> {
        if matches!(table, TableFactor::Table { sample: Some(_), .. }) {
            return ControlFlow::Break(SqlError::bad_request(
                "TABLESAMPLE is not understood, and all rows would be read; WHERE random() < 0.1 keeps about a tenth",
            ));
        }
        match written::check_table(table) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        guards::put_right(expr);
        if let Expr::Cast { data_type, .. }
        | Expr::Convert {
            data_type: Some(data_type),
            ..
        } = expr
            && let Err(error) = check_written(data_type)
        {
            return ControlFlow::Break(error);
        }
        if let Some(placeholder) = parameters::placeholder(expr) {
            match self.placeholders.bind(placeholder) {
                Ok(bound) => *expr = bound,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        if let Expr::AtTimeZone { time_zone, .. } = expr
            && !matches!(time_zone.as_ref(), Expr::Value(value) if matches!(value.value, AstValue::SingleQuotedString(_)))
            && parameters::placeholder(time_zone).is_none()
        {
            return ControlFlow::Break(SqlError::BadRequest(format!(
                "AT TIME ZONE {time_zone}: the zone must be a constant text, such as 'Asia/Shanghai'"
            )));
        }
        self.deeper()
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sql: &str) -> String {
        match parse(sql, &[], 1 << 20) {
            Err(SqlError::BadRequest(text)) => text,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn statements_that_change_something_are_refused_by_name() {
        for (sql, name) in [
            (
                "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
                "CREATE EXTERNAL TABLE",
            ),
            ("CREATE TABLE x AS SELECT 1", "CREATE TABLE"),
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
            ("CREATE SCHEMA s", "CREATE SCHEMA"),
            ("CREATE DATABASE d", "CREATE DATABASE"),
            ("CREATE FUNCTION f(INT) RETURNS INT RETURN $1", "CREATE FUNCTION"),
            ("COPY cells TO 'x.csv'", "COPY"),
            ("COPY (SELECT 1) TO '/tmp/x.parquet' STORED AS PARQUET", "COPY"),
            ("INSERT INTO cells VALUES (1)", "INSERT INTO"),
            ("UPDATE cells SET count = 1", "UPDATE"),
            ("DELETE FROM cells", "DELETE FROM"),
            ("DROP TABLE cells", "DROP TABLE"),
            ("TRUNCATE TABLE cells", "TRUNCATE TABLE"),
            ("ALTER TABLE cells ADD COLUMN x INT", "ALTER TABLE"),
            ("SET datafusion.execution.batch_size = 1", "SET"),
            ("RESET datafusion.execution.batch_size", "RESET"),
            ("PREPARE p AS SELECT 1", "PREPARE"),
            ("EXECUTE p", "EXECUTE"),
            ("DEALLOCATE p", "DEALLOCATE"),
            ("SHOW ALL", "SHOW"),
            ("BEGIN", "BEGIN"),
            ("COMMIT", "COMMIT"),
            ("USE other", "USE"),
            ("EXPLAIN INSERT INTO cells VALUES (1)", "INSERT INTO"),
            ("EXPLAIN ANALYZE COPY cells TO 'x.csv'", "COPY"),
            ("SELECT 1 INTO x", "SELECT INTO"),
            ("WITH a AS (SELECT 1) INSERT INTO cells SELECT * FROM a", "INSERT"),
        ] {
            let text = refusal(sql);
            assert!(
                text.starts_with(name) && text.contains("read-only"),
                "{sql}: {text}"
            );
        }
    }

    #[test]
    fn reading_statements_pass() {
        for sql in [
            "SELECT 1",
            "SELECT 1;",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "VALUES (1), (2)",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "DESCRIBE cells",
            "SHOW TABLES",
            "SHOW COLUMNS FROM cells",
            "SELECT 1 UNION ALL SELECT 2",
        ] {
            assert!(parse(sql, &[], 1 << 20).is_ok(), "{sql}");
        }
    }

    #[test]
    fn one_statement_a_request() {
        assert!(refusal("SELECT 1; SELECT 2").contains("2 statements"));
        assert!(refusal("").contains("empty"));
        assert!(refusal("SELECT 1; DROP TABLE x").contains("2 statements"));
    }

    #[test]
    fn a_mistake_tells_its_place() {
        assert!(
            refusal("SELECT (1\n  FROM x").contains("Line: 2"),
            "{}",
            refusal("SELECT (1\n  FROM x")
        );
    }

    #[test]
    fn depth_is_bounded_however_it_is_made() {
        // Deep trees are dropped on a thread with the stack that the engine gives to its own.
        std::thread::Builder::new()
            .stack_size(super::super::sql_engine::STACK_BYTES)
            .spawn(|| {
                let parentheses = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
                assert!(refusal(&parentheses).contains("nested"));
                let sum = format!("SELECT 1{}", "+1".repeat(50_000));
                assert!(refusal(&sum).contains("nested"));
                let union = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000));
                assert!(refusal(&union).contains("SELECTs"));
            })
            .expect("a thread")
            .join()
            .expect("no overflow");
    }

    #[test]
    fn a_path_is_not_a_table() {
        assert!(refusal("SELECT * FROM '/etc/passwd'").contains("files and URLs"));
        assert!(refusal("SELECT * FROM \"s3://bucket/x\"").contains("files and URLs"));
    }

    #[test]
    fn length_is_bounded() {
        let text = match parse("SELECT 1234567", &[], 10) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(text.contains("allowed are 10"));
    }
}
