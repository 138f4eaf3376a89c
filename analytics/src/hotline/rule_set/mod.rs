//! Rule sets: which terms a case has. Data, read from JSON or TOML; those that are shipped stand in `fixtures/hotline/`.

mod data;
mod read;
mod samples;
mod shipped;
#[cfg(test)]
mod tests;

pub use data::{CaseFacts, Rule, RuleSet, When};
pub use samples::SampleClock;
pub use shipped::{SHIPPED_CALENDARS, SHIPPED_RULES, Shipped};
