//! The week of a city and of its groups: which hours have more events than others.

use super::HOURS_OF_WEEK;

/// Events with which an hour of the week of a group is drawn towards that of the city.
const EVENTS_OF_CITY: f64 = 10.0;
/// So that no hour of the week of the city has none.
const HALF_AN_EVENT: f64 = 0.5;

/// By hour of the week; 1 on average over those that were seen.
pub(super) type Week = [f64; HOURS_OF_WEEK];

/// How often each hour of the week was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    times: [f64; HOURS_OF_WEEK],
    mean: f64,
}

impl Seen {
    pub(super) fn of(hours: &[u8]) -> Self {
        let mut times = [0.0; HOURS_OF_WEEK];
        for hour in hours {
            if let Some(times) = times.get_mut(usize::from(*hour)) {
                *times += 1.0;
            }
        }
        let seen = times.iter().filter(|times| **times > 0.0).count().max(1);
        Self {
            times,
            mean: hours.len() as f64 / seen as f64,
        }
    }

    /// Divides by the mean over the hours that were seen; 1 in the others.
    fn scaled(&self, mut rates: Week) -> Week {
        let (mut sum, mut number) = (0.0, 0.0);
        for (rate, times) in rates.iter().zip(&self.times) {
            if *times > 0.0 {
                sum += rate;
                number += 1.0;
            }
        }
        let mean = sum / f64::max(number, 1.0);
        for (rate, times) in rates.iter_mut().zip(&self.times) {
            *rate = if *times > 0.0 { *rate / mean } else { 1.0 };
        }
        rates
    }

    /// P.
    pub(super) fn of_city(&self, events: &Week) -> Week {
        let mut rates = *events;
        for (rate, times) in rates.iter_mut().zip(&self.times) {
            *rate = (*rate + HALF_AN_EVENT) / times;
        }
        self.scaled(rates)
    }

    /// S of a group.
    pub(super) fn of_group(&self, events: &Week, city: &Week) -> Week {
        let mut rates = *events;
        for ((rate, times), of_city) in rates.iter_mut().zip(&self.times).zip(city) {
            *rate = (*rate + EVENTS_OF_CITY * of_city * times / self.mean) / times;
        }
        self.scaled(rates)
    }
}
