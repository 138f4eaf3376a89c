//! `[risk]`: which layers are on the risk surface, and by what they are scored.

mod compile;
mod sections;
#[cfg(test)]
mod tests;

pub use compile::compile;
pub use sections::{
    CopingSection, DirectionSection, ExposureSection, LayerRiskSection, RiskSection, SusceptibilitySection,
};
