//! The clock of each domain, by which what lasts for a time is over: that of its data, and for live data the wall clock once
//! nothing more comes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use riskgrid_ingest::grid::DomainClock;
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};

/// How long nothing new must have come for live data to be taken as read to their end.
const QUIET: Duration = Duration::from_secs(30);

/// What was seen of the domains' clocks.
#[derive(Debug, Default)]
pub(super) struct DomainClocks {
    wall: Option<EventTime>,
    complete_to: HashMap<String, EventTime>,
    /// The newest of the live data, and since when it has been.
    live: Option<(Option<EventTime>, Instant)>,
    is_quiet: bool,
}

impl DomainClocks {
    /// Takes a look, at a time of the wall clock (µs) and of one that nobody sets.
    pub(super) fn look(&mut self, domains: &[DomainClock], wall: i64, at: Instant) {
        self.wall = Some(EventTime::from_micros(wall));
        self.complete_to = domains
            .iter()
            .filter_map(|clock| Some((clock.domain.to_string(), clock.complete_to?)))
            .collect();
        let live = domains.iter().find(|clock| *clock.domain == *LIVE_DOMAIN);
        let newest = live.and_then(|clock| clock.newest_bucket_end.max(clock.complete_to));
        let since = match self.live {
            Some((known, since)) if known == newest => since,
            _ => at,
        };
        self.live = Some((newest, since));
        self.is_quiet = at.saturating_duration_since(since) >= QUIET;
    }

    /// What time it is in a domain, as far as is known.
    pub(super) fn now_of(&self, domain: &str) -> Option<EventTime> {
        let complete_to = self.complete_to.get(domain).copied();
        if domain == LIVE_DOMAIN && self.is_quiet {
            return self.wall.max(complete_to);
        }
        complete_to
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn clock(domain: &str, complete_to: i64) -> DomainClock {
        DomainClock {
            domain: domain.into(),
            complete_to: Some(EventTime::from_micros(complete_to)),
            newest_bucket_end: Some(EventTime::from_micros(complete_to)),
        }
    }

    #[test]
    fn what_is_behind_follows_its_data_and_the_wall_clock_only_once_nothing_more_comes() {
        let (mut clocks, start) = (DomainClocks::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let at = |micros| Some(EventTime::from_micros(micros));
        clocks.look(&[clock("live", 10), clock("typhoon", 5)], 1_000, after(0));
        assert_eq!(clocks.now_of("live"), at(10));
        clocks.look(&[clock("live", 20)], 1_001, after(29));
        clocks.look(&[clock("live", 20)], 1_002, after(58));
        assert_eq!(clocks.now_of("live"), at(20), "29 s without anything new");
        clocks.look(&[clock("live", 20), clock("typhoon", 5)], 1_003, after(59));
        assert_eq!(clocks.now_of("live"), at(1_003));
        assert_eq!(clocks.now_of("typhoon"), at(5), "a replay has a clock of its own");
        clocks.look(&[clock("live", 30)], 1_004, after(60));
        assert_eq!(clocks.now_of("live"), at(30));
    }

    #[test]
    fn without_any_data_it_is_the_wall_clock_that_counts() {
        let (mut clocks, start) = (DomainClocks::default(), Instant::now());
        clocks.look(&[], 1_000, start);
        assert_eq!(clocks.now_of("live"), None);
        clocks.look(&[], 2_000, start + QUIET);
        assert_eq!(clocks.now_of("live"), Some(EventTime::from_micros(2_000)));
    }
}
