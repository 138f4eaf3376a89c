//! Reads the literals that a table function is called with. NULL, which stands for an argument left out, is `None`.

use chrono::Months;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use riskgrid_ingest::{DAY, EventTime};

use crate::sql::SqlError;

/// The arguments of one call.
pub(super) struct Arguments<'a> {
    pub(super) function: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) values: &'a [Expr],
}

/// A length of time as SQL's INTERVAL has it: months differ in length, a day is 24 hours here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    months: u32,
    micros: i64,
}

impl Length {
    pub(super) const DAY: Self = Self {
        months: 0,
        micros: DAY,
    };

    pub(super) const fn days(days: i64) -> Self {
        Self::of_micros(days * DAY)
    }

    pub(super) const fn of_micros(micros: i64) -> Self {
        Self { months: 0, micros }
    }

    /// In microseconds, where no month is in it.
    pub(super) fn micros(self) -> Option<i64> {
        (self.months == 0).then_some(self.micros)
    }

    /// This long before `time`; stops at the ends of the range.
    pub(super) fn before(self, time: EventTime) -> EventTime {
        let earlier = if self.months == 0 {
            time
        } else {
            let start = time.to_utc().checked_sub_months(Months::new(self.months));
            start.map_or(EventTime::from_micros(i64::MIN), EventTime::from)
        };
        earlier.plus(-self.micros)
    }
}

impl Arguments<'_> {
    fn value(&self, name: &str) -> Result<Option<&ScalarValue>, SqlError> {
        let position = self.names.iter().position(|known| *known == name);
        match position.and_then(|position| self.values.get(position)) {
            Some(Expr::Literal(value, _)) if value.is_null() => Ok(None),
            Some(Expr::Literal(value, _)) => Ok(Some(value)),
            Some(other) => Err(self.refuse(name, &other.to_string(), "a constant")),
            None => Ok(None),
        }
    }

    /// The error for an argument: its name, its value, and what would be accepted.
    pub(super) fn refuse(&self, name: &str, value: &str, allowed: &str) -> SqlError {
        SqlError::BadRequest(format!(
            "{}: {name} is {value}, allowed is {allowed}",
            self.function
        ))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, SqlError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        text_of(value)
            .map(Some)
            .ok_or_else(|| self.refuse(name, &value.to_string(), "a text in single quotes"))
    }

    /// A whole number from 0 to `greatest`.
    pub(super) fn whole(&self, name: &str, greatest: u64) -> Result<Option<u64>, SqlError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        let number = match value.cast_to(&DataType::UInt64) {
            Ok(ScalarValue::UInt64(number)) if value.data_type().is_integer() => number,
            _ => None,
        };
        number
            .filter(|number| *number <= greatest)
            .map(Some)
            .ok_or_else(|| {
                let allowed = format!("a whole number from 0 to {greatest}");
                self.refuse(name, &value.to_string(), &allowed)
            })
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f64>, SqlError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(number))) if value.data_type().is_numeric() => Ok(Some(number)),
            _ => Err(self.refuse(name, &value.to_string(), "a number")),
        }
    }

    /// An INTERVAL above 0, or its text.
    pub(super) fn length(&self, name: &str) -> Result<Option<Length>, SqlError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        let is_length = text_of(value).is_some()
            || matches!(value.data_type(), DataType::Interval(_) | DataType::Duration(_));
        let interval = value
            .cast_to(&DataType::Interval(IntervalUnit::MonthDayNano))
            .ok()
            .filter(|_| is_length);
        if let Some(ScalarValue::IntervalMonthDayNano(Some(interval))) = interval {
            let micros = i64::from(interval.days) * DAY + interval.nanoseconds / 1000;
            if let Ok(months) = u32::try_from(interval.months)
                && micros >= 0
                && (months > 0 || micros > 0)
            {
                return Ok(Some(Length { months, micros }));
            }
        }
        Err(self.refuse(
            name,
            &value.to_string(),
            "an INTERVAL above 0, as in INTERVAL '24 hours'",
        ))
    }

    /// As [`length`](Self::length) without months, in microseconds.
    pub(super) fn micros(&self, name: &str) -> Result<Option<i64>, SqlError> {
        let Some(length) = self.length(name)? else {
            return Ok(None);
        };
        length.micros().map(Some).ok_or_else(|| {
            let value = self.value(name).ok().flatten().map(ToString::to_string);
            self.refuse(
                name,
                &value.unwrap_or_default(),
                "an INTERVAL of weeks, days, hours or less: months differ in length",
            )
        })
    }

    /// A timestamp (UTC where it has no zone), a date, or RFC 3339 text.
    pub(super) fn time(&self, name: &str) -> Result<Option<EventTime>, SqlError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        let time = if let Some(text) = text_of(value) {
            EventTime::parse_rfc3339(text)
        } else if matches!(
            value.data_type(),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
        ) {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            match value.cast_to(&utc) {
                Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) => {
                    Some(EventTime::from_micros(micros))
                }
                _ => None,
            }
        } else {
            None
        };
        time.map(Some).ok_or_else(|| {
            self.refuse(
                name,
                &value.to_string(),
                "a timestamp, or RFC 3339 text with an offset, as in '2026-11-22T08:00:00Z'",
            )
        })
    }
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::IntervalMonthDayNano;
    use datafusion::logical_expr::lit;

    fn one(value: ScalarValue, read: impl Fn(&Arguments<'_>) -> bool) -> bool {
        read(&Arguments {
            function: "f",
            names: &["a"],
            values: &[lit(value)],
        })
    }

    #[test]
    fn lengths_are_above_zero_and_months_are_those_of_the_calendar() {
        let interval = |months, days, nanoseconds| {
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
        };
        for bad in [
            interval(0, 0, 0),
            interval(0, -1, 0),
            interval(0, 0, 999),
            ScalarValue::Int64(Some(5)),
            ScalarValue::from("soon"),
        ] {
            assert!(one(bad.clone(), |args| args.length("a").is_err()), "{bad:?}");
        }
        let month = Length { months: 1, micros: 0 };
        assert!(one(interval(1, 0, 0), |args| args.length("a") == Ok(Some(month))));
        assert!(one(ScalarValue::from("1 day"), |args| args.length("a")
            == Ok(Some(Length::DAY))));
        let at = |text| EventTime::parse_rfc3339(text).unwrap();
        assert_eq!(
            month.before(at("2026-03-31T00:00:00Z")),
            at("2026-02-28T00:00:00Z")
        );
    }

    #[test]
    fn times_are_instants() {
        let expected = EventTime::parse_rfc3339("2026-11-22T08:00:00Z").unwrap();
        for good in [
            ScalarValue::from("2026-11-22T09:00:00+01:00"),
            ScalarValue::TimestampNanosecond(Some(expected.micros() * 1000), None),
            ScalarValue::TimestampSecond(Some(expected.micros() / 1_000_000), Some("+05:00".into())),
        ] {
            assert!(
                one(good.clone(), |args| args.time("a") == Ok(Some(expected))),
                "{good:?}"
            );
        }
        for bad in [
            ScalarValue::from("2026-11-22T09:00:00"),
            ScalarValue::Int64(Some(1)),
        ] {
            assert!(one(bad.clone(), |args| args.time("a").is_err()), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_in_their_range() {
        assert!(one(ScalarValue::Int64(Some(8)), |args| args.whole("a", 15)
            == Ok(Some(8))));
        for bad in [
            ScalarValue::Int64(Some(16)),
            ScalarValue::Int64(Some(-1)),
            ScalarValue::from("8"),
            ScalarValue::Float64(Some(8.5)),
        ] {
            assert!(one(bad.clone(), |args| args.whole("a", 15).is_err()), "{bad:?}");
        }
        assert!(one(ScalarValue::Null, |args| args.whole("a", 15) == Ok(None)));
    }
}
