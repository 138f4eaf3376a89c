//! The words of a rule: what is compared, with what, and how grave it is.

use serde::{Deserialize, Serialize};

/// The kinds of rules that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value over a limit for a duration.
    Threshold,
}

/// What one instance of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A sensor, judged on each of its readings.
    Sensor,
    /// A cell of the grid, judged on its aggregate over a window.
    Cell,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// The limit, in the unit of the metric, and how a value is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Over means greater than.
    Above(f64),
    /// Over means greater than or equal.
    AtLeast(f64),
}

impl Limit {
    /// The number itself.
    pub fn value(self) -> f64 {
        match self {
            Self::Above(limit) | Self::AtLeast(limit) => limit,
        }
    }

    /// Whether `value` is over the limit; NaN never is.
    pub fn is_exceeded_by(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// The name of the comparison in JSON.
    pub fn comparison(self) -> &'static str {
        match self {
            Self::Above(_) => "above",
            Self::AtLeast(_) => "at_least",
        }
    }
}
