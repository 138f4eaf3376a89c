//! What a question uses the start of a bucket for: where that is only its hour or day of UTC, buckets of one need not be
//! told apart.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use riskgrid_ingest::grid::{SliceStart, Span, StartsWithin};
use riskgrid_ingest::{DAY, HOUR};

use crate::tables::filters::{column, literal, text};

/// Buckets that are summed together, by where they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimeBin {
    /// The same hour of UTC.
    Hour,
    /// The same day of UTC.
    Day,
}

impl TimeBin {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn micros(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// The starts of each bin that meets `span`.
    pub(super) fn of(self, span: Span) -> impl Iterator<Item = StartsWithin> {
        let length = self.micros();
        let mut start = span.start.floor(length);
        std::iter::from_fn(move || {
            let bin = (start < span.end).then(|| StartsWithin {
                first: SliceStart::at(start),
                last: SliceStart::at(start.plus(length - 1)),
            });
            start = start.plus(length);
            bin
        })
    }

    /// The coarsest bin whose buckets give `expr` the same value; none for what is no function of the bucket's start alone.
    pub(super) fn within(expr: &Expr) -> Option<Self> {
        let bucket = |expr: &Expr| column(expr) == Some("bucket");
        match expr {
            Expr::Cast(Cast { expr, field }) if bucket(expr) => {
                (*field.data_type() == DataType::Date32).then_some(Self::Day)
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) => match args.as_slice() {
                [of, start] if bucket(start) => match func.name() {
                    "date_trunc" | "date_part" => Self::of_part(text(literal(of)?)?),
                    "date_bin" => Self::of_interval(literal(of)?),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    fn of_part(part: &str) -> Option<Self> {
        match part.to_ascii_lowercase().as_str() {
            "hour" => Some(Self::Hour),
            "day" | "week" | "month" | "quarter" | "year" | "dow" | "doy" | "isodow" | "isoyear" => {
                Some(Self::Day)
            }
            _ => None,
        }
    }

    /// Bins of that length begin with 1970.
    fn of_interval(interval: &ScalarValue) -> Option<Self> {
        let ScalarValue::IntervalMonthDayNano(Some(interval)) = interval else {
            return None;
        };
        let micros = i64::from(interval.days)
            .checked_mul(DAY)?
            .checked_add(interval.nanoseconds / 1000)?;
        let is_whole = interval.months == 0 && interval.nanoseconds % 1000 == 0 && micros > 0;
        [Self::Day, Self::Hour]
            .into_iter()
            .find(|bin| is_whole && micros % bin.micros() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::filters::uses;
    use datafusion::functions::expr_fn::{date_part, date_trunc};
    use datafusion::logical_expr::{cast, col, lit};
    use riskgrid_ingest::EventTime;

    fn interval(months: i32, days: i32, nanoseconds: i64) -> Expr {
        lit(ScalarValue::new_interval_mdn(months, days, nanoseconds))
    }

    fn date_bin(interval: Expr, time: Expr) -> Expr {
        datafusion::functions::datetime::date_bin().call(vec![interval, time])
    }

    #[test]
    fn only_what_an_hour_or_a_day_tells_is_a_bin() {
        const NANOS_OF_AN_HOUR: i64 = 3_600_000_000_000;
        let bucket = || col("cells.bucket");
        let cases = [
            (date_trunc(lit("hour"), bucket()), Some(Some(TimeBin::Hour))),
            (date_part(lit("HOUR"), bucket()), Some(Some(TimeBin::Hour))),
            (date_trunc(lit("week"), bucket()), Some(Some(TimeBin::Day))),
            (date_part(lit("dow"), bucket()), Some(Some(TimeBin::Day))),
            (cast(bucket(), DataType::Date32), Some(Some(TimeBin::Day))),
            (
                date_bin(interval(0, 0, 6 * NANOS_OF_AN_HOUR), bucket()),
                Some(Some(TimeBin::Hour)),
            ),
            (date_bin(interval(0, 7, 0), bucket()), Some(Some(TimeBin::Day))),
            (
                date_bin(interval(0, 0, 24 * NANOS_OF_AN_HOUR), bucket()),
                Some(Some(TimeBin::Day)),
            ),
            (
                date_trunc(lit("day"), bucket()).eq(date_trunc(lit("hour"), bucket())),
                Some(Some(TimeBin::Hour)),
            ),
            (col("cell") + lit(1), Some(None)),
            (date_trunc(lit("minute"), bucket()), None),
            (date_part(lit("epoch"), bucket()), None),
            (date_bin(interval(1, 0, 0), bucket()), None),
            (date_bin(interval(0, 0, NANOS_OF_AN_HOUR + 1), bucket()), None),
            (date_bin(interval(0, 0, -NANOS_OF_AN_HOUR), bucket()), None),
            (date_trunc(lit("hour"), bucket() - interval(0, 0, 1)), None),
            (date_trunc(lit("day"), bucket()).eq(bucket()), None),
            (bucket(), None),
        ];
        for (expr, expected) in cases {
            let finest = uses([&expr], "bucket", TimeBin::within).map(|bins| bins.into_iter().min());
            assert_eq!(finest, expected, "{expr}");
        }
    }

    #[test]
    fn bins_cover_a_span_without_a_gap() {
        let at = EventTime::from_micros;
        let span = |start, end| Span {
            start: at(start),
            end: at(end),
        };
        let hours = TimeBin::Hour.of(span(-1, HOUR + 1));
        let hours: Vec<_> = hours.map(|bin| (bin.first.moment(), bin.last.moment())).collect();
        assert_eq!(
            hours,
            [
                (at(-HOUR), at(-1)),
                (at(0), at(HOUR - 1)),
                (at(HOUR), at(2 * HOUR - 1))
            ]
        );
        assert_eq!(TimeBin::Day.of(span(DAY, 2 * DAY)).count(), 1);
        assert_eq!(TimeBin::Day.of(span(DAY, DAY)).count(), 0);
    }
}
