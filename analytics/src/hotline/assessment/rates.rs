//! Shares of counts: each with its denominator, a percentage and an interval.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::SerializeMap;

use super::unit::{AssessedUnit, OutReason, Resolved};

/// The quantile of the normal law that 95 % lie within, on both sides.
const Z95: f64 = 1.959_963_984_540;
/// Of five, from this on a rating counts as satisfied.
const SATISFIED: u8 = 3;

/// `count` of `of`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

impl Rate {
    /// The percentage in tenths, half up; `None` of nothing.
    pub fn tenths_of_percent(self) -> Option<u64> {
        let (count, of) = (u128::from(self.count), u128::from(self.of));
        let tenths = (2_000 * count + of).checked_div(2 * of)?;
        u64::try_from(tenths).ok()
    }

    /// Wilson's score interval of 95 %; `None` of nothing.
    pub fn interval(self) -> Option<(f64, f64)> {
        if self.of == 0 {
            return None;
        }
        let n = self.of as f64;
        let share = self.count as f64 / n;
        let z2 = Z95 * Z95;
        let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
        Some((middle - half, middle + half))
    }

    fn counted(mut self, is_one: bool) -> Self {
        self.of += 1;
        self.count += u64::from(is_one);
        self
    }

    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            of: self.of + other.of,
        }
    }
}

impl Serialize for Rate {
    /// `{"count", "of", "percent", "low", "high"}`, or null of nothing.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Some(tenths), Some((low, high))) = (self.tenths_of_percent(), self.interval()) else {
            return serializer.serialize_none();
        };
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("count", &self.count)?;
        map.serialize_entry("of", &self.of)?;
        map.serialize_entry("percent", &(tenths as f64 / 10.0))?;
        map.serialize_entry("low", &low)?;
        map.serialize_entry("high", &high)?;
        map.end()
    }
}

/// The rates of an office, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OfficeRates {
    /// The units that count.
    pub n: u64,
    /// Those that do not, by reason.
    pub out: BTreeMap<&'static str, u64>,
    /// Started.
    pub response: Rate,
    /// Replied before due.
    pub timely: Rate,
    /// Answered, of those that replied.
    pub coverage: Rate,
    /// Resolved, of those that answered.
    pub resolution: Rate,
    /// Satisfied, of those that answered.
    pub satisfaction: Rate,
}

impl OfficeRates {
    fn count(&mut self, unit: &AssessedUnit) {
        if let Some(reason) = unit.out {
            *self.out.entry(reason.as_str()).or_default() += 1;
            return;
        }
        self.n += 1;
        self.response = self.response.counted(unit.responded);
        self.timely = self.timely.counted(unit.is_timely());
        if unit.replied_at.is_some() {
            self.coverage = self.coverage.counted(unit.resolved.is_some());
        }
        if let Some(resolved) = unit.resolved {
            self.resolution = self.resolution.counted(resolved == Resolved::Yes);
            let is_satisfied = unit.rating.is_some_and(|rating| SATISFIED <= rating);
            self.satisfaction = self.satisfaction.counted(is_satisfied);
        }
    }

    fn add(&mut self, other: &Self) {
        self.n += other.n;
        for (reason, number) in &other.out {
            *self.out.entry(reason).or_default() += number;
        }
        self.response = self.response.plus(other.response);
        self.timely = self.timely.plus(other.timely);
        self.coverage = self.coverage.plus(other.coverage);
        self.resolution = self.resolution.plus(other.resolution);
        self.satisfaction = self.satisfaction.plus(other.satisfaction);
    }

    /// The five rates by name.
    pub const fn rates(&self) -> [(&'static str, Rate); 5] {
        [
            ("response", self.response),
            ("timely", self.timely),
            ("coverage", self.coverage),
            ("resolution", self.resolution),
            ("satisfaction", self.satisfaction),
        ]
    }
}

/// The rates of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// By office.
    pub offices: BTreeMap<String, OfficeRates>,
    /// Sums over sums.
    pub city: OfficeRates,
}

impl Assessment {
    /// Of the units of a month.
    pub fn of<'a>(units: impl IntoIterator<Item = &'a AssessedUnit>) -> Self {
        let mut assessment = Self::default();
        for unit in units {
            let office = assessment
                .offices
                .entry(unit.office.clone())
                .or_insert_with(|| OfficeRates {
                    out: OutReason::ALL.map(|reason| (reason.as_str(), 0)).into(),
                    ..OfficeRates::default()
                });
            office.count(unit);
        }
        assessment.city.out = OutReason::ALL.map(|reason| (reason.as_str(), 0)).into();
        for office in assessment.offices.values() {
            assessment.city.add(office);
        }
        assessment
    }

    /// Offices by id × ratings 1 to 5: what the published table is made of.
    pub fn rating_counts<'a>(
        units: impl IntoIterator<Item = &'a AssessedUnit>,
    ) -> BTreeMap<String, [u64; 5]> {
        let mut counts: BTreeMap<String, [u64; 5]> = BTreeMap::new();
        for unit in units.into_iter().filter(|unit| unit.out.is_none()) {
            let office = counts.entry(unit.office.clone()).or_default();
            let class = unit.rating.and_then(|rating| usize::from(rating).checked_sub(1));
            if let Some(count) = class.and_then(|class| office.get_mut(class)) {
                *count += 1;
            }
        }
        counts
    }
}
