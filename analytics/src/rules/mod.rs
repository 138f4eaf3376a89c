//! Alert rules: what a rule is, and how readings and cell values move its instances.
//!
//! Everything here is pure and deterministic in event time: no clock, no socket, no database. A shell feeds
//! readings and `now`, takes [`Transition`]s out and stores them; fed the same readings again, from the start
//! or from any saved state, the rules decide the same.
//!
//! ```text
//! JSON ─> Rule ─┬─> SensorRules  (per partition, on each reading)  ─┐
//!               └─> CellRules    (on merged snapshots, per bucket) ─┴─> Transition ─> decisions
//! ```
//!
//! Times are the event times of the readings.

mod cells;
mod changes;
mod fields;
mod partition;
mod read;
mod rule;
mod sensors;
mod step;
mod transition;
mod words;

pub use cells::{CellChange, CellRules, Evaluated, Undo};
pub use fields::{FieldProblem, InvalidRule};
pub use partition::{MAX_INSTANCES, PartitionRules, RestoreError, SensorReading};
pub use rule::{Rule, RuleBounds};
pub use sensors::SensorRules;
pub use step::{Change, InstanceState, Phase, advance, step};
pub use transition::{RuleInstance, Transition, TransitionKind};
pub use words::{Audience, Kind, Limit, Per, Severity};
