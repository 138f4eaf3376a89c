//! Hotspot statistics as plain functions: no SQL, no clock, no floating sum whose order could change.
//!
//! Cells with an event and their values become a [`StudyArea`] (which zeros count), that gets its [`Neighbours`], each
//! cell its score from exact integer sums ([`GetisOrd`]), each score a p ([`ExactLaw`], normal, or permutation), all p
//! together their q ([`q_values`]), and sign and q the [`HotspotClass`]. [`hotspots`] does all of it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::float_cmp,
        reason = "a test fails by panicking, and equal digits are the claim"
    )
)]

mod class;
mod error;
mod exact;
mod families;
mod fdr;
mod getis_ord;
mod hotspots;
mod neighbours;
mod normal;
mod options;
mod permutation;
mod random;
mod study_area;
mod tails;
#[cfg(test)]
mod tests;
mod value_counts;

pub use class::HotspotClass;
pub use error::StatisticsError;
pub use exact::{AUTO_COST, AUTO_DRAWS, ExactLaw, auto_takes_exact, exact_cost};
pub use fdr::{FalseDiscovery, q_values};
pub use getis_ord::{GetisOrd, GlobalSums};
pub use hotspots::{HotspotTable, SMALL_STUDY_AREA, hotspots, hotspots_until};
pub use neighbours::{Neighbours, Weights};
pub use normal::two_sided_normal_p;
pub use options::{HotspotOptions, Method};
pub use permutation::{Runs, conditional_p, least_p};
pub use random::{SplitMix64, mix};
pub use study_area::{Absent, Domain, MAX_K, MAX_STUDY_AREA, StudyArea};
pub use value_counts::ValueCounts;
