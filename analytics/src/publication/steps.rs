//! The steps of time that are published: hours, days, or weeks of the grid's zone.

use std::fmt;
use std::str::FromStr;

use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::{Calendar, Span, Step};
use serde::{Deserialize, Serialize};

/// The length of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum PublicStep {
    /// An hour.
    Hour,
    /// A local day: 23 to 25 hours.
    #[default]
    Day,
    /// Seven local days from a Monday on.
    Week,
}

/// A text that is no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step of what is published; steps are 1h, 1d, 7d")]
pub struct NoSuchStep(String);

impl PublicStep {
    /// All, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "1d",
            Self::Week => "7d",
        }
    }

    /// The step that holds `time`.
    pub fn span(self, calendar: &Calendar, time: EventTime) -> Span {
        match self {
            Self::Hour => calendar.span(Step::Hour, time),
            Self::Day => calendar.span(Step::Day, time),
            Self::Week => calendar.week(time),
        }
    }
}

impl fmt::Display for PublicStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for PublicStep {
    type Err = NoSuchStep;

    fn from_str(text: &str) -> Result<Self, NoSuchStep> {
        let known = Self::ALL.into_iter().find(|step| step.as_str() == text);
        known.ok_or_else(|| NoSuchStep(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for PublicStep {
    type Error = NoSuchStep;

    fn try_from(text: String) -> Result<Self, NoSuchStep> {
        text.parse()
    }
}

impl From<PublicStep> for String {
    fn from(step: PublicStep) -> Self {
        step.as_str().to_owned()
    }
}
