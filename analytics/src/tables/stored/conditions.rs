//! Which filters of a query a store can apply: comparisons of a column with a constant. The query applies all of them once more,
//! so what is not known here is left to it.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use h3o::CellIndex;
use riskgrid_ingest::EventTime;

use super::super::filters::{column, literal, text};
use super::super::time_filters::instant;
use super::columns::{Column, Values};

/// Longest list of `IN`.
const LONGEST_LIST: usize = 100;

/// What a query asks of one column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The column's name, one of the table's.
    pub column: &'static str,
    /// What is asked of its values.
    pub test: Test,
}

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// It compares so with a constant. Texts and cells are compared for equality only: stores order them in their own way.
    Compares(Comparison, Value),
    /// It is one of these, which are at least one.
    IsOneOf(Vec<Value>),
    /// It is NULL.
    IsNull,
    /// It is not NULL.
    IsNotNull,
}

/// How a value, on the left, compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A constant of a query, of the type of its column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A text.
    Text(String),
    /// A time.
    Time(EventTime),
    /// A cell.
    Cell(CellIndex),
}

/// What conditions need to know of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditional {
    name: &'static str,
    kind: Kind,
    is_nullable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Time,
    Cell,
    Number,
}

impl Conditional {
    pub(super) fn of<R>(column: &Column<R>) -> Self {
        let (kind, is_nullable) = match column.values {
            Values::Text(_) => (Kind::Text, false),
            Values::TextOrNull(_) => (Kind::Text, true),
            Values::Time(_) => (Kind::Time, false),
            Values::TimeOrNull(_) => (Kind::Time, true),
            Values::CellOrNull(_) => (Kind::Cell, true),
            Values::NumberOrNull(_) | Values::WholeOrNull(_) => (Kind::Number, true),
            Values::Number(_)
            | Values::Whole(_)
            | Values::YesOrNo(_)
            | Values::TextList(_)
            | Values::CellList(_)
            | Values::WholeList(_) => (Kind::Number, false),
        };
        Self {
            name: column.name,
            kind,
            is_nullable,
        }
    }

    /// A constant that the column can be compared with.
    fn value(&self, value: &ScalarValue) -> Option<Value> {
        match (self.kind, value) {
            (Kind::Text, value) => text(value).map(|text| Value::Text(text.to_owned())),
            (Kind::Time, value) => instant(value).map(Value::Time),
            (Kind::Cell, ScalarValue::UInt64(Some(cell))) => CellIndex::try_from(*cell).ok().map(Value::Cell),
            _ => None,
        }
    }

    fn with(&self, test: Test) -> Condition {
        Condition {
            column: self.name,
            test,
        }
    }

    fn compared(&self, operator: Operator, value: &ScalarValue) -> Option<Condition> {
        let comparison = match operator {
            Operator::Eq => Comparison::Equal,
            Operator::Lt => Comparison::Less,
            Operator::LtEq => Comparison::LessOrEqual,
            Operator::Gt => Comparison::Greater,
            Operator::GtEq => Comparison::GreaterOrEqual,
            _ => return None,
        };
        let has_order = self.kind == Kind::Time;
        let value = self.value(value)?;
        (has_order || comparison == Comparison::Equal).then(|| self.with(Test::Compares(comparison, value)))
    }
}

/// The filter as a condition of one of the columns, if it is one.
pub(super) fn of(filter: &Expr, columns: &[Conditional]) -> Option<Condition> {
    let named = |expr: &Expr| {
        let name = column(expr)?;
        columns.iter().find(|column| column.name == name)
    };
    let nullable = |expr: &Expr| named(expr).filter(|column| column.is_nullable);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (literal(left), literal(right)) {
            (None, Some(value)) => named(left)?.compared(*op, value),
            (Some(value), None) => named(right)?.compared(op.swap()?, value),
            _ => None,
        },
        Expr::IsNull(of) => Some(nullable(of)?.with(Test::IsNull)),
        Expr::IsNotNull(of) => Some(nullable(of)?.with(Test::IsNotNull)),
        Expr::InList(list) if !list.negated && (1..=LONGEST_LIST).contains(&list.list.len()) => {
            let column = named(&list.expr)?;
            let values = list.list.iter().map(|item| column.value(literal(item)?));
            Some(column.with(Test::IsOneOf(values.collect::<Option<_>>()?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    struct Row;

    fn condition(filter: &Expr) -> Option<Condition> {
        let values: [(&'static str, Values<Row>); 4] = [
            ("name", Values::Text(|_| "")),
            ("at", Values::TimeOrNull(|_| None)),
            ("cell", Values::CellOrNull(|_| None)),
            ("value", Values::Number(|_| 0.0)),
        ];
        let columns = values.map(|(name, values)| {
            Conditional::of(&Column {
                name,
                comment: "",
                values,
            })
        });
        of(filter, &columns)
    }

    fn at(micros: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(
            Some(micros),
            Some("UTC".into()),
        ))
    }

    #[test]
    fn constants_come_as_plain_values_and_on_the_right() {
        let time = |micros| Value::Time(EventTime::from_micros(micros));
        let asked = |column, test| Some(Condition { column, test });
        assert_eq!(
            condition(&at(5).lt(col("at"))),
            asked("at", Test::Compares(Comparison::Greater, time(5)))
        );
        assert_eq!(
            condition(&col("at").in_list(vec![at(5), at(6)], false)),
            asked("at", Test::IsOneOf(vec![time(5), time(6)]))
        );
        assert_eq!(condition(&col("at").is_null()), asked("at", Test::IsNull));
        assert_eq!(
            condition(&col("name").eq(lit("a"))),
            asked(
                "name",
                Test::Compares(Comparison::Equal, Value::Text("a".to_owned()))
            )
        );
        let cell = CellIndex::try_from(0x0891_41ca_1b67_ffff).unwrap();
        assert_eq!(
            condition(&col("cell").eq(lit(u64::from(cell)))),
            asked("cell", Test::Compares(Comparison::Equal, Value::Cell(cell)))
        );
    }

    #[test]
    fn what_a_store_may_see_otherwise_is_left_to_the_query() {
        for filter in [
            col("name").gt(lit("a")),
            col("name").is_null(),
            col("name").not_eq(lit("a")),
            col("name").in_list(vec![lit("a")], true),
            col("name").in_list(vec![lit("a"), lit(ScalarValue::Utf8(None))], false),
            col("name").in_list(vec![lit("a"); LONGEST_LIST + 1], false),
            col("name").eq(lit(ScalarValue::Utf8(None))),
            col("cell").lt(lit(5_u64)),
            col("cell").eq(lit(5_u64)),
            col("value").lt(lit(5.0)),
            col("at").eq(lit("2026-11-22T08:00:00Z")),
            col("at").gt(at(5)).or(col("name").eq(lit("a"))),
            col("other").eq(lit("a")),
        ] {
            assert_eq!(condition(&filter), None, "{filter}");
        }
    }
}
