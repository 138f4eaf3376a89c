//! The words that all parts speak: events before and after the edge, layers, units, time, places in the log, and why an event
//! is refused.

mod binary_attributes;
mod bounds;
mod candidate;
mod event;
mod event_kind;
mod layer;
mod layer_table;
mod likeness;
mod partition;
mod refusal;
mod slug;
pub(crate) mod text_limits;
mod time;
mod timespan;
mod unit;

pub use binary_attributes::BinaryAttributes;
pub use bounds::{Bounds, LonLat};
pub use candidate::{Candidate, CandidateTime, Number};
pub use event::{AreaIds, Event, EventHash, EventName, Mirrored, Position, SourceKey};
pub use event_kind::{Channel, EventKind, ReportOp};
pub use layer::{
    AttributeSettings, AttributeType, AttributeValue, CasesOf, LIVE_DOMAIN, Layer, LayerIndex, LayerKind,
    LayerSettings, ValueScale, VisibleToPublic,
};
pub use layer_table::{InvalidLayer, LayerLookup, LayerName, LayerTable};
pub use likeness::{Likeness, nearest};
pub use partition::{PartitionClock, PartitionId};
pub use refusal::{Refusal, RefusalReason};
pub use slug::slug;
pub(crate) use slug::slug_or_hash;
pub use time::{DAY, EventTime, HOUR, MINUTE, SECOND, rfc3339};
pub use timespan::{NoTimespan, Timespan};
pub use unit::Unit;
pub(crate) use unit::known_codes;
