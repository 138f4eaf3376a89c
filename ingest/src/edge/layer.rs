//! The layer of an event, and its value in that layer's unit and resolution.

use std::sync::Arc;

use super::{FeedRules, short};
use crate::words::{
    EventKind, Layer, LayerIndex, LayerKind, LayerLookup, LayerName, LayerTable, Number, Refusal,
    RefusalReason, Unit, known_codes,
};

/// What an event counts on.
pub(super) enum EventLayer<'t> {
    /// Nothing: it names no layer, or is of a kind that has none.
    None,
    Known(LayerIndex, Option<&'t Arc<Layer>>),
    /// Must be learnt first.
    New(Layer),
}

impl<'t> EventLayer<'t> {
    /// # Errors
    /// `unknown_layer`.
    #[inline]
    pub(super) fn find(
        kind: EventKind,
        name: Option<&str>,
        feed: &FeedRules,
        layers: &'t LayerTable,
    ) -> Result<Self, Refusal> {
        let name = name.filter(|name| !name.is_empty());
        let (Some(kind), Some(name)) = (LayerKind::of(kind), name) else {
            return Ok(Self::None);
        };
        let domain = &feed.domain;
        match layers.lookup(kind, LayerName { domain, name }) {
            LayerLookup::Known(index) => Ok(Self::Known(index, layers.get(index))),
            LayerLookup::New(layer) => Ok(Self::New(layer)),
            LayerLookup::Refused(why) => Err(Refusal::new(RefusalReason::UnknownLayer, why)),
        }
    }

    /// What a report of unknown severity weighs on it.
    #[inline]
    pub(super) fn default_severity(&self) -> Option<u8> {
        match self {
            Self::None => None,
            Self::Known(_, layer) => layer.map(|layer| layer.default_severity),
            Self::New(layer) => Some(layer.default_severity),
        }
    }

    #[inline]
    pub(super) fn into_parts(self) -> (Option<LayerIndex>, Option<Layer>) {
        match self {
            Self::None => (None, None),
            Self::Known(index, _) => (Some(index), None),
            Self::New(layer) => (None, Some(layer)),
        }
    }

    /// Converts to the layer's unit and resolution. A layer about to be learnt takes the event's unit.
    ///
    /// # Errors
    /// `unknown_unit`, `invalid_value`.
    #[inline]
    pub(super) fn read_value(&mut self, value: &Number<'_>, unit: Option<&str>) -> Result<i64, Refusal> {
        let unit = unit.filter(|unit| !unit.is_empty());
        let layer: &Layer = match self {
            Self::Known(_, Some(layer)) => layer,
            Self::New(layer) => {
                layer.unit = unit.map(parse).transpose()?.map(|unit| unit.code.to_owned());
                &*layer
            }
            Self::None | Self::Known(_, None) => return Err(Refusal::missing("property")),
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
}

fn unknown(detail: String) -> Refusal {
    Refusal::new(RefusalReason::UnknownUnit, detail)
}

fn parse(code: &str) -> Result<&'static Unit, Refusal> {
    Unit::parse(code).ok_or_else(|| {
        unknown(format!(
            "unit `{}` is none of the UCUM codes {}",
            short(code),
            known_codes()
        ))
    })
}
