//! Fields that rules of all kinds have, and that say where and under which words their alerts are gathered.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::Fields;
use super::read::read_names;

const MAX_AREAS: usize = 64;
const MAX_LABELS: usize = 16;
const MAX_MUTES: usize = 16;
const MAX_LABEL_CHARS: usize = 256;

/// `in`: ids of areas.
pub(super) fn read_areas(fields: &mut Fields<'_>) -> Vec<String> {
    let allowed = "a list of 1 to 64 ids of areas, each once; GET /v1/areas lists them";
    let areas = fields.optional("in", allowed, |value| {
        read_names(value, MAX_AREAS).filter(|areas| !areas.is_empty())
    });
    areas.unwrap_or_default()
}

/// `group`.
pub(super) fn read_group(fields: &mut Fields<'_>) -> Option<String> {
    let group = fields.optional("group", "1 to 128 characters", super::read::read_name);
    group.map(str::to_owned)
}

/// `labels`.
pub(super) fn read_labels(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let allowed = "an object of at most 16 members: names of 1 to 64 of a-z, 0-9 and _ that begin with no digit, texts of at \
                   most 256 characters";
    let labels = fields.optional("labels", allowed, |value| {
        let labels = value.as_object().filter(|labels| labels.len() <= MAX_LABELS)?;
        let read = labels.iter().map(|(name, value)| {
            let value = value
                .as_str()
                .filter(|text| text.chars().count() <= MAX_LABEL_CHARS)?;
            is_label(name).then(|| (name.clone(), value.to_owned()))
        });
        read.collect::<Option<BTreeMap<_, _>>>()
    });
    labels.unwrap_or_default()
}

fn is_label(name: &str) -> bool {
    let begins = name
        .bytes()
        .next()
        .is_some_and(|first| matches!(first, b'a'..=b'z' | b'_'));
    begins
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// `mute`: one name, or a list of them.
pub(super) fn read_mutes(fields: &mut Fields<'_>) -> Vec<String> {
    let allowed = "the name of one of `[[alerts.mutes]]`, or a list of at most 16 of them, each once";
    let mutes = fields.optional("mute", allowed, |value| match value {
        Value::String(_) => super::read::read_name(value).map(|name| vec![name.to_owned()]),
        list => read_names(list, MAX_MUTES),
    });
    mutes.unwrap_or_default()
}
