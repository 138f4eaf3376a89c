//! The risk surface: hazard, exposure, vulnerability and corroboration of each cell, and the index made of them.
//!
//! Plain numbers, a part of the model a file: `now` is an argument, nothing here knows of tables or tasks. Only places and
//! devices are scored, never persons. Words are those of the UNDRR terminology (UN A/71/644): hazard, exposure,
//! vulnerability and coping capacity make risk, an index and neither a probability nor a loss.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        reason = "what is exact is compared exactly; a test fails by panicking"
    )
)]

pub mod all_layers;
mod around;
pub mod baseline;
pub mod channels;
pub mod class;
mod classes;
pub mod combination;
pub mod conditions;
pub mod corroboration;
pub mod engine;
pub mod evaluation;
pub mod exposure;
pub mod flood_cap;
pub mod forecast;
pub mod hazard_index;
mod hourly_signs;
pub mod intensity;
pub mod marks;
pub mod model;
mod outcomes;
pub mod past;
pub mod reach;
pub mod reference;
pub mod reliability;
pub mod scoring;
pub mod sensors;
pub mod spread;
pub mod surface;
#[cfg(test)]
mod tests;
pub mod vulnerability;

pub use conditions::Conditions;
pub use engine::{InvalidSurface, RiskEngine};
pub use model::RiskModel;
pub use surface::Surface;

/// A part that is not known stands in the index as this.
pub const UNKNOWN_PART: f64 = 0.5;
/// The least that exposure, susceptibility and lack of coping count as: nowhere is nobody, and nothing is without weakness.
pub const LEAST_PART: f64 = 0.05;
/// Where the fixed bands of the map begin, after 0; they are never scaled by the data of the moment.
pub const BANDS: [f64; 4] = [0.2, 0.4, 0.6, 0.8];
