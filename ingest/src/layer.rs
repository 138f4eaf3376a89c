//! The layer catalogue: what is counted on the grid, from configuration or learnt from the first event that names it.

use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::unit::Unit;

/// The clock domain of all live feeds together.
pub const LIVE_DOMAIN: &str = "live";
/// Longest layer id, in bytes.
const LONGEST_ID: usize = 64;
/// Whole units of a layer's resolution are kept below this, so that sums of squares of 2^27 readings fit 127 bits.
const LARGEST_VALUE: f64 = (1_u64 << 50) as f64;

/// A layer's place in this process's table. Never written anywhere: files and answers carry the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerIndex(pub u16);

/// What a layer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// An observed property.
    Observation,
    /// A report category.
    Report,
}

impl LayerKind {
    /// Its name in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Report => "report",
        }
    }

    /// The layer kind that events of `kind` count on; positions count on none.
    pub const fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Observation => Some(Self::Observation),
            EventKind::Report => Some(Self::Report),
            EventKind::Position => None,
        }
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// `[a-z0-9_]{1,64}`.
    pub id: String,
    /// For people; the name as first seen.
    pub label: String,
    /// What it counts.
    pub kind: LayerKind,
    /// UCUM code of its values; none when its first event had none.
    pub unit: Option<String>,
    /// Values are kept as whole multiples of this, in the layer's unit.
    pub resolution: f64,
    /// The clock domain that it belongs to.
    pub domain: String,
    /// What a report of unknown severity weighs, 1 to 4.
    pub default_severity: u8,
}

impl Layer {
    /// `value`, in the layer's unit, as whole units of its resolution; `None` when not finite or beyond ±2^50 units.
    pub fn to_units(&self, value: f64) -> Option<i64> {
        let inverse = (1.0 / self.resolution).round();
        let units = if is_inverse(inverse, self.resolution) {
            value * inverse
        } else {
            value / self.resolution
        };
        let rounded = units.round();
        (rounded.abs() < LARGEST_VALUE).then_some(rounded as i64)
    }

    /// What one whole unit is worth: multiply by `.0`, then divide by `.1`.
    /// A power of ten is kept as a divisor because 1e6 is exact in binary and 1e-6 is not.
    pub fn scale(&self) -> ValueScale {
        let inverse = (1.0 / self.resolution).round();
        if is_inverse(inverse, self.resolution) {
            ValueScale {
                multiplier: 1.0,
                divisor: inverse,
            }
        } else {
            ValueScale {
                multiplier: self.resolution,
                divisor: 1.0,
            }
        }
    }
}

fn is_inverse(inverse: f64, resolution: f64) -> bool {
    inverse >= 1.0 && (inverse * resolution - 1.0).abs() < 1e-12
}

/// Brings whole units of a layer's resolution back to its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueScale {
    /// Applied first.
    pub multiplier: f64,
    /// Applied after.
    pub divisor: f64,
}

impl ValueScale {
    /// The scale of plain numbers (counts, weights).
    pub const ONE: Self = Self {
        multiplier: 1.0,
        divisor: 1.0,
    };

    /// `units` in the layer's unit.
    pub fn value(self, units: f64) -> f64 {
        units * self.multiplier / self.divisor
    }

    /// `units` squared, in the square of the layer's unit.
    pub fn square(self, units: f64) -> f64 {
        units * (self.multiplier * self.multiplier) / (self.divisor * self.divisor)
    }
}

/// What the public sees of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VisibleToPublic {
    /// Nothing.
    #[default]
    None,
    /// What was published: rounded counts of cells of enough events and sources.
    Suppressed,
}

/// A layer as the configuration gives it, `[[layers]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSettings {
    /// Its id, `[a-z0-9_]{1,64}`.
    pub id: String,
    /// `observation` or `report`.
    pub kind: LayerKind,
    /// For people. Default: the id.
    #[serde(default)]
    pub label: Option<String>,
    /// Names in events that mean this layer, beside the id itself.
    #[serde(default)]
    pub names: Vec<String>,
    /// UCUM code of its values (observations).
    #[serde(default)]
    pub unit: Option<String>,
    /// Values are rounded to multiples of this. Default 1e-6.
    #[serde(default = "default_resolution")]
    pub resolution: f64,
    /// The historic feed that it belongs to. Default: the live feeds.
    #[serde(default = "live_domain")]
    pub domain: String,
    /// What a report of unknown severity weighs, 1 to 4. Default 1.
    #[serde(default = "default_severity")]
    pub default_severity: u8,
    /// What the public sees of it: `none` or `suppressed`. Default `none`.
    #[serde(default)]
    pub public: VisibleToPublic,
    /// H3 resolution of the cells that are published. Default 7.
    #[serde(default = "public_resolution")]
    pub public_resolution: u8,
    /// Length of the steps that are published: `1h`, `1d` or `7d`. Default `1d`.
    #[serde(default = "public_step")]
    pub public_step: String,
}

const fn public_resolution() -> u8 {
    7
}

fn public_step() -> String {
    "1d".to_owned()
}

const fn default_resolution() -> f64 {
    1e-6
}

fn live_domain() -> String {
    LIVE_DOMAIN.to_owned()
}

const fn default_severity() -> u8 {
    1
}

/// Why a configured layer is refused; names the key.
#[derive(Debug, thiserror::Error)]
#[error("layers: layer `{id}`: {problem}")]
pub struct InvalidLayer {
    id: String,
    problem: String,
}

/// What the catalogue says about a name in an event.
#[derive(Debug, PartialEq)]
pub enum LayerLookup {
    /// It is this layer.
    Known(LayerIndex),
    /// Never seen: the layer that it would become (its unit still to be set from the event).
    New(Layer),
    /// It cannot be counted, and why.
    Refused(String),
}

/// All layers, immutable: who learns one makes a new table.
#[derive(Clone, Debug, Default)]
pub struct LayerTable {
    layers: Vec<Arc<Layer>>,
    by_id: HashMap<String, LayerIndex>,
    /// By name: the kind and domain for which it means a layer.
    configured_names: HashMap<String, Vec<(LayerKind, String, LayerIndex)>>,
    /// How many are configured: the first ones.
    configured: usize,
    limit: usize,
}

impl LayerTable {
    /// The configured layers.
    ///
    /// # Errors
    /// An id that is no slug or is taken, an unknown unit, a resolution or severity out of range; names the layer.
    pub fn new(settings: &[LayerSettings], limit: usize) -> Result<Self, InvalidLayer> {
        let mut table = Self {
            limit: limit.min(usize::from(u16::MAX)),
            ..Self::default()
        };
        for layer in settings {
            let problem = |problem: String| InvalidLayer {
                id: layer.id.clone(),
                problem,
            };
            if slug(&layer.id) != layer.id {
                return Err(problem(format!(
                    "the id must be [a-z0-9_]{{1,64}}, for example `{}`",
                    slug(&layer.id)
                )));
            }
            if !(layer.resolution.is_finite() && layer.resolution > 0.0) {
                return Err(problem(format!(
                    "resolution {} must be a number above 0",
                    layer.resolution
                )));
            }
            if !(1..=4).contains(&layer.default_severity) {
                return Err(problem(format!(
                    "default_severity {} must be 1 to 4",
                    layer.default_severity
                )));
            }
            if let Some(code) = &layer.unit
                && Unit::parse(code).is_none()
            {
                return Err(problem(format!(
                    "`{code}` is not one of the UCUM codes {}",
                    known_codes()
                )));
            }
            let index = table
                .insert(Layer {
                    id: layer.id.clone(),
                    label: layer.label.clone().unwrap_or_else(|| layer.id.clone()),
                    kind: layer.kind,
                    unit: layer.unit.clone(),
                    resolution: layer.resolution,
                    domain: layer.domain.clone(),
                    default_severity: layer.default_severity,
                })
                .ok_or_else(|| problem(format!("the id is taken, or there are more than {limit} layers")))?;
            for name in std::iter::once(&layer.id).chain(&layer.names) {
                let meanings = table.configured_names.entry(name.clone()).or_default();
                let known = meanings
                    .iter()
                    .find(|(kind, domain, _)| *kind == layer.kind && *domain == layer.domain);
                match known {
                    Some((_, _, other)) if *other != index => {
                        return Err(problem(format!("the name `{name}` already means another layer")));
                    }
                    Some(_) => {}
                    None => meanings.push((layer.kind, layer.domain.clone(), index)),
                }
            }
        }
        table.configured = table.layers.len();
        Ok(table)
    }

    /// Whether the layer is configured, and not learnt from an event.
    pub const fn is_configured(&self, index: LayerIndex) -> bool {
        (index.0 as usize) < self.configured
    }

    /// Adds a layer; `None` when its id is taken or the table is full.
    pub fn insert(&mut self, layer: Layer) -> Option<LayerIndex> {
        if self.layers.len() >= self.limit {
            return None;
        }
        self.insert_known(layer)
    }

    /// Adds a layer that was learnt before, whatever the limit is now: checkpoints name it. `None` when its id is taken.
    pub(crate) fn insert_known(&mut self, layer: Layer) -> Option<LayerIndex> {
        if self.layers.len() > usize::from(u16::MAX) || self.by_id.contains_key(&layer.id) {
            return None;
        }
        let index = LayerIndex(self.layers.len() as u16);
        self.by_id.insert(layer.id.clone(), index);
        self.layers.push(Arc::new(layer));
        Some(index)
    }

    /// The layer at `index`, which came from this table or an older one of the same process.
    pub fn get(&self, index: LayerIndex) -> Option<&Arc<Layer>> {
        self.layers.get(usize::from(index.0))
    }

    /// The layer with this id.
    pub fn find(&self, id: &str) -> Option<LayerIndex> {
        self.by_id.get(id).copied()
    }

    /// All layers with their index, in the order in which they became known.
    pub fn iter(&self) -> impl Iterator<Item = (LayerIndex, &Arc<Layer>)> {
        self.layers
            .iter()
            .enumerate()
            .map(|(index, layer)| (LayerIndex(index as u16), layer))
    }

    /// Most layers that are learnt, those included that are configured.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Which layer `name` (a property or category) means for an event of `kind` in `domain`.
    pub fn lookup(&self, kind: LayerKind, domain: &str, name: &str) -> LayerLookup {
        let meanings = self.configured_names.get(name).map_or(&[][..], Vec::as_slice);
        if let Some((_, _, index)) = meanings.iter().find(|(k, d, _)| *k == kind && d == domain) {
            return LayerLookup::Known(*index);
        }
        let found = self
            .by_id
            .get(name)
            .copied()
            .or_else(|| self.by_id.get(&slug(name)).copied());
        if let Some((index, layer)) = found.and_then(|index| Some((index, self.get(index)?))) {
            return if layer.kind != kind {
                LayerLookup::Refused(format!(
                    "layer `{}` counts {}s, the event is of the other kind; give it another id in [[layers]]",
                    layer.id,
                    layer.kind.as_str()
                ))
            } else if layer.domain != domain {
                LayerLookup::Refused(format!(
                    "layer `{}` belongs to clock domain `{}`, the event to `{domain}`; give it another id in [[layers]]",
                    layer.id, layer.domain
                ))
            } else {
                LayerLookup::Known(index)
            };
        }
        if self.layers.len() >= self.limit {
            return LayerLookup::Refused(format!(
                "`{name}` would be one more than grid.max_layers = {}",
                self.limit
            ));
        }
        LayerLookup::New(Layer {
            id: slug(name),
            label: name.to_owned(),
            kind,
            unit: None,
            resolution: default_resolution(),
            domain: domain.to_owned(),
            default_severity: default_severity(),
        })
    }
}

/// The codes of the unit table, for messages.
pub(crate) fn known_codes() -> String {
    Unit::codes().collect::<Vec<_>>().join(", ")
}

/// A layer id made from a name: lower case, Latin letters transliterated, every other run of characters one `_`,
/// trimmed, cut at 64; when nothing is left (Chinese, for example) `layer_` and 8 hex digits of the name's hash.
pub fn slug(name: &str) -> String {
    slug_or_hash(name, "layer")
}

/// As [`slug`], with another word before the hash.
pub(crate) fn slug_or_hash(name: &str, nameless: &str) -> String {
    let mut id = String::with_capacity(name.len().min(LONGEST_ID));
    for character in name.chars() {
        let transliterated = match character {
            'A'..='Z' | 'a'..='z' | '0'..='9' => None,
            _ if is_latin_letter(character) => deunicode::deunicode_char(character),
            _ => Some(""),
        };
        let mut buffer = [0; 4];
        let text = transliterated.unwrap_or_else(|| character.encode_utf8(&mut buffer));
        if text.is_empty() && !is_combining_mark(character) && !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
        id.extend(
            text.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|letter| letter.to_ascii_lowercase()),
        );
    }
    id.truncate(LONGEST_ID);
    id.truncate(id.trim_end_matches('_').len());
    if id.is_empty() {
        let hash = twox_hash::XxHash3_64::oneshot(name.as_bytes());
        return format!("{nameless}_{:08x}", hash >> 32);
    }
    id
}

/// The letters of the Unicode blocks Latin-1, Latin Extended-A, -B and Additional, and full-width forms.
const fn is_latin_letter(character: char) -> bool {
    matches!(character,
        '\u{AA}' | '\u{BA}' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}'
        | '\u{1E00}'..='\u{1EFF}' | '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}')
}

/// Combining diacritics belong to the letter before them.
const fn is_combining_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36F}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs() {
        for (name, expected) in [
            ("Street Lights", "street_lights"),
            ("  PM2.5 (µg) ", "pm2_5_g"),
            ("Straßenbeleuchtung", "strassenbeleuchtung"),
            ("Strasseneinlauf - verstopft", "strasseneinlauf_verstopft"),
            ("Wilder Müll", "wilder_mull"),
            ("Mu\u{308}ll", "mull"),
            ("Œuvre d'Art", "oeuvre_d_art"),
            ("water_level", "water_level"),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
        assert_eq!(slug(&"ab".repeat(40)).len(), 64);
        let chinese = slug("积水");
        assert!(chinese.starts_with("layer_") && chinese.len() == 14, "{chinese}");
        assert_ne!(chinese, slug("噪声"));
    }

    proptest! {
        #[test]
        fn a_slug_is_a_valid_id_and_its_own_slug(name in ".{0,80}") {
            let id = slug(&name);
            prop_assert!((1..=64).contains(&id.len()));
            prop_assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            prop_assert_eq!(slug(&id), id);
        }

        #[test]
        fn a_value_with_six_decimals_comes_back_as_it_was(units in -1_000_000_000_000i64..1_000_000_000_000) {
            let layer = Layer { id: "x".into(), label: "x".into(), kind: LayerKind::Observation, unit: None,
                resolution: 1e-6, domain: LIVE_DOMAIN.into(), default_severity: 1 };
            let value = layer.scale().value(units as f64);
            prop_assert_eq!(layer.to_units(value), Some(units));
            prop_assert_eq!(value.to_bits(), format!("{units}e-6").parse::<f64>().unwrap().to_bits());
        }
    }

    #[test]
    fn another_kind_or_domain_is_refused_unless_the_catalogue_gives_it_another_id() {
        let mut table = LayerTable::new(&[], 2).unwrap();
        let LayerLookup::New(layer) = table.lookup(LayerKind::Report, LIVE_DOMAIN, "Noise") else {
            panic!()
        };
        table.insert(layer).unwrap();
        assert_eq!(
            table.lookup(LayerKind::Report, LIVE_DOMAIN, "noise"),
            LayerLookup::Known(LayerIndex(0))
        );
        assert!(matches!(
            table.lookup(LayerKind::Observation, LIVE_DOMAIN, "noise"),
            LayerLookup::Refused(_)
        ));
        assert!(matches!(
            table.lookup(LayerKind::Report, "old", "noise"),
            LayerLookup::Refused(_)
        ));
        let settings: LayerSettings = serde_json::from_value(serde_json::json!(
            {"id": "noise_level", "kind": "observation", "names": ["noise"], "unit": "dB"}))
        .unwrap();
        let mut table = LayerTable::new(&[settings], 2).unwrap();
        assert_eq!(
            table.lookup(LayerKind::Observation, LIVE_DOMAIN, "noise"),
            LayerLookup::Known(LayerIndex(0))
        );
        let LayerLookup::New(layer) = table.lookup(LayerKind::Report, LIVE_DOMAIN, "noise") else {
            panic!()
        };
        table.insert(layer).unwrap();
        assert!(matches!(
            table.lookup(LayerKind::Report, LIVE_DOMAIN, "third"),
            LayerLookup::Refused(_)
        ));
    }
}
