//! The small forms in which settings say where a field comes from, each with its short and its long way to be written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Where one field of an event comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FieldSpec {
    /// `"name"`: the field of that name.
    Name(String),
    /// `{ const = … }`: the same for every row.
    Const {
        /// The value.
        #[serde(rename = "const")]
        constant: Scalar,
    },
    /// `{ field = "name", map = { … }, default = … }`.
    Mapped {
        /// The field.
        field: String,
        /// What its values stand for. A value that is not in the map is missing (but see `op`).
        #[serde(skip_serializing_if = "Option::is_none")]
        map: Option<BTreeMap<String, Scalar>>,
        /// What a missing value, and one that is not in the map, stands for.
        #[serde(skip_serializing_if = "Option::is_none")]
        default: Option<Scalar>,
    },
}

impl FieldSpec {
    /// The name of the field, unless it is a constant.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::Name(field) | Self::Mapped { field, .. } => Some(field),
            Self::Const { .. } => None,
        }
    }

    /// The text of a row whose fields `text_of` gives by name; for files that are read once. Feeds compile their fields.
    pub(crate) fn read<'a>(
        &self,
        text_of: impl FnOnce(&str) -> Option<Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        match self {
            Self::Name(field) => text_of(field),
            Self::Const { constant } => Some(Cow::Owned(constant.to_string())),
            Self::Mapped { field, map, default } => {
                let written = text_of(field);
                let read = match map {
                    None => written,
                    Some(map) => written
                        .and_then(|text| map.get(text.as_ref()))
                        .map(|meant| Cow::Owned(meant.to_string())),
                };
                read.or_else(|| default.as_ref().map(|default| Cow::Owned(default.to_string())))
            }
        }
    }
}

/// A single value in the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, a number, true or false")]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// The number, when it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(formatter),
            Self::Integer(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
            Self::Text(value) => value.fmt(formatter),
        }
    }
}

/// What makes the id of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum IdSettings {
    /// `["a", "b"]`, or `"a"`: fields, joined by `:`. One of them missing: the id is missing.
    Fields(Vec<FieldSpec>),
    /// `{ hash = "row" }`: a 128-bit hash of the row as it is written.
    Hash {
        /// Of what.
        hash: RowHash,
    },
}

/// What is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowHash {
    /// The bytes of the row, without its line end.
    Row,
}

/// Where event time comes from, and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeSettings {
    /// The field.
    pub field: String,
    /// `rfc3339`, `unix` (seconds, also with a fraction), `unix_ms`, or a strftime pattern such as `%Y-%m-%d %H:%M:%S`.
    /// Default `rfc3339`.
    pub format: String,
    /// Name in the IANA time zone database, such as `America/New_York`. Needed with a pattern that reads no offset.
    /// At the autumn fold the earlier instant is meant; a time inside the spring gap is refused as `invalid_time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    #[serde(rename = "const")]
    constant: Option<Scalar>,
    field: Option<String>,
    map: Option<BTreeMap<String, Scalar>>,
    default: Option<Scalar>,
}

impl<'de> Deserialize<'de> for FieldSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "the name of a field, { const = … }, or { field = \"…\", map = { … }, default = … }";
        match text_or_table(deserializer, expecting)? {
            Written::Text(name) => Ok(Self::Name(name)),
            Written::List(never) => match never {},
            Written::Table(FieldTable {
                constant: Some(constant),
                field: None,
                map: None,
                default: None,
            }) => Ok(Self::Const { constant }),
            Written::Table(FieldTable {
                constant: None,
                field: Some(field),
                map,
                default,
            }) => Ok(Self::Mapped { field, map, default }),
            Written::Table(_) => Err(D::Error::custom(format!("expected {expecting}"))),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashTable {
    hash: RowHash,
}

impl<'de> Deserialize<'de> for IdSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = WrittenVisitor::<Vec<FieldSpec>, HashTable> {
            expecting: "the name of a field, a list of them, or { hash = \"row\" }",
            takes_lists: true,
            parts: PhantomData,
        };
        Ok(match deserializer.deserialize_any(visitor)? {
            Written::Text(name) => Self::Fields(vec![FieldSpec::Name(name)]),
            Written::List(fields) => Self::Fields(fields),
            Written::Table(HashTable { hash }) => Self::Hash { hash },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeTable {
    field: String,
    format: Option<String>,
    zone: Option<String>,
}

impl<'de> Deserialize<'de> for TimeSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "the name of a field, or { field = \"…\", format = \"…\", zone = \"…\" }";
        let table = match text_or_table(deserializer, expecting)? {
            Written::Text(field) => TimeTable {
                field,
                format: None,
                zone: None,
            },
            Written::List(never) => match never {},
            Written::Table(table) => table,
        };
        Ok(Self {
            field: table.field,
            format: table.format.unwrap_or_else(|| "rfc3339".to_owned()),
            zone: table.zone,
        })
    }
}

/// What stood there.
enum Written<L, T> {
    Text(String),
    List(L),
    Table(T),
}

/// A list where none is allowed: no such value exists.
enum NoList {}

impl<'de> Deserialize<'de> for NoList {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a list"))
    }
}

fn text_or_table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    expecting: &'static str,
) -> Result<Written<NoList, T>, D::Error> {
    deserializer.deserialize_any(WrittenVisitor {
        expecting,
        takes_lists: false,
        parts: PhantomData,
    })
}

/// Tells the forms apart by their type, so that an error inside a table is told as it is; serde's untagged enums would
/// only say that nothing matched.
struct WrittenVisitor<L, T> {
    expecting: &'static str,
    takes_lists: bool,
    parts: PhantomData<(L, T)>,
}

impl<'de, L: Deserialize<'de>, T: Deserialize<'de>> Visitor<'de> for WrittenVisitor<L, T> {
    type Value = Written<L, T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Written::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        if !self.takes_lists {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        L::deserialize(SeqAccessDeserializer::new(seq)).map(Written::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Written::Table)
    }
}
