//! By when: the clocks of a case, their deadlines, cards and steps, and the risk that one is missed.
//!
//! | what | where |
//! |---|---|
//! | the seven clocks, and which move starts or stops them | [`ClockName`], [`Row`] |
//! | what a rule says of one clock | [`ClockRule`] |
//! | due, cards and the ladder | [`Deadline`], [`deadline`] |
//! | which steps were taken, which come next | [`Ladder`] |
//! | how likely a clock runs over | [`breach_risk`] |

mod breach_risk;
mod clock_rule;
mod due;
mod ladder;
mod lifecycle;
#[cfg(test)]
mod tests;

pub use breach_risk::{StoppedClock, breach_risk, used_share};
pub use clock_rule::{ClockRule, Red, Yellow};
pub use due::{Course, Deadline, Pause, deadline};
pub use ladder::{Card, Ladder, Step};
pub use lifecycle::{ClockName, Row};
