//! The words of a rule: what is compared, with what, and how grave it is.

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

/// What one instance of a threshold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A sensor, judged on each of its readings.
    Sensor,
    /// A cell of the grid, judged on its aggregate over a window.
    Cell,
    /// An area of a level, judged on the aggregate of its cells over a window.
    Area,
}

impl Per {
    /// All with their names in JSON.
    pub(super) const ALL: [(&'static str, Self); 3] = [
        ("sensor", Self::Sensor),
        ("cell", Self::Cell),
        ("area", Self::Area),
    ];
}

/// Who is told of the alerts of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those whose role and scope show them.
    #[default]
    Staff,
    /// Everybody, that is `public` too: where, of what and how grave, and no number.
    Public,
}

impl Audience {
    /// All, with their names in JSON.
    pub const ALL: [(&'static str, Self); 2] = [("staff", Self::Staff), ("public", Self::Public)];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Public => "public",
        }
    }

    /// The audience of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, audience)| audience)
    }

    /// Whether it is nobody but who is entitled anyway; such a rule does not say it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn is_staff(&self) -> bool {
        *self == Self::Staff
    }
}

/// How grave an alert is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// CAP "Minor".
    Minor,
    /// CAP "Moderate".
    Moderate,
    /// CAP "Severe".
    Major,
    /// CAP "Extreme".
    Critical,
}

impl Severity {
    /// All severities with their names in JSON, least first.
    pub const ALL: [(&'static str, Self); 4] = [
        ("minor", Self::Minor),
        ("moderate", Self::Moderate),
        ("major", Self::Major),
        ("critical", Self::Critical),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, severity)| *severity == self)
            .map_or("", |(name, _)| name)
    }

    /// The severity of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, severity)| *severity)
    }
}

/// How a value is compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Over means greater than.
    Above,
    /// Over means greater than or equal.
    AtLeast,
    /// Over means less than.
    Below,
    /// Over means less than or equal.
    AtMost,
}

impl Comparison {
    /// All, in the order in which they are asked for.
    pub const ALL: [Self; 4] = [Self::Above, Self::AtLeast, Self::Below, Self::AtMost];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::AtLeast => "at_least",
            Self::Below => "below",
            Self::AtMost => "at_most",
        }
    }

    /// The name of the limit that clears.
    pub const fn clear_name(self) -> &'static str {
        if self.is_upward() {
            "clear_below"
        } else {
            "clear_above"
        }
    }

    /// Greater values are over.
    pub const fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

/// What a value means to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would fire.
    Over,
    /// Neither: what is pending ends, what fires goes on.
    Between,
    /// It would end.
    Clear,
}

/// The limit and the limit that clears, in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// How values are compared.
    pub comparison: Comparison,
    /// The limit.
    pub value: f64,
    /// Values past this one, on the other side, are clear; the limit itself unless it is given.
    pub clear: f64,
}

impl Limit {
    /// Whether `value` is over the limit; NaN never is.
    pub fn is_exceeded_by(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Above => value > self.value,
            Comparison::AtLeast => value >= self.value,
            Comparison::Below => value < self.value,
            Comparison::AtMost => value <= self.value,
        }
    }

    /// Whether `value` is clear; NaN never is.
    pub fn is_cleared_by(self, value: f64) -> bool {
        if self.comparison.is_upward() {
            value < self.clear
        } else {
            value > self.clear
        }
    }

    /// What a value means; NaN says nothing that ends or begins.
    pub fn judge(self, value: f64) -> Verdict {
        if self.is_exceeded_by(value) {
            Verdict::Over
        } else if self.is_cleared_by(value) {
            Verdict::Clear
        } else {
            Verdict::Between
        }
    }

    /// Whether every value over this limit is over `other` too.
    pub fn is_no_laxer_than(self, other: Self) -> bool {
        self.comparison == other.comparison
            && if self.comparison.is_upward() {
                self.value <= other.value
            } else {
                self.value >= other.value
            }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.comparison.name(), &self.value)?;
        map.serialize_entry(self.comparison.clear_name(), &self.clear)?;
        map.end()
    }
}
