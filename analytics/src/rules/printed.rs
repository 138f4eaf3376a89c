//! How durations of a rule are printed: as clients write them.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// A window as clients write it: `15m`, `24h` as `1d`.
pub(super) fn print_window(window: Duration) -> String {
    let minutes = window.as_secs() / 60;
    match minutes {
        _ if minutes.is_multiple_of(1_440) => format!("{}d", minutes / 1_440),
        _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

pub(super) fn as_humantime<S: Serializer>(hold: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*hold))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn as_optional_humantime<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let printed = duration.map(|duration| humantime::format_duration(duration).to_string());
    printed.serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn as_window<S: Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    window.map(print_window).serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_true(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_false(flag: &bool) -> bool {
    !*flag
}
