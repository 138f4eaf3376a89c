//! Is it worth anything? Forecasts of a period that is over, each made of what was known before it, against what came.

mod bootstrap;
mod daily;
mod played;
mod ranking;
mod replay;
mod tally;

pub use bootstrap::interval_of_mean;
pub use daily::{DayScore, scores_of_day};
pub use played::PlayedGrid;
pub use ranking::{best_hits, hits};
pub use replay::{Method, Occurrence, Replay, RiskAt};
pub use tally::{Summary, Tally};

/// The shares of a domain's cells that are looked at.
pub const SHARES: [f64; 3] = [0.01, 0.05, 0.1];
