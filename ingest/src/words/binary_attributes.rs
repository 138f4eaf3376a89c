//! CloudEvents in binary mode: the attributes lie beside the payload.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Attributes of an event in binary mode: the `ce_` headers of Kafka, the `ce-` headers of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryAttributes<'a> {
    /// `specversion`.
    pub specversion: Option<Cow<'a, str>>,
    /// `id`.
    pub id: Option<Cow<'a, str>>,
    /// `source`.
    pub source: Option<Cow<'a, str>>,
    /// `type`.
    pub kind: Option<Cow<'a, str>>,
    /// `time`.
    pub time: Option<Cow<'a, str>>,
}

impl<'a> BinaryAttributes<'a> {
    /// Sets the attribute `name` (without its prefix); attributes that riskgrid does not know are ignored.
    pub fn set(&mut self, name: &str, value: Cow<'a, str>) {
        let slot = match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "time" => &mut self.time,
            _ => return,
        };
        *slot = Some(value);
    }

    /// The same, of its own.
    pub fn into_owned(self) -> BinaryAttributes<'static> {
        fn owned(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
            text.map(|text| Cow::Owned(text.into_owned()))
        }
        BinaryAttributes {
            specversion: owned(self.specversion),
            id: owned(self.id),
            source: owned(self.source),
            kind: owned(self.kind),
            time: owned(self.time),
        }
    }

    /// Whether any attribute was there: then the message is in binary mode.
    pub fn is_present(&self) -> bool {
        self.specversion.is_some() || self.id.is_some() || self.source.is_some() || self.kind.is_some()
    }
}
