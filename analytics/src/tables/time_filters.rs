//! Filters on one column of times that are spans: of the times of events, or of the starts of buckets, which are two types.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{SliceStart, StartsWithin};

use super::filters::{column, literal};

/// Times of events, both ends included; none where the first is behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventsWithin {
    pub(super) first: EventTime,
    pub(super) last: EventTime,
}

impl EventsWithin {
    pub(super) const ALL: Self = Self {
        first: EventTime::from_micros(i64::MIN),
        last: EventTime::from_micros(i64::MAX),
    };

    /// What both keep.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    /// Whether some moment from `first` to `last` is kept.
    pub(super) fn meets(self, first: EventTime, last: EventTime) -> bool {
        self.first <= last && first <= self.last
    }

    /// Whether every moment from `first` to `last` is kept.
    pub(super) fn contains(self, first: EventTime, last: EventTime) -> bool {
        self.first <= first && last <= self.last
    }
}

/// The events that a filter on `time` keeps, exactly; none where it is no span.
pub(super) fn events_of(filter: &Expr) -> Option<EventsWithin> {
    let (first, last) = micros_of(filter, "time")?;
    Some(EventsWithin {
        first: EventTime::from_micros(first),
        last: EventTime::from_micros(last),
    })
}

/// The starts that a filter on `bucket` keeps, exactly; none where it is no span.
pub(super) fn starts_of(filter: &Expr) -> Option<StartsWithin> {
    let (first, last) = micros_of(filter, "bucket")?;
    Some(StartsWithin {
        first: SliceStart::at(EventTime::from_micros(first)),
        last: SliceStart::at(EventTime::from_micros(last)),
    })
}

const NONE: (i64, i64) = (i64::MAX, i64::MIN);

fn micros_of(filter: &Expr, name: &str) -> Option<(i64, i64)> {
    let is_named = |expr: &Expr| column(expr) == Some(name);
    let both = |a: (i64, i64), b: (i64, i64)| (a.0.max(b.0), a.1.min(b.1));
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => Some(both(micros_of(left, name)?, micros_of(right, name)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (is_named(left), is_named(right)) {
            (true, false) => compared(*op, literal(right)?),
            (false, true) => compared(op.swap()?, literal(left)?),
            _ => None,
        },
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) if is_named(expr) => Some(both(
            compared(Operator::GtEq, literal(low)?)?,
            compared(Operator::LtEq, literal(high)?)?,
        )),
        _ => None,
    }
}

fn compared(operator: Operator, value: &ScalarValue) -> Option<(i64, i64)> {
    let is_order = matches!(
        operator,
        Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    );
    if !is_order {
        // IS DISTINCT FROM, for one, keeps rows beside NULL.
        return None;
    }
    if value.is_null() {
        return Some(NONE);
    }
    let at = instant(value)?.micros();
    match operator {
        Operator::Eq => Some((at, at)),
        Operator::Lt => Some((i64::MIN, at.checked_sub(1)?)),
        Operator::LtEq => Some((i64::MIN, at)),
        Operator::Gt => Some((at.checked_add(1)?, i64::MAX)),
        Operator::GtEq => Some((at, i64::MAX)),
        _ => None,
    }
}

/// A moment as columns of times have it; none for other precisions, and for local times.
pub(super) fn instant(value: &ScalarValue) -> Option<EventTime> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(micros), Some(_)) => Some(EventTime::from_micros(*micros)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{BinaryExpr, col, lit};

    fn at(micros: Option<i64>) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(micros, Some("UTC".into())))
    }

    fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
    }

    #[test]
    fn what_is_no_span_to_the_last_case_is_none() {
        let bucket = || col("bucket");
        for filter in [
            binary(bucket(), Operator::IsDistinctFrom, at(None)),
            binary(bucket(), Operator::IsNotDistinctFrom, at(None)),
            binary(bucket(), Operator::NotEq, at(Some(5))),
            bucket().gt(at(Some(5))).or(bucket().lt(at(Some(3)))),
            bucket().gt(lit(ScalarValue::TimestampNanosecond(Some(5), Some("UTC".into())))),
            bucket().gt(lit(ScalarValue::TimestampMicrosecond(Some(5), None))),
            bucket().lt(at(Some(i64::MIN))),
            bucket().not_between(at(Some(1)), at(Some(2))),
            // Of another column, NULL as well.
            col("layer").eq(lit(ScalarValue::Utf8(None))),
            bucket()
                .gt(at(Some(5)))
                .and(col("layer").eq(lit(ScalarValue::Utf8(None)))),
        ] {
            assert_eq!(starts_of(&filter), None, "{filter}");
        }
        assert_eq!(starts_of(&col("time").gt(at(Some(5)))), None);
        assert_eq!(events_of(&bucket().gt(at(Some(5)))), None);
    }

    #[test]
    fn spans_include_both_ends_and_null_keeps_none() {
        let span = |filter: Expr| events_of(&filter).map(|span| (span.first.micros(), span.last.micros()));
        let time = || col("time");
        assert_eq!(span(time().eq(at(Some(5)))), Some((5, 5)));
        assert_eq!(span(at(Some(5)).lt(time())), Some((6, i64::MAX)));
        assert_eq!(span(time().between(at(Some(7)), at(Some(3)))), Some((7, 3)));
        assert_eq!(span(time().between(at(Some(7)), at(None))), Some(NONE));
        assert_eq!(
            span(time().lt(at(Some(5))).and(time().gt_eq(at(Some(2))))),
            Some((2, 4))
        );
    }
}
