//! What is configured of noise: pauses between messages, mutes, and which alerts keep others quiet.

use std::collections::BTreeMap;

use super::grouping::Pauses;
use crate::alerts::inhibition::Inhibition;
use crate::alerts::mute::Mute;

/// `[[alerts.mutes]]`, `[[alerts.inhibit]]` and the pauses of `[webhooks]`.
#[derive(Clone, Debug, Default)]
pub struct NoiseSettings {
    /// Between messages about one incident.
    pub pauses: Pauses,
    /// By name.
    pub mutes: BTreeMap<String, Mute>,
    /// Beside those that are built in.
    pub inhibitions: Vec<Inhibition>,
    /// Where people reach this server, for links in messages.
    pub public_url: Option<String>,
}
