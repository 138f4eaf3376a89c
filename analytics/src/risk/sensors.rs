//! The hazard index of an observation layer: what the sensors in reach say, as far as it still holds.

use super::intensity::HalfLife;
use riskgrid_ingest::HOUR;

/// The index at which a sensor warns.
pub const WARNING: f64 = 0.4;
/// How much longer a warning holds when its sensor falls silent: gauges drown.
const WARNING_HELD: i64 = 6 * HOUR;
/// What is fainter is out of reach: unknown, and not 0.
const FAINTEST: f64 = 0.05;

/// Which way danger lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Higher values are worse.
    #[default]
    Up,
    /// Lower values are worse.
    Down,
}

/// Points (value, index) between which the index is a straight line.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Values turned round where danger lies below, so that they ascend.
    points: Vec<(f64, f64)>,
    sign: f64,
}

/// Why points are no levels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidLevels {
    /// Fewer than two.
    #[error("it has {0} points; a line needs two, each [value, index]")]
    TooFew(usize),
    /// Not a number, or an index outside 0 to 1.
    #[error("the point [{0}, {1}] is none: a value, and an index from 0 to 1")]
    NoPoint(f64, f64),
    /// Against the direction.
    #[error("the value {second} comes after {first}; with direction \"{direction}\" values must {verb}")]
    ValuesOutOfOrder {
        /// The one before.
        first: f64,
        /// The one after.
        second: f64,
        /// `up` or `down`.
        direction: &'static str,
        /// What values should do.
        verb: &'static str,
    },
    /// An index below the one before.
    #[error("the index {second} comes after {first}; it may not fall on the way to danger")]
    IndexFalls {
        /// The one before.
        first: f64,
        /// The one after.
        second: f64,
    },
}

impl Levels {
    /// # Errors
    /// Fewer than two points, values against the direction, an index that falls or is outside 0 to 1.
    pub fn new(points: &[[f64; 2]], direction: Direction) -> Result<Self, InvalidLevels> {
        if points.len() < 2 {
            return Err(InvalidLevels::TooFew(points.len()));
        }
        let (sign, name, verb) = match direction {
            Direction::Up => (1.0, "up", "rise"),
            Direction::Down => (-1.0, "down", "fall"),
        };
        for [value, index] in points {
            if !value.is_finite() || !(0.0..=1.0).contains(index) {
                return Err(InvalidLevels::NoPoint(*value, *index));
            }
        }
        for [[first, low], [second, high]] in points.array_windows() {
            if sign * first >= sign * second {
                return Err(InvalidLevels::ValuesOutOfOrder {
                    first: *first,
                    second: *second,
                    direction: name,
                    verb,
                });
            }
            if low > high {
                return Err(InvalidLevels::IndexFalls {
                    first: *low,
                    second: *high,
                });
            }
        }
        Ok(Self {
            points: points
                .iter()
                .map(|[value, index]| (sign * value, *index))
                .collect(),
            sign,
        })
    }

    /// The index of a value: a line between the points, the first index before them; past the last it nears 1.
    pub fn index(&self, value: f64) -> f64 {
        let value = self.sign * value;
        let Some((first, rest)) = self.points.split_first() else {
            return 0.0;
        };
        if value <= first.0 {
            return first.1;
        }
        let mut before = *first;
        for point in rest {
            if value <= point.0 {
                return before.1 + (point.1 - before.1) * (value - before.0) / (point.0 - before.0);
            }
            before = *point;
        }
        let step = match self.points.as_slice() {
            [.., (before, _), (last, _)] => last - before,
            _ => 1.0,
        };
        let beyond = (value - before.0) / step;
        before.1 + (1.0 - before.1) * beyond / (1.0 + beyond)
    }
}

/// The value that the newest readings give, the newest first: the median of three, so that one spike says nothing; of two
/// the newer.
pub fn value_of(readings: &[f64]) -> Option<f64> {
    match readings {
        [] => None,
        [newest] | [newest, _] => Some(*newest),
        [a, b, c, ..] => Some(a.max(b.min(*c)).min(b.max(*c))),
    }
}

/// How much a sensor's word still counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Freshness {
    /// 1 while valid, then halved each half-life.
    pub factor: f64,
    /// Past its time, whether it is held or fades.
    pub is_stale: bool,
}

/// The freshness of a reading of this age (microseconds) and index; `None` once it is so faint that it is out of reach.
pub fn freshness(age: i64, index: f64, valid_for: i64, half_life: HalfLife) -> Option<Freshness> {
    let past = age - valid_for;
    let fading = if index >= WARNING {
        past - WARNING_HELD
    } else {
        past
    };
    let factor = if past <= 0 || fading <= 0 {
        1.0
    } else {
        half_life.left_after(fading as f64)
    };
    (factor >= FAINTEST).then_some(Freshness {
        factor,
        is_stale: past > 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use riskgrid_ingest::MINUTE;

    fn levels(points: &[[f64; 2]]) -> Levels {
        Levels::new(points, Direction::Up).unwrap()
    }

    #[test]
    fn fine_dust_has_the_index_of_its_break_points_and_nears_1_past_them() {
        let dust = levels(&[[9.0, 0.0], [35.4, 0.4], [55.4, 0.6], [125.4, 0.8]]);
        for (value, index) in [
            (0.0, 0.0),
            (9.0, 0.0),
            (22.2, 0.2),
            (35.4, 0.4),
            (45.4, 0.5),
            (125.4, 0.8),
            (195.4, 0.9),
            (265.4, 0.8 + 0.2 * 2.0 / 3.0),
        ] {
            assert!(
                (dust.index(value) - index).abs() < 1e-12,
                "{value}: {}",
                dust.index(value)
            );
        }
    }

    #[test]
    fn where_danger_lies_below_values_fall() {
        let points = [[5.0, 0.0], [3.0, 0.4], [2.0, 0.8]];
        let reservoir = Levels::new(&points, Direction::Down).unwrap();
        for (value, index) in [(6.0, 0.0), (4.0, 0.2), (2.5, 0.6), (1.0, 0.9)] {
            assert!((reservoir.index(value) - index).abs() < 1e-12, "{value}");
        }
        assert!(
            Levels::new(&points, Direction::Up)
                .unwrap_err()
                .to_string()
                .contains("must rise")
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for points in [
            vec![[1.0, 0.0]],
            vec![[1.0, 0.0], [1.0, 0.4]],
            vec![[1.0, 0.4], [2.0, 0.0]],
            vec![[1.0, 0.0], [2.0, 1.5]],
            vec![[f64::NAN, 0.0], [2.0, 0.5]],
        ] {
            assert!(Levels::new(&points, Direction::Up).is_err(), "{points:?}");
        }
    }

    #[test]
    fn one_spike_says_nothing_and_of_two_readings_the_newer_counts() {
        assert_eq!(value_of(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(value_of(&[1.0, 9.0, 2.0]), Some(2.0));
        assert_eq!(value_of(&[2.0, 9.0, 1.0, 100.0]), Some(2.0));
        assert_eq!(value_of(&[9.0, 1.0]), Some(9.0));
        assert_eq!(value_of(&[9.0]), Some(9.0));
        assert_eq!(value_of(&[]), None);
    }

    #[test]
    fn a_warning_is_held_when_its_gauge_falls_silent_and_then_fades_out_of_reach() {
        let half_life = HalfLife::new(3 * HOUR).unwrap();
        let fresh = |age: i64, index: f64| freshness(age, index, 30 * MINUTE, half_life);
        let is = |factor: f64, is_stale: bool| Some(Freshness { factor, is_stale });
        assert_eq!(fresh(30 * MINUTE, 0.1), is(1.0, false));
        assert_eq!(fresh(30 * MINUTE + 3 * HOUR, 0.1), is(0.5, true));
        assert_eq!(fresh(30 * MINUTE + 6 * HOUR, 0.4), is(1.0, true));
        assert_eq!(fresh(30 * MINUTE + 9 * HOUR, 0.4), is(0.5, true));
        assert_eq!(fresh(30 * MINUTE + 13 * HOUR, 0.1), None);
        assert_eq!(fresh(30 * MINUTE + 19 * HOUR, 0.9), None);
    }
}
