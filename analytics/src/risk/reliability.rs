//! Reliability: how far a class of channels, or a device, is believed, after how its reports turned out. Never of a person.

use super::corroboration::PRIORS;

/// Outcomes that the prior counts as.
const PRIOR_OUTCOMES: f64 = 10.0;
/// After how many days an outcome counts half.
const HALF_LIFE_DAYS: f64 = 180.0;
/// However they turned out, so far at least.
const LEAST: f64 = 0.05;
/// And so far at most.
const MOST: f64 = 0.95;

/// Closed reports, faded by age.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// That were true.
    pub confirmed: f64,
    /// That were not.
    pub false_alarms: f64,
}

impl Outcomes {
    /// Takes in a report that was closed so long ago; `duplicate` and `unknown` say nothing.
    pub fn add(&mut self, outcome: &str, age_micros: i64) {
        let weight = (-(age_micros as f64) / (HALF_LIFE_DAYS * 86_400e6))
            .exp2()
            .min(1.0);
        match outcome {
            "confirmed" => self.confirmed += weight,
            "false" => self.false_alarms += weight,
            _ => {}
        }
    }

    /// r, of a class of this number.
    pub fn reliability(&self, class: usize) -> f64 {
        let prior = PRIORS.get(class).copied().unwrap_or(LEAST);
        let believed = PRIOR_OUTCOMES * prior + self.confirmed;
        (believed / (PRIOR_OUTCOMES + self.confirmed + self.false_alarms)).clamp(LEAST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_of_fifty_true_calls_raise_a_half_to_three_quarters() {
        let phone = Outcomes {
            confirmed: 40.0,
            false_alarms: 10.0,
        };
        assert!((phone.reliability(3) - 0.75).abs() < 1e-12);
        assert_eq!(Outcomes::default().reliability(3), 0.5);
    }

    #[test]
    fn outcomes_fade_and_some_say_nothing() {
        let mut outcomes = Outcomes::default();
        outcomes.add("confirmed", 0);
        outcomes.add("false", 180 * 86_400_000_000);
        outcomes.add("duplicate", 0);
        outcomes.add("unknown", 0);
        assert_eq!(
            outcomes,
            Outcomes {
                confirmed: 1.0,
                false_alarms: 0.5
            }
        );
        let liars = Outcomes {
            confirmed: 0.0,
            false_alarms: 1e6,
        };
        assert_eq!(liars.reliability(1), 0.05);
    }
}
