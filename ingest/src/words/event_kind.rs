//! What kind of event there is, what it does to its report, and through what it came.

use serde::{Deserialize, Serialize};

/// The three kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A sensor's reading of one property.
    Observation,
    /// A hotline call, an incident, a finding: opened, updated or closed.
    Report,
    /// Where a response unit is. Never counted in cells.
    Position,
}

impl EventKind {
    /// The CloudEvents `type` of this kind.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Observation => "riskgrid.observation.v1",
            Self::Report => "riskgrid.report.v1",
            Self::Position => "riskgrid.position.v1",
        }
    }

    /// The kind that a CloudEvents `type` names.
    pub fn from_type_name(name: &str) -> Option<Self> {
        [Self::Observation, Self::Report, Self::Position]
            .into_iter()
            .find(|kind| kind.type_name() == name)
    }
}

/// What a report event does to its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportOp {
    /// Opens it, and counts once in `cells`.
    #[default]
    Open,
    /// Changes it.
    Update,
    /// Ends it.
    Close,
}

impl ReportOp {
    /// The operation that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "update" => Some(Self::Update),
            "close" => Some(Self::Close),
            _ => None,
        }
    }

    /// Its name in events and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Close => "close",
        }
    }
}

/// Through what a report came; the number is its class in the `channels` bitmap (risk model, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Channel {
    /// A device.
    Sensor = 0,
    /// A field officer.
    FieldOfficer = 1,
    /// A camera.
    Camera = 2,
    /// A telephone call.
    Phone = 3,
    /// An app.
    App = 4,
    /// A web form.
    Web = 5,
    /// Social media.
    Social = 6,
    /// Anything else, and what did not say.
    Other = 7,
}

impl Channel {
    /// The channel that `text` names; every unknown name is [`Channel::Other`].
    pub fn parse(text: &str) -> Self {
        match text {
            "sensor" => Self::Sensor,
            "field_officer" | "officer" | "field" => Self::FieldOfficer,
            "camera" => Self::Camera,
            "phone" => Self::Phone,
            "app" => Self::App,
            "web" => Self::Web,
            "social" => Self::Social,
            _ => Self::Other,
        }
    }
}
