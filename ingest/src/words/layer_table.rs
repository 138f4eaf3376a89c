//! The layer catalogue: layers from configuration, or learnt from the first event that names them.

use std::sync::Arc;

use hashbrown::HashMap;

use super::layer::{Layer, LayerIndex, LayerKind, LayerSettings, default_resolution, default_severity};
use super::slug::slug;
use super::unit::{Unit, known_codes};

/// How an event names a layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerName<'a> {
    /// The clock domain of its feed.
    pub domain: &'a str,
    /// Its property or category.
    pub name: &'a str,
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
    pub fn lookup(&self, kind: LayerKind, LayerName { domain, name }: LayerName<'_>) -> LayerLookup {
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

#[cfg(test)]
mod tests {
    use super::super::layer::LIVE_DOMAIN;
    use super::*;

    fn lookup(table: &LayerTable, kind: LayerKind, domain: &str, name: &str) -> LayerLookup {
        table.lookup(kind, LayerName { domain, name })
    }

    #[test]
    fn another_kind_or_domain_is_refused_unless_the_catalogue_gives_it_another_id() {
        let mut table = LayerTable::new(&[], 2).unwrap();
        let LayerLookup::New(layer) = lookup(&table, LayerKind::Report, LIVE_DOMAIN, "Noise") else {
            panic!()
        };
        table.insert(layer).unwrap();
        assert_eq!(
            lookup(&table, LayerKind::Report, LIVE_DOMAIN, "noise"),
            LayerLookup::Known(LayerIndex(0))
        );
        assert!(matches!(
            lookup(&table, LayerKind::Observation, LIVE_DOMAIN, "noise"),
            LayerLookup::Refused(_)
        ));
        assert!(matches!(
            lookup(&table, LayerKind::Report, "old", "noise"),
            LayerLookup::Refused(_)
        ));
        let settings: LayerSettings = serde_json::from_value(serde_json::json!(
            {"id": "noise_level", "kind": "observation", "names": ["noise"], "unit": "dB"}))
        .unwrap();
        let mut table = LayerTable::new(&[settings], 2).unwrap();
        assert_eq!(
            lookup(&table, LayerKind::Observation, LIVE_DOMAIN, "noise"),
            LayerLookup::Known(LayerIndex(0))
        );
        let LayerLookup::New(layer) = lookup(&table, LayerKind::Report, LIVE_DOMAIN, "noise") else {
            panic!()
        };
        table.insert(layer).unwrap();
        assert!(matches!(
            lookup(&table, LayerKind::Report, LIVE_DOMAIN, "third"),
            LayerLookup::Refused(_)
        ));
    }
}
