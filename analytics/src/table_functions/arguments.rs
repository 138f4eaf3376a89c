//! Reading the literals that a table function is called with; NULL means that an argument was left out.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use riskgrid_ingest::EventTime;

use crate::sql::SqlError;

/// The arguments of one call, in the order of their names.
pub(super) struct Arguments<'a> {
    function: &'static str,
    names: &'static [&'static str],
    values: &'a [Expr],
}

impl<'a> Arguments<'a> {
    pub(super) const fn new(
        function: &'static str,
        names: &'static [&'static str],
        values: &'a [Expr],
    ) -> Self {
        Self {
            function,
            names,
            values,
        }
    }

    /// An error that names the argument, what it holds and what is allowed.
    pub(super) fn wrong(&self, name: &str, value: impl std::fmt::Display, allowed: &str) -> SqlError {
        SqlError::bad_request(format!(
            "{}: `{name}` is {value}, allowed: {allowed}",
            self.function
        ))
    }

    fn get(&self, name: &str) -> Option<&'a ScalarValue> {
        let position = self.names.iter().position(|known| *known == name)?;
        match self.values.get(position) {
            Some(Expr::Literal(value, _)) if !value.is_null() => Some(value),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, SqlError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.try_as_str() {
                Some(Some(text)) => Ok(Some(text)),
                _ => Err(self.wrong(name, value, "text")),
            },
        }
    }

    pub(super) fn whole(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, SqlError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = match value {
            ScalarValue::Int64(Some(number)) => Some(*number),
            ScalarValue::Int32(Some(number)) => Some(i64::from(*number)),
            ScalarValue::UInt64(Some(number)) => i64::try_from(*number).ok(),
            _ => None,
        };
        number
            .filter(|number| (least..=most).contains(number))
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, &format!("a whole number from {least} to {most}")))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, SqlError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value {
            ScalarValue::Float64(Some(number)) => Ok(Some(*number)),
            ScalarValue::Int64(Some(number)) => Ok(Some(*number as f64)),
            ScalarValue::UInt64(Some(number)) => Ok(Some(*number as f64)),
            _ => Err(self.wrong(name, value, "a number")),
        }
    }

    /// A span of time above zero, in microseconds. Months have no fixed length and are refused.
    pub(super) fn interval(&self, name: &str) -> Result<Option<i64>, SqlError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let allowed =
            "an interval above zero of weeks, days, hours, minutes or seconds, such as INTERVAL '24 hours'";
        let micros = match value {
            ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
                i64::from(interval.days)
                    .checked_mul(riskgrid_ingest::DAY)
                    .and_then(|days| days.checked_add(interval.nanoseconds / 1000))
            }
            ScalarValue::IntervalDayTime(Some(interval)) => i64::from(interval.days)
                .checked_mul(riskgrid_ingest::DAY)
                .and_then(|days| days.checked_add(i64::from(interval.milliseconds) * 1000)),
            _ => None,
        };
        micros
            .filter(|micros| *micros > 0)
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, allowed))
    }

    /// A timestamp, or RFC 3339 text.
    pub(super) fn time(&self, name: &str) -> Result<Option<EventTime>, SqlError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let time = match value {
            ScalarValue::TimestampSecond(Some(time), _) => {
                time.checked_mul(1_000_000).map(EventTime::from_micros)
            }
            ScalarValue::TimestampMillisecond(Some(time), _) => {
                time.checked_mul(1_000).map(EventTime::from_micros)
            }
            ScalarValue::TimestampMicrosecond(Some(time), _) => Some(EventTime::from_micros(*time)),
            ScalarValue::TimestampNanosecond(Some(time), _) => {
                Some(EventTime::from_micros(time.div_euclid(1000)))
            }
            other => other.try_as_str().flatten().and_then(EventTime::parse_rfc3339),
        };
        time.map(Some)
            .ok_or_else(|| self.wrong(name, value, "a timestamp, or text like '2026-11-22T08:00:00Z'"))
    }
}
