//! Alert rules: what a rule is, and how readings and cell values move its instances.
//!
//! Everything here is pure and deterministic in event time: no clock, no socket, no database. A shell feeds
//! readings and `now`, takes [`Transition`]s out and stores them; fed the same readings again, from the start
//! or from any saved state, the rules decide the same.
//!
//! ```text
//! JSON ─> Rule ─┬─> SensorRules  (per partition, on each reading)     ─┐
//!               └─> Instances    (cells, areas, rows: at their times) ─┴─> Transition ─> decisions
//! ```
//!
//! Times are the event times of the readings.

mod changes;
mod emergency;
mod every_kind;
mod fields;
mod instances;
mod kinds;
mod partition;
mod printed;
mod public_warning;
mod read;
mod rule;
mod seen;
mod sensors;
mod step;
mod transition;
mod words;

pub use emergency::{Emergency, SetsMode};
pub use fields::{FieldProblem, InvalidRule};
pub use instances::{
    Absent, Evaluated, InstanceChange, InstanceKey, Instances, Known, REVISE_FOR, Row, RuleKnown,
};
pub use kinds::{
    By, Composite, Expected, MAX_ROWS, Members, NoData, Of, RiskMetric, RiskTest, RiskWatch, RowPlace,
    SqlWatch, Threshold, What,
};
pub use partition::{MAX_INSTANCES, PartitionRules, RestoreError, SensorReading};
pub use public_warning::{PublicWarning, Words};
pub use rule::{MAX_RULE_BYTES, Rule, RuleBounds};
pub use seen::Seen;
pub use sensors::SensorRules;
pub use step::{Change, InstanceState, Judged, Pace, Phase, advance, step};
pub use transition::{At, Pending, RuleInstance, Transition, TransitionKind};
pub use words::{Audience, Comparison, Limit, Per, Severity, Verdict};
