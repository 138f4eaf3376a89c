//! What `public` sees of a suppressed layer: not the grid, but a relation that is made of it once and never again.
//!
//! A layer's space and time are cut into *atoms*, one partition of each. A step's atoms are judged when the step is complete:
//! those of few events or few sources are hidden, what is shown is rounded, and what is hidden goes up into *rests* that are
//! judged alike. Rows are disjoint and no total is published, so there is nothing that can be subtracted from another.
//! All that `public` gets is a function of these rows, so no combination of answers tells more than they do.
//!
//! | what | where |
//! |---|---|
//! | the number that rounds, from a key that stays secret | [`rounding`] |
//! | which atoms are shown, and what becomes of the others | [`judging`] |
//! | where steps begin and end | [`steps`] |
//! | how high the risk is where something is shown | [`bands`] |
//! | which steps come next | [`due`] |
//! | a step as it was published, and all of them | [`relation`] |

mod bands;
mod due;
mod judging;
mod relation;
mod rounding;
mod steps;
#[cfg(test)]
mod tests;

pub use bands::bands;
pub use due::{LayerRule, Publishing};
pub use judging::{Atom, Judged, Threshold, judge};
pub use relation::{Publication, PublishedLayer, PublishedStep, RiskBands};
pub use rounding::RoundingKey;
pub use steps::{NoSuchStep, PublicStep};
