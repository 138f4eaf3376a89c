//! The edge: a candidate becomes an [`Event`], or a [`Refusal`] with the first reason that applies.
//!
//! Pure: every decision follows from the candidate, its record's timestamp, the state of its partition's clock and
//! the layer table, so that a record read again is judged the same.

mod layer;
mod place;
mod place_cache;
mod presence;
#[cfg(test)]
mod tests;
mod time;

use h3o::Resolution;

pub use crate::words::{Bounds, PartitionClock};
use crate::words::{
    Candidate, Channel, Event, EventHash, EventKind, EventName, EventTime, Layer, LayerTable, Number,
    Refusal, RefusalReason, SourceKey, text_limits,
};
use layer::EventLayer;
pub use place_cache::PlaceCache;
use presence::Present;

/// What holds for every event of one feed (or of one default topic).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedRules {
    /// The clock domain.
    pub domain: String,
    /// Event times that a historic feed admits, both ends included; `None` for live feeds.
    pub valid: Option<(EventTime, EventTime)>,
    /// Points, as `(lon, lat)`, that stand for "no place known".
    pub null_points: Vec<[f64; 2]>,
    /// Places outside are refused.
    pub bounds: Option<Bounds>,
    /// A report without a reporter counts as a source of its own, rather than its feed.
    pub anonymous_distinct: bool,
}

/// Limits of the edge that hold for all feeds.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Resolution of the cell that an event gets.
    pub resolution: Resolution,
    /// How far ahead of its record's timestamp an event may be, in microseconds.
    pub future_skew: i64,
    /// Places outside are refused, whatever the feed.
    pub bounds: Option<Bounds>,
    /// Hashes reporters.
    pub source_key: SourceKey,
}

/// An accepted event, and the layer to learn first when its name was never seen.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The event; its `layer` is empty while `new_layer` is not.
    pub event: Event<'a>,
    /// Must be stored durably, and its index put into the event, before the event is counted.
    pub new_layer: Option<Layer>,
}

impl Edge {
    /// Judges one candidate. `received` is the timestamp of its record.
    ///
    /// # Errors
    /// The refusal, when there is a reason for one: that which comes first in the closed list.
    pub fn judge<'a>(
        &self,
        candidate: Candidate<'a>,
        received: EventTime,
        feed: &FeedRules,
        clock: PartitionClock,
        layers: &LayerTable,
        places: &mut PlaceCache,
    ) -> Result<Judged<'a>, Refusal> {
        text_limits::check(&candidate)?;
        let present = Present::check(&candidate)?;
        let kind = candidate.kind;
        let time = time::read(candidate.time)?;
        self.check_clock(time, received, feed, clock)?;
        let position = if present.has_place {
            Some(self.read_position(&candidate.lon, &candidate.lat, feed, places)?)
        } else {
            None
        };
        let areas = position.and_then(|place| places.areas([place.lon, place.lat]));
        let mut layer = EventLayer::find(kind, candidate.name.as_deref(), feed, layers)?;
        let value = if kind == EventKind::Observation {
            Some(layer.read_value(&candidate.value, candidate.value_unit.as_deref())?)
        } else {
            None
        };
        let severity = read_severity(&candidate.severity)?;
        let op = present.op(candidate.op.as_deref())?;
        let weight = match (kind, severity) {
            (EventKind::Report, 0) => layer.default_severity().unwrap_or(1),
            (EventKind::Report, severity) => severity,
            _ => 1,
        };

        // That they are there was checked.
        let id = candidate.id.unwrap_or_default();
        let source = candidate.source.unwrap_or_default();
        let entity = match kind {
            EventKind::Observation => candidate.sensor,
            EventKind::Report => candidate.report.filter(|report| !report.is_empty()),
            EventKind::Position => candidate.unit,
        };
        let entity = entity.unwrap_or_else(|| id.clone());
        let reporter = candidate
            .reporter
            .as_deref()
            .filter(|reporter| !reporter.is_empty());
        let source_hash = self.source_key.hash(match (reporter, kind) {
            (Some(reporter), _) => reporter,
            (None, EventKind::Report) if !feed.anonymous_distinct => &source,
            (None, _) => &entity,
        });
        let channel = match (kind, candidate.channel.as_deref()) {
            (EventKind::Observation, _) => Channel::Sensor,
            (_, Some(text)) => Channel::parse(text),
            (_, None) => Channel::Other,
        };
        let is_live = feed.valid.is_none();
        let name = EventName {
            source: &source,
            id: &id,
        };
        let hash = EventHash::new(name, time);
        let (layer, new_layer) = layer.into_parts();
        Ok(Judged {
            event: Event {
                kind,
                id,
                source,
                time,
                clock: if is_live { time.min(received) } else { time },
                received,
                hash,
                layer,
                position,
                areas,
                value,
                severity,
                weight,
                op,
                entity,
                channel,
                source_hash,
                outcome: candidate.outcome,
                status: candidate.status,
                skills: candidate.skills,
                mirrored: candidate.mirrored,
            },
            new_layer,
        })
    }
}

/// So much of a text as a message shows.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn read_severity(severity: &Number<'_>) -> Result<u8, Refusal> {
    match severity {
        Number::Missing => Ok(0),
        Number::Value(value) if [0.0, 1.0, 2.0, 3.0, 4.0].contains(value) => Ok(*value as u8),
        Number::Value(value) => {
            let detail = format!("severity {value} is not a whole number from 0 to 4");
            Err(Refusal::new(RefusalReason::InvalidValue, detail))
        }
        Number::Text(text) => {
            let detail = format!("severity `{}` is not a whole number from 0 to 4", short(text));
            Err(Refusal::new(RefusalReason::InvalidValue, detail))
        }
    }
}
