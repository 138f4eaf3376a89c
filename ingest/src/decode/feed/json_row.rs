//! One JSON object, read once: only the fields that the mapping names are kept, as the text they were written in.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::csv_row::split_list;
use super::field::Fields;
use crate::words::{Number, Refusal, RefusalReason};

/// The fields to look for, as a tree of their JSON pointers.
#[derive(Debug, Default)]
pub(super) struct PointerTree {
    root: Node,
    names: Vec<String>,
}

#[derive(Debug, Default)]
struct Node {
    slot: Option<usize>,
    children: Vec<(String, Node)>,
}

impl PointerTree {
    /// The slot of the field `name`: a JSON pointer (RFC 6901) when it starts with `/`, else a top-level field.
    /// The same name gives the same slot.
    ///
    /// # Errors
    /// Says what is wrong when a pointer has a `~` that is neither `~0` nor `~1`.
    pub(super) fn slot(&mut self, name: &str) -> Result<usize, &'static str> {
        let parts = match name.strip_prefix('/') {
            None => vec![name.to_owned()],
            Some(pointer) => pointer.split('/').map(unescape).collect::<Result<_, _>>()?,
        };
        let mut node = &mut self.root;
        for part in parts {
            let found = node.children.iter().position(|(key, _)| *key == part);
            let index = found.unwrap_or_else(|| {
                node.children.push((part, Node::default()));
                node.children.len() - 1
            });
            let Some((_, child)) = node.children.get_mut(index) else {
                return Err("it is not a JSON pointer");
            };
            node = child;
        }
        Ok(*node.slot.get_or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }))
    }

    /// Reads one object.
    ///
    /// # Errors
    /// `malformed` when it is not exactly one JSON object.
    pub(super) fn read<'a>(&self, text: &'a str) -> Result<JsonRow<'a, '_>, Refusal> {
        let malformed = |detail: String| Refusal::new(RefusalReason::Malformed, detail);
        if !text.trim_start().starts_with('{') {
            return Err(malformed("not a JSON object".to_owned()));
        }
        let mut found = vec![None; self.names.len()];
        let mut reader = serde_json::Deserializer::from_str(text);
        let seed = NodeSeed {
            node: &self.root,
            found: &mut found,
        };
        seed.deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|error| malformed(error.to_string().chars().take(200).collect()))?;
        Ok(JsonRow {
            found,
            names: &self.names,
        })
    }
}

fn unescape(part: &str) -> Result<String, &'static str> {
    let mut escapes = part.split('~');
    let mut plain = escapes.next().unwrap_or_default().to_owned();
    for rest in escapes {
        let (character, rest) = match (rest.strip_prefix('0'), rest.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            _ => return Err("`~` in a JSON pointer is written ~0 (and `/` inside a name ~1)"),
        };
        plain.push(character);
        plain.push_str(rest);
    }
    Ok(plain)
}

/// Walks a value and notes the text of each field that the tree knows.
struct NodeSeed<'t, 'f, 'a> {
    node: &'t Node,
    found: &'f mut [Option<&'a str>],
}

impl<'a> DeserializeSeed<'a> for NodeSeed<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(slot) = self.node.slot else {
            return deserializer.deserialize_any(self);
        };
        let raw = <&'a RawValue>::deserialize(deserializer)?.get();
        if let Some(place) = self.found.get_mut(slot) {
            *place = Some(raw);
        }
        if self.node.children.is_empty() {
            return Ok(());
        }
        serde_json::Deserializer::from_str(raw)
            .deserialize_any(self)
            .map_err(de::Error::custom)
    }
}

impl<'a> Visitor<'a> for NodeSeed<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(KeySeed(self.node))? {
            match child {
                Some(node) => map.next_value_seed(NodeSeed {
                    node,
                    found: &mut *self.found,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let key = index.to_string();
            let child = self.node.children.iter().find(|(name, _)| *name == key);
            let more = match child {
                Some((_, node)) => seq
                    .next_element_seed(NodeSeed {
                        node,
                        found: &mut *self.found,
                    })?
                    .is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    // A single value where the pointer goes deeper: the field is not there.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Finds the child that a key names, without keeping the key.
struct KeySeed<'t>(&'t Node);

impl<'a, 't> DeserializeSeed<'a> for KeySeed<'t> {
    type Value = Option<&'t Node>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'_> for KeySeed<'t> {
    type Value = Option<&'t Node>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let found = self.0.children.iter().find(|(name, _)| name == key);
        Ok(found.map(|(_, node)| node))
    }
}

/// The fields of one object, as they were written.
#[derive(Debug)]
pub(super) struct JsonRow<'a, 't> {
    found: Vec<Option<&'a str>>,
    names: &'t [String],
}

impl<'a> JsonRow<'a, '_> {
    fn raw(&self, slot: usize) -> Option<&'a str> {
        self.found
            .get(slot)
            .copied()
            .flatten()
            .filter(|raw| *raw != "null")
    }

    fn wrong_type(&self, slot: usize, expected: &str) -> Refusal {
        let name = self.names.get(slot).map_or("?", String::as_str);
        Refusal::new(
            RefusalReason::Malformed,
            format!("field `{name}` is not {expected}"),
        )
    }

    fn single(&self, slot: usize, raw: &'a str) -> Result<Cow<'a, str>, Refusal> {
        match raw.as_bytes().first() {
            Some(b'{' | b'[') | None => Err(self.wrong_type(slot, "a single value")),
            Some(b'"') => match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
                Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
                _ => serde_json::from_str::<String>(raw)
                    .map(Cow::Owned)
                    .map_err(|_| self.wrong_type(slot, "a text of Unicode characters")),
            },
            Some(_) => Ok(Cow::Borrowed(raw)),
        }
    }
}

impl<'a> Fields<'a> for JsonRow<'a, '_> {
    fn text(&self, slot: usize) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.raw(slot).map(|raw| self.single(slot, raw)).transpose()
    }

    /// Many publishers write numbers as texts: a text that reads as a finite number is one, an empty text is missing.
    fn number(&self, slot: usize) -> Result<Number<'a>, Refusal> {
        let Some(raw) = self.raw(slot) else {
            return Ok(Number::Missing);
        };
        let text = self.single(slot, raw)?;
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Number::Missing);
        }
        match trimmed.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Number::Value(value)),
            _ => Err(self.wrong_type(slot, "a number")),
        }
    }

    fn list(&self, slot: usize) -> Result<Vec<Cow<'a, str>>, Refusal> {
        let Some(raw) = self.raw(slot) else {
            return Ok(Vec::new());
        };
        if !raw.starts_with('[') {
            return Ok(split_list(self.single(slot, raw)?));
        }
        let parts: Vec<&'a RawValue> =
            serde_json::from_str(raw).map_err(|_| self.wrong_type(slot, "a list of texts"))?;
        parts
            .into_iter()
            .filter(|part| part.get() != "null")
            .map(|part| self.single(slot, part.get()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_bare_names_and_types() {
        let mut tree = PointerTree::default();
        let names = ["a", "/b/c", "/b/d/1", "x/y", "/x~1z", "/b", "e", "f", "g"];
        let slots: Vec<usize> = names.iter().map(|name| tree.slot(name).unwrap()).collect();
        assert_eq!(tree.slot("/a"), Ok(0));
        assert!(tree.slot("/x~2").is_err());
        let text = r#" {"a":12.50,"skip":{"a":[1,{"b":2}]},"b":{"c":"q\"\u00e9","d":[1,true]},
            "x/y":"plain","x/z":null,"e":"3.5","f":["s","t"],"g":{}} "#;
        let row = tree.read(text).unwrap();
        let text_of = |index: usize| row.text(slots[index]);
        assert!(matches!(text_of(0), Ok(Some(Cow::Borrowed("12.50")))));
        assert_eq!(text_of(1).unwrap().as_deref(), Some("q\"é"));
        assert_eq!(text_of(2).unwrap().as_deref(), Some("true"));
        assert!(matches!(text_of(3), Ok(Some(Cow::Borrowed("plain")))));
        assert_eq!(text_of(4), Ok(None));
        assert!(text_of(5).unwrap_err().detail.contains("`/b`"));
        assert_eq!(row.number(slots[0]), Ok(Number::Value(12.5)));
        assert_eq!(row.number(slots[6]), Ok(Number::Value(3.5)));
        assert_eq!(row.list(slots[7]).unwrap(), ["s", "t"]);
        for slot in [slots[1], slots[2], slots[3], slots[8]] {
            assert_eq!(row.number(slot).unwrap_err().reason, RefusalReason::Malformed);
        }
    }

    #[test]
    fn anything_but_one_object_is_malformed() {
        let mut tree = PointerTree::default();
        tree.slot("a").unwrap();
        for text in [
            "",
            "[]",
            "1",
            "{",
            "{}{}",
            "{} x",
            "{\"a\":NaN}",
            "{\"a\":1,}",
            "{'a':1}",
        ] {
            assert!(tree.read(text).is_err(), "{text}");
        }
        assert!(tree.read("{}\n").is_ok());
    }
}
