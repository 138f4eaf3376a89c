//! What kind of surprise a cell is: a black swan, a grey rhino, something to watch, or none.

/// A class, from the gravest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Rare, and grave.
    BlackSwan,
    /// Long in coming, and large.
    GreyRhino,
    /// One half of either, or simply a high risk.
    Watch,
    /// Nothing of it.
    #[default]
    Normal,
}

impl Class {
    /// From the gravest.
    pub const ALL: [Self; 4] = [Self::BlackSwan, Self::GreyRhino, Self::Watch, Self::Normal];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlackSwan => "black_swan",
            Self::GreyRhino => "grey_rhino",
            Self::Watch => "watch",
            Self::Normal => "normal",
        }
    }
}

/// Days between bursts of a layer that make one rare.
const RARE_DAYS: f64 = 100.0;
/// The same in an emergency.
const RARE_DAYS_OF_EMERGENCY: f64 = 10.0;
/// The risk of a black swan.
const SWAN_RISK: f64 = 0.4;
/// Weeks over which a trend rises, its false discovery rate.
pub(super) const TREND_Q: f64 = 0.05;
/// The level of a trend that is a rhino.
const RHINO_LEVEL: f64 = 0.3;
/// A level that is high.
pub(super) const HIGH_LEVEL: f64 = 0.6;
/// The share of 28 days in which a level was high.
pub(super) const HIGH_SHARE: f64 = 0.8;
/// The risk that is watched whatever its past.
pub(super) const WATCH_RISK: f64 = 0.6;

/// What the class of a cell is made of; what is not known does not count for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signs {
    /// R.
    pub risk: f64,
    /// The hazard's level.
    pub level: f64,
    /// Days between bursts like that of the cell's parent, for the whole layer, where it has enough events.
    pub recurrence_days: Option<f64>,
    /// q of a trend of twelve weeks that rises.
    pub rising_q: Option<f64>,
    /// The share of the last 28 days in which its level was 0.6 or more.
    pub high_share: Option<f64>,
    /// Whether its area is in an emergency.
    pub is_emergency: bool,
}

/// The first that matches.
pub fn class_of(signs: &Signs) -> Class {
    let rare_days = if signs.is_emergency {
        RARE_DAYS_OF_EMERGENCY
    } else {
        RARE_DAYS
    };
    let is_rare = signs.recurrence_days.is_some_and(|days| days >= rare_days);
    let rises = signs.rising_q.is_some_and(|q| q < TREND_Q);
    let stays_high = signs.high_share.is_some_and(|share| share >= HIGH_SHARE);
    if is_rare && signs.risk >= SWAN_RISK {
        Class::BlackSwan
    } else if (rises && signs.level >= RHINO_LEVEL) || stays_high {
        Class::GreyRhino
    } else if is_rare || rises || signs.risk >= WATCH_RISK {
        Class::Watch
    } else {
        Class::Normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_gives_the_class() {
        let rare = Signs {
            risk: 0.5,
            level: 0.2,
            recurrence_days: Some(100.0),
            ..Signs::default()
        };
        let rising = Signs {
            risk: 0.5,
            level: 0.3,
            rising_q: Some(0.049),
            ..Signs::default()
        };
        for (signs, class) in [
            (rare, Class::BlackSwan),
            (Signs { risk: 0.39, ..rare }, Class::Watch),
            (
                Signs {
                    recurrence_days: Some(99.0),
                    ..rare
                },
                Class::Normal,
            ),
            (
                Signs {
                    recurrence_days: Some(10.0),
                    is_emergency: true,
                    ..rare
                },
                Class::BlackSwan,
            ),
            (
                Signs {
                    recurrence_days: Some(9.9),
                    is_emergency: true,
                    ..rare
                },
                Class::Normal,
            ),
            (rising, Class::GreyRhino),
            (
                Signs {
                    level: 0.29,
                    ..rising
                },
                Class::Watch,
            ),
            (
                Signs {
                    rising_q: Some(0.05),
                    ..rising
                },
                Class::Normal,
            ),
            (
                Signs {
                    high_share: Some(0.8),
                    ..Signs::default()
                },
                Class::GreyRhino,
            ),
            (
                Signs {
                    risk: 0.6,
                    ..Signs::default()
                },
                Class::Watch,
            ),
            (
                Signs {
                    risk: 0.59,
                    ..Signs::default()
                },
                Class::Normal,
            ),
        ] {
            assert_eq!(class_of(&signs), class, "{signs:?}");
        }
    }
}
