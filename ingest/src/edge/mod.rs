//! The edge: a candidate becomes an [`Event`], or a [`Refusal`] with the first reason that applies.
//!
//! Pure: every decision follows from the candidate, its record's timestamp, the state of its partition's clock and
//! the layer table, so that a record read again is judged the same.

mod place_cache;

use std::borrow::Cow;

use h3o::Resolution;

pub use crate::words::{Bounds, PartitionClock};
use crate::words::{
    Candidate, CandidateTime, Channel, Event, EventHash, EventKind, EventTime, Layer, LayerIndex, LayerKind,
    LayerLookup, LayerTable, Number, Position, Refusal, RefusalReason, ReportOp, SourceKey, Unit,
    known_codes, text_limits,
};
pub use place_cache::PlaceCache;

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
    /// The refusal, when there is a reason for one.
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
        if let Some(key) = &candidate.lookup_missed {
            return Err(Refusal::new(
                RefusalReason::MissingField,
                format!("no row of the look-up file holds {key}"),
            ));
        }
        let id = required(candidate.id, "id")?;
        let source = required(candidate.source, "source")?;
        if candidate.time == CandidateTime::Missing {
            return Err(Refusal::missing("time"));
        }
        let op_text = candidate.op.as_deref().filter(|op| !op.is_empty());
        let op = op_text.map_or(Some(ReportOp::Open), ReportOp::parse);
        let kind = candidate.kind;
        let may_omit_place =
            kind == EventKind::Report && matches!(op, Some(ReportOp::Update | ReportOp::Close));
        let (lon, lat) = (candidate.lon, candidate.lat);
        let has_place = lon != Number::Missing || lat != Number::Missing;
        if has_place || !may_omit_place {
            for (number, name) in [(&lon, "lon"), (&lat, "lat")] {
                if *number == Number::Missing {
                    return Err(Refusal::missing(name));
                }
            }
        }
        let name = candidate.name.filter(|name| !name.is_empty());
        let entity = match kind {
            EventKind::Observation => {
                if name.is_none() {
                    return Err(Refusal::missing("property"));
                }
                if candidate.value == Number::Missing {
                    return Err(Refusal::missing("value"));
                }
                required(candidate.sensor, "sensor")?
            }
            EventKind::Report => {
                if name.is_none() && !may_omit_place {
                    return Err(Refusal::missing("category"));
                }
                candidate
                    .report
                    .filter(|report| !report.is_empty())
                    .unwrap_or_else(|| id.clone())
            }
            EventKind::Position => required(candidate.unit, "unit")?,
        };

        let time = read_time(candidate.time)?;
        self.check_clock(time, received, feed, clock)?;
        let position = if has_place {
            Some(self.read_position(&lon, &lat, feed, places)?)
        } else {
            None
        };

        let areas = position.and_then(|place| places.areas(place.lon, place.lat));

        let (layer, new_layer) = match (LayerKind::of(kind), name) {
            (Some(layer_kind), Some(name)) => match layers.lookup(layer_kind, &feed.domain, &name) {
                LayerLookup::Known(index) => (Some(index), None),
                LayerLookup::New(layer) => (None, Some(layer)),
                LayerLookup::Refused(why) => return Err(Refusal::new(RefusalReason::UnknownLayer, why)),
            },
            _ => (None, None),
        };
        let mut new_layer = new_layer;
        let value = if kind == EventKind::Observation {
            let unit = candidate.value_unit.as_deref().filter(|unit| !unit.is_empty());
            Some(read_value(
                &candidate.value,
                unit,
                layer,
                new_layer.as_mut(),
                layers,
            )?)
        } else {
            None
        };
        let severity = read_severity(&candidate.severity)?;
        let Some(op) = op else {
            let detail = format!(
                "op `{}` is none of open, update, close",
                short(op_text.unwrap_or_default())
            );
            return Err(Refusal::new(RefusalReason::InvalidValue, detail));
        };

        let default_severity = layer
            .and_then(|index| layers.get(index))
            .map(|layer| layer.default_severity)
            .or_else(|| new_layer.as_ref().map(|layer| layer.default_severity));
        let weight = match (kind, severity) {
            (EventKind::Report, 0) => default_severity.unwrap_or(1),
            (EventKind::Report, severity) => severity,
            _ => 1,
        };
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
        let hash = EventHash::new(&source, &id, time);
        Ok(Judged {
            event: Event {
                kind,
                id,
                source,
                time,
                clock: if feed.valid.is_none() {
                    time.min(received)
                } else {
                    time
                },
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
            },
            new_layer,
        })
    }

    fn check_clock(
        &self,
        time: EventTime,
        received: EventTime,
        feed: &FeedRules,
        clock: PartitionClock,
    ) -> Result<(), Refusal> {
        let refuse = |reason, detail| Err(Refusal::new(reason, detail));
        match feed.valid {
            None if time > received.plus(self.future_skew) => {
                return refuse(
                    RefusalReason::InFuture,
                    format!(
                        "time {time} is ahead of its record, received {received}, by more than is allowed"
                    ),
                );
            }
            Some((_, to)) if time > to => {
                return refuse(
                    RefusalReason::InFuture,
                    format!("time {time} is after the feed's valid_to {to}"),
                );
            }
            _ => {}
        }
        if let Some((from, _)) = feed.valid
            && time < from
        {
            return refuse(
                RefusalReason::TooLate,
                format!("time {time} is before the feed's valid_from {from}"),
            );
        }
        if let Some(oldest) = clock.oldest_admitted
            && time < oldest
        {
            return refuse(
                RefusalReason::TooLate,
                format!("time {time} is before {oldest}, the oldest that its partition still admits"),
            );
        }
        Ok(())
    }

    fn read_position(
        &self,
        lon: &Number<'_>,
        lat: &Number<'_>,
        feed: &FeedRules,
        places: &mut PlaceCache,
    ) -> Result<Position, Refusal> {
        let invalid = |detail: String| Refusal::new(RefusalReason::InvalidPosition, detail);
        let (lon, lat) = match (lon, lat) {
            (Number::Value(lon), Number::Value(lat)) => (*lon, *lat),
            _ => return Err(invalid("lon or lat is not a number".to_owned())),
        };
        if !((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)) {
            return Err(invalid(format!(
                "lon {lon}, lat {lat} is off the globe (±180, ±90); swapped?"
            )));
        }
        if lon == 0.0 && lat == 0.0 {
            return Err(invalid("0,0 stands for no place known".to_owned()));
        }
        if feed.null_points.contains(&[lon, lat]) {
            return Err(invalid(format!(
                "lon {lon}, lat {lat} is one of the feed's null_points"
            )));
        }
        for bounds in [feed.bounds, self.bounds].into_iter().flatten() {
            if !bounds.contains(lon, lat) {
                return Err(invalid(format!(
                    "lon {lon}, lat {lat} is outside bounds {:?}; swapped?",
                    bounds.0
                )));
            }
        }
        let cell = places
            .cell(lon, lat)
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Position { lon, lat, cell })
    }
}

fn required<'a>(field: Option<Cow<'a, str>>, name: &str) -> Result<Cow<'a, str>, Refusal> {
    field
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Refusal::missing(name))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn read_time(time: CandidateTime<'_>) -> Result<EventTime, Refusal> {
    let invalid = |detail: String| Refusal::new(RefusalReason::InvalidTime, detail);
    match time {
        CandidateTime::Missing => Err(Refusal::missing("time")),
        CandidateTime::Resolved(time) => Ok(time),
        CandidateTime::Invalid(why) => Err(invalid(why)),
        CandidateTime::Rfc3339(text) => EventTime::parse_rfc3339(&text).ok_or_else(|| {
            invalid(format!(
                "time `{}` is not RFC 3339 with an offset, like 2026-11-22T08:00:00Z",
                short(&text)
            ))
        }),
    }
}

/// Converts to the layer's unit and resolution. A layer about to be learnt takes the event's unit.
fn read_value(
    value: &Number<'_>,
    unit: Option<&str>,
    layer: Option<LayerIndex>,
    new_layer: Option<&mut Layer>,
    layers: &LayerTable,
) -> Result<i64, Refusal> {
    let unknown = |detail: String| Refusal::new(RefusalReason::UnknownUnit, detail);
    let known = layer.and_then(|index| layers.get(index)).map(|layer| &**layer);
    let parse = |code: &str| {
        Unit::parse(code).ok_or_else(|| {
            unknown(format!(
                "unit `{}` is none of the UCUM codes {}",
                short(code),
                known_codes()
            ))
        })
    };
    let layer = match (known, new_layer) {
        (Some(layer), _) => layer,
        (None, Some(layer)) => {
            layer.unit = unit.map(parse).transpose()?.map(|unit| unit.code.to_owned());
            layer
        }
        (None, None) => return Err(Refusal::missing("property")),
    };
    // Nearly every event is in its layer's unit: nothing to look up or convert.
    let given = if unit == layer.unit.as_deref() {
        None
    } else {
        unit.map(parse).transpose()?
    };
    let target = given.and(layer.unit.as_deref()).and_then(Unit::parse);
    let written = match value {
        Number::Value(value) => *value,
        Number::Text(text) => {
            return Err(Refusal::new(
                RefusalReason::InvalidValue,
                format!("value `{}` is not a number", short(text)),
            ));
        }
        Number::Missing => return Err(Refusal::missing("value")),
    };
    let converted = match (given, target) {
        (Some(given), Some(target)) => given.convert(written, target).ok_or_else(|| {
            unknown(format!(
                "`{}` does not convert to `{}` of layer `{}`",
                given.code, target.code, layer.id
            ))
        })?,
        (Some(given), None) => {
            return Err(unknown(format!(
                "layer `{}` has no unit, the event says `{}`; give the layer one in [[layers]]",
                layer.id, given.code
            )));
        }
        (None, _) => written,
    };
    layer.to_units(converted).ok_or_else(|| {
        let detail = format!(
            "value {written} is not finite, or too large for resolution {}",
            layer.resolution
        );
        Refusal::new(RefusalReason::InvalidValue, detail)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::cloudevent::decode_structured;
    use crate::words::LIVE_DOMAIN;

    fn edge() -> Edge {
        Edge {
            resolution: Resolution::Nine,
            future_skew: 300_000_000,
            bounds: Some(Bounds([113.0, 22.0, 115.0, 23.0])),
            source_key: SourceKey([7; 16]),
        }
    }

    fn judge(payload: &str, clock: PartitionClock) -> Result<i64, RefusalReason> {
        let feed = FeedRules {
            domain: LIVE_DOMAIN.into(),
            ..FeedRules::default()
        };
        let received = EventTime::parse_rfc3339("2026-11-22T08:00:00Z").unwrap();
        let layers = LayerTable::new(&[], 10).unwrap();
        let candidate = decode_structured(payload.as_bytes()).map_err(|refusal| refusal.reason)?;
        edge()
            .judge(
                candidate,
                received,
                &feed,
                clock,
                &layers,
                &mut PlaceCache::none(Resolution::Nine),
            )
            .map(|judged| judged.event.value.unwrap_or(-1))
            .map_err(|refusal| refusal.reason)
    }

    fn observation(changes: &[(&str, serde_json::Value)]) -> String {
        let mut event = serde_json::json!({"specversion":"1.0","id":"1","source":"//s",
            "type":"riskgrid.observation.v1","time":"2026-11-22T08:00:00Z",
            "data":{"sensor":"river-7","property":"water_level","value":3.42,"unit":"m","lon":113.93,"lat":22.53}});
        for (key, value) in changes {
            let target = if event.get(key).is_some() {
                &mut event[key]
            } else {
                &mut event["data"][key]
            };
            *target = value.clone();
        }
        event.to_string()
    }

    #[test]
    fn each_reason_by_one_change_and_the_first_that_applies() {
        use RefusalReason::*;
        let late = PartitionClock {
            oldest_admitted: EventTime::parse_rfc3339("2026-11-22T07:00:00Z"),
        };
        let null = serde_json::Value::Null;
        let cases: &[(&[(&str, serde_json::Value)], RefusalReason)] = &[
            (&[("id", null.clone())], MissingField),
            (&[("source", "".into())], MissingField),
            (&[("time", null.clone())], MissingField),
            (&[("sensor", null.clone())], MissingField),
            (&[("lat", null.clone()), ("time", "soon".into())], MissingField),
            (&[("time", "2026-11-22T08:00:00".into())], InvalidTime),
            (&[("time", "2026-11-22T08:05:01Z".into())], InFuture),
            (
                &[("time", "2100-01-01T00:00:00Z".into()), ("lon", 500.into())],
                InFuture,
            ),
            (&[("time", "2026-11-22T06:59:59Z".into())], TooLate),
            (&[("lon", 22.53.into()), ("lat", 113.93.into())], InvalidPosition),
            (&[("lon", 22.53.into()), ("lat", 22.53.into())], InvalidPosition),
            (&[("lon", 0.into()), ("lat", 0.into())], InvalidPosition),
            (
                &[("unit", "furlong".into()), ("value", 1e300.into())],
                UnknownUnit,
            ),
            (&[("value", 1e300.into())], InvalidValue),
        ];
        for (changes, expected) in cases {
            assert_eq!(judge(&observation(changes), late), Err(*expected), "{changes:?}");
        }
        assert_eq!(judge(&observation(&[]), late), Ok(3_420_000));
        assert_eq!(
            judge(&observation(&[("time", "2026-11-22T08:05:00Z".into())]), late),
            Ok(3_420_000)
        );
    }

    #[test]
    fn a_close_needs_neither_place_nor_category_but_an_open_does() {
        let report = |data: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.report.v1","time":"2026-11-22T08:00:00Z","data":{data}}}"#
            )
        };
        let clock = PartitionClock::default();
        assert_eq!(judge(&report(r#"{"report":"7","op":"close"}"#), clock), Ok(-1));
        assert_eq!(
            judge(&report(r#"{"report":"7"}"#), clock),
            Err(RefusalReason::MissingField)
        );
        assert_eq!(
            judge(
                &report(r#"{"op":"burn","category":"noise","lon":114,"lat":22.5}"#),
                clock
            ),
            Err(RefusalReason::InvalidValue)
        );
        assert_eq!(
            judge(&report(r#"{"op":"close","lon":0,"lat":0}"#), clock),
            Err(RefusalReason::InvalidPosition)
        );
        assert_eq!(
            judge(
                &report(r#"{"category":"noise","severity":2.5,"lon":114,"lat":22.5}"#),
                clock
            ),
            Err(RefusalReason::InvalidValue)
        );
    }
}
