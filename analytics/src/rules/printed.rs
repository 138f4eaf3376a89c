//! How durations of a rule are printed: as clients write them.

use std::time::Duration;

use riskgrid_ingest::words::Timespan;
use serde::{Serialize, Serializer};

pub(super) fn as_humantime<S: Serializer>(hold: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Timespan(*hold))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn as_optional_humantime<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let printed = duration.map(|duration| Timespan(duration).to_string());
    printed.serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn as_window<S: Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    window
        .map(|window| Timespan(window).as_window())
        .serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_true(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_false(flag: &bool) -> bool {
    !*flag
}
