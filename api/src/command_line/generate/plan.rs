//! What the load is made of, from the flags.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use clap::Args;
use riskgrid_fixtures::load::{Options, Refusal};

use super::super::serve::positive;

/// Event time of a load that says nothing of it.
const DEFAULT_SPAN: Duration = Duration::from_hours(1);
/// Later ones would be `too_late` in a partition whose newest event is just as far ahead.
const MOST_LATENESS: Duration = Duration::from_hours(12);
/// `edge.future_skew` of a receiver, less a little.
const FUTURE_MICROS: i64 = 240_000_000;

/// How much of what.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is made")]
pub(super) struct LoadArguments {
    /// How many lines, good and bad.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    events: u64,
    /// How many sensors: gauges, masts and power meters of an invented city, a third each.
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sensors: u64,
    /// Pace of sending. Default: as fast as the lines are taken.
    #[arg(long, value_name = "EVENTS_PER_S", value_parser = positive)]
    rate: Option<f64>,
    /// Share of new events that are late, by up to --max-lateness.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction)]
    late: f64,
    /// The most that an event is late. Most are then late enough to change a minute that is closed already.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    max_lateness: Duration,
    /// Share of good lines that repeat an earlier one, byte by byte.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction)]
    duplicates: f64,
    /// Share of lines that must be refused, for eight reasons in equal parts.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction)]
    bad: f64,
    /// Start a burst that often, in event time. Default: no bursts.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    burst_every: Option<Duration>,
    /// How long a burst lasts.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    burst_length: Duration,
    /// How many times more events come in a burst.
    #[arg(long, value_name = "FACTOR", default_value_t = 10.0, value_parser = positive)]
    burst_factor: f64,
    /// Where all chance comes from: the same seed, flags and --start make the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Event time that the load covers, such as 1d. Default: 1h; with --rate, as long as sending takes.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    span: Option<Duration>,
    /// Time of the first event, RFC 3339. Default: the load ends now; with --rate and without --span, it starts now.
    #[arg(long, value_name = "TIME", value_parser = DateTime::parse_from_rfc3339)]
    start: Option<DateTime<FixedOffset>>,
}

/// What is made, and how fast it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) options: Options,
    /// Event time covered, in seconds.
    pub(super) span_seconds: f64,
    /// Event seconds sent in one second; none: as fast as it goes.
    pub(super) speed: Option<f64>,
    /// Lines are sent when their time comes.
    is_live: bool,
}

impl LoadArguments {
    /// `now` in microseconds since 1970.
    ///
    /// # Errors
    /// Flags that do not go together; the message says which.
    pub(super) fn plan(&self, now: i64) -> Result<Plan, String> {
        self.check()?;
        let events = self.events as f64;
        let sending_seconds = self.rate.map(|rate| events / rate);
        let span_seconds = self
            .span
            .map(|span| span.as_secs_f64())
            .or(sending_seconds)
            .unwrap_or(DEFAULT_SPAN.as_secs_f64());
        let starts_now = self.rate.is_some() && self.span.is_none();
        let start = match self.start {
            Some(start) => start.timestamp_micros(),
            None if starts_now => now,
            None => now - (span_seconds * 1e6) as i64,
        };
        let every = self.burst_every.unwrap_or_default().as_secs_f64();
        let length = self.burst_length.as_secs_f64();
        let times_more = if every > 0.0 {
            1.0 + (self.burst_factor - 1.0) * length / every
        } else {
            1.0
        };
        let refused = Refusal::ALL.map(|refusal| (refusal, self.bad / Refusal::ALL.len() as f64));
        let options = Options {
            seed: self.seed,
            lines: self.events,
            sensors: usize::try_from(self.sensors).unwrap_or(usize::MAX),
            // Whole milliseconds, as they are written.
            start_micros: start - start.rem_euclid(1000),
            lines_per_second: (events / span_seconds / times_more).max(f64::MIN_POSITIVE),
            burst_every_seconds: every,
            burst_seconds: length,
            burst_factor: self.burst_factor,
            late_share: self.late,
            max_lateness_seconds: self.max_lateness.as_secs(),
            duplicate_share: self.duplicates,
            refused: if self.bad > 0.0 {
                refused.to_vec()
            } else {
                Vec::new()
            },
            ..Options::default()
        };
        Ok(Plan {
            options,
            span_seconds,
            speed: sending_seconds.map(|seconds| span_seconds / seconds),
            is_live: starts_now && self.start.is_none(),
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.events == 0 {
            return Err("--events must be at least 1".to_owned());
        }
        if self.span.is_some_and(|span| span.is_zero()) {
            return Err("--span must be above 0".to_owned());
        }
        if !(Duration::from_secs(1)..=MOST_LATENESS).contains(&self.max_lateness) {
            return Err("--max-lateness must be from 1s to 12h: by default riskgrid refuses as too_late what is a day late".to_owned());
        }
        if let Some(every) = self.burst_every
            && (self.burst_length.is_zero() || self.burst_length > every)
        {
            return Err("--burst-length must be above 0 and at most --burst-every".to_owned());
        }
        Ok(())
    }
}

impl Plan {
    /// # Errors
    /// The end of the load is ahead of the clock, and would be refused as `in_future`.
    pub(super) fn must_not_be_in_future(&self, now: i64) -> Result<(), String> {
        let end = self
            .options
            .start_micros
            .saturating_add((self.span_seconds * 1e6) as i64);
        if !self.is_live && end > now.saturating_add(FUTURE_MICROS) {
            let start = riskgrid_ingest::EventTime::from_micros(self.options.start_micros);
            return Err(format!(
                "the load of {} from {start} ends in the future, where events are refused; use an earlier --start or a shorter --span",
                humantime::format_duration(Duration::from_secs(self.span_seconds as u64))
            ));
        }
        Ok(())
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const NOW: i64 = 1_789_344_000_123_456;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArguments,
    }

    fn plan(flags: &[&str]) -> Result<Plan, String> {
        let line =
            Line::try_parse_from(["generate"].iter().chain(flags)).map_err(|error| error.to_string())?;
        line.load.plan(NOW)
    }

    #[test]
    fn by_default_the_last_hour_is_made_as_fast_as_it_goes() {
        let plan = plan(&[]).unwrap();
        assert_eq!(plan.options.start_micros, NOW - 456 - 3_600_000_000);
        assert_eq!((plan.options.lines, plan.speed), (100_000, None));
        assert!((plan.options.lines_per_second - 100_000.0 / 3_600.0).abs() < 1e-9);
        assert_eq!(plan.must_not_be_in_future(NOW), Ok(()));
    }

    #[test]
    fn with_a_rate_alone_events_are_of_now() {
        let plan = plan(&["--rate", "2000", "--events", "600000"]).unwrap();
        assert_eq!(plan.options.start_micros, NOW - 456);
        assert_eq!((plan.span_seconds, plan.speed), (300.0, Some(1.0)));
        assert_eq!(plan.must_not_be_in_future(NOW), Ok(()));
    }

    #[test]
    fn a_span_with_a_rate_is_played_faster() {
        let plan = plan(&["--rate", "1000", "--events", "60000", "--span", "1h"]).unwrap();
        assert_eq!(plan.speed, Some(60.0));
        assert_eq!(plan.options.start_micros, NOW - 456 - 3_600_000_000);
    }

    #[test]
    fn bursts_and_the_rest_fill_the_span() {
        let plan = plan(&["--events", "60000", "--span", "1h", "--burst-every", "60s"]).unwrap();
        let last = riskgrid_fixtures::load::generate(&plan.options).last().unwrap();
        let seconds = (last.time_micros - plan.options.start_micros) as f64 / 1e6;
        assert!((3_500.0..3_605.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        for (flags, word) in [
            (&["--events", "0"][..], "--events"),
            (&["--late", "1.5"], "from 0 to 1"),
            (&["--bad", "NaN"], "from 0 to 1"),
            (&["--max-lateness", "2d"], "--max-lateness"),
            (&["--span", "0s"], "--span"),
            (
                &["--burst-every", "10s", "--burst-length", "20s"],
                "--burst-length",
            ),
            (&["--start", "2026-09-14T00:00:00"], "--start"),
        ] {
            let said = plan(flags).unwrap_err();
            assert!(said.contains(word), "{flags:?}: {said}");
        }
        let future = plan(&["--start", "2026-09-14T00:00:00Z", "--span", "1d"]).unwrap();
        assert!(future.must_not_be_in_future(NOW).is_err());
    }
}
