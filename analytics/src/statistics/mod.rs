//! Statistics of a field of cells as plain functions: no SQL, no clock, no floating sum whose order could change.
//!
//! Cells with an event and their values become a [`StudyArea`] (which zeros count), that gets its [`Neighbours`], and the
//! field its exact integer sums ([`GlobalSums`], [`CentredField`]). From these come a score a cell ([`GetisOrd`], local
//! Moran's I), its p ([`ExactLaw`], [`exact_conditional_p`], [`conditional_p`] by seeded runs, or normal), all p
//! together their q ([`q_values`]), and a [`HotspotClass`] or [`Quadrant`]. [`hotspots`] and [`local_moran`] do all of it.
//! Over time: [`trends`] of series, [`bursts`] of windows against their past.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::float_cmp,
        reason = "a test fails by panicking, and equal digits are the claim"
    )
)]

pub mod bursts;
mod class;
mod conditional;
mod count_law;
mod disks;
mod error;
mod exact;
mod families;
mod fdr;
mod getis_ord;
mod global_sums;
mod hotspots;
mod local_moran;
mod mann_kendall;
mod neighbours;
mod normal;
mod options;
mod permutation;
mod quadrant;
mod random;
mod scored_cells;
mod shares;
mod significance;
mod study_area;
mod surroundings;
mod tails;
#[cfg(test)]
mod tests;
mod trends;
mod value_counts;

pub use class::{HotspotClass, Score};
pub use conditional::{auto_takes_conditional, exact_conditional_p};
pub use count_law::upper_tail;
pub use error::StatisticsError;
pub(crate) use error::check_stop;
pub use exact::{AUTO_COST, AUTO_DRAWS, ExactLaw, auto_takes_exact, exact_cost};
pub use fdr::{FalseDiscovery, q_values};
pub use getis_ord::{GetisOrd, WeightedSums};
pub(crate) use global_sums::rounded;
pub use global_sums::{CentredField, GlobalSums};
pub use hotspots::{HotspotTable, SMALL_STUDY_AREA, hotspots};
pub use local_moran::{LocalMoranTable, local_moran};
pub use mann_kendall::{Pairs, Trend, TrendMethod};
pub use neighbours::{Neighbours, Weights};
pub use normal::two_sided_normal_p;
pub use options::{LocalOptions, Method};
pub use permutation::{Runs, conditional_p, least_p};
pub use quadrant::Quadrant;
pub use random::{SplitMix64, mix};
pub use study_area::{Absent, Domain, MAX_K, MAX_STUDY_AREA, StudyArea};
pub use trends::{CellSeries, MAX_STEPS, TrendTable, check_steps, trends};
pub use value_counts::ValueCounts;
