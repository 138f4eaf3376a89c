//! What was published.

use std::sync::atomic::Ordering;

use super::reading::{Reading, count, counter};

pub(super) const READINGS: &[Reading] = &[counter(
    "riskgrid_public_late_total",
    "events that came after their step was published, and are not shown to the public",
    &[],
    |seen| count(seen.app.public_late.load(Ordering::Relaxed)),
)];
