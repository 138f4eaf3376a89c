//! What unconfigured layers took from their first event, and the key that hashes reporters: written before anything
//! that depends on them is counted, and the same for all nodes that share checkpoints.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Files, NumberedError, NumberedFiles, create_json, read_json};
use crate::words::{Layer, LayerTable, SourceKey};

const FORMAT: u32 = 1;
/// Folder of the files, beside those of partitions.
const FOLDER: &str = "catalogue";
const SOURCE_KEY: &str = "source-key.json";

/// Why the catalogue cannot be read or written.
pub type LayerStoreError = NumberedError;

#[derive(Serialize, Deserialize)]
struct KeyFile {
    /// Hexadecimal: 16 bytes, or 32 since numbers are published that are rounded by it.
    source_key: String,
}

#[derive(Serialize, Deserialize)]
struct LayerFile {
    #[serde(flatten)]
    entry: Entry,
}

/// What happened to the catalogue.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// A layer was learnt.
    Layer(Layer),
    /// The layer of this id was forgotten, and may be learnt anew.
    Forgotten(String),
}

/// A file for the key, and one for each layer that was learnt or forgotten, numbered. Each is made once: of two nodes that learn at the same moment
/// one is the first, and the other reads what it wrote.
#[derive(Debug)]
pub struct LayerStore {
    numbered: NumberedFiles,
    /// The key's bytes as they are stored.
    reporter_key: Vec<u8>,
    layers: Vec<Layer>,
}

impl LayerStore {
    /// Reads the files beside the checkpoints, or makes them with a fresh key.
    ///
    /// # Errors
    /// When they cannot be read or made, or are of another format.
    pub fn open(files: Files) -> Result<Self, LayerStoreError> {
        Self::open_beside(files, &[])
    }

    /// The same, where checkpoints that depend on it may lie in other places too: without them, and without any beside it, a
    /// key may be made.
    ///
    /// # Errors
    /// When they cannot be read or made, are of another format, or are missing.
    pub fn open_beside(files: Files, others: &[Files]) -> Result<Self, LayerStoreError> {
        let reporter_key = read_or_make_key(&files, others)?;
        let mut store = Self {
            numbered: numbered(files),
            reporter_key,
            layers: Vec::new(),
        };
        store.read_on()?;
        Ok(store)
    }

    /// The key that hashes reporters and other sources: the first 16 bytes of what is stored.
    pub fn source_key(&self) -> SourceKey {
        let mut key = [0; 16];
        for (byte, stored) in key.iter_mut().zip(&self.reporter_key) {
            *byte = *stored;
        }
        SourceKey(key)
    }

    /// All bytes of that key, for what else is to be secret and the same on all nodes.
    pub fn reporter_key(&self) -> &[u8] {
        &self.reporter_key
    }

    /// Reads what other nodes have learnt since the last look.
    fn read_on(&mut self) -> Result<(), LayerStoreError> {
        for file in self.numbered.read_on::<LayerFile>()? {
            self.take(file.entry);
        }
        Ok(())
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Layer(layer) => self.layers.push(layer),
            Entry::Forgotten(id) => self.layers.retain(|layer| layer.id != id),
        }
    }

    /// The learnt layers.
    pub(crate) fn learnt(&self) -> &[Layer] {
        &self.layers
    }

    /// Stores one more layer, unless another node has stored one of that id; when this returns it is durable.
    fn learn(&mut self, layer: &Layer) -> Result<(), LayerStoreError> {
        self.add(&Entry::Layer(layer.clone()), |layers| {
            layers.iter().all(|known| known.id != layer.id)
        })
    }

    /// Forgets a layer, which may be learnt anew then; when this returns it is durable. Only while no node runs.
    pub(crate) fn forget(&mut self, id: &str) -> Result<(), LayerStoreError> {
        self.add(&Entry::Forgotten(id.to_owned()), |layers| {
            layers.iter().any(|known| known.id == id)
        })
    }

    /// Adds an entry, as long as it is still called for once all others are read.
    fn add(
        &mut self,
        entry: &Entry,
        is_called_for: impl Fn(&[Layer]) -> bool,
    ) -> Result<(), LayerStoreError> {
        loop {
            self.read_on()?;
            if !is_called_for(&self.layers) {
                return Ok(());
            }
            let contents = LayerFile { entry: entry.clone() };
            if self.numbered.append(&contents)? {
                self.take(entry.clone());
                return Ok(());
            }
        }
    }
}

fn numbered(files: Files) -> NumberedFiles {
    NumberedFiles::new(files, FOLDER, "layer", FORMAT)
}

/// A place below which something was made with a key.
fn place_with_a_key(files: &Files, others: &[Files]) -> Result<Option<String>, LayerStoreError> {
    let layers = numbered(files.clone());
    if files.names(FOLDER)?.iter().any(|name| layers.is_name(name)) {
        return Ok(Some(files.place(FOLDER)));
    }
    for files in std::iter::once(files).chain(others) {
        for folder in files.folders()?.into_iter().filter(|name| name.contains('@')) {
            if !files.names(&folder)?.is_empty() {
                return Ok(Some(files.place(&folder)));
            }
        }
    }
    Ok(None)
}

fn read_or_make_key(files: &Files, others: &[Files]) -> Result<Vec<u8>, LayerStoreError> {
    let unusable = |problem: String| LayerStoreError::Contents {
        place: files.place_of(FOLDER, SOURCE_KEY),
        problem,
    };
    let is_there = || -> Result<bool, LayerStoreError> {
        Ok(files.names(FOLDER)?.iter().any(|name| name == SOURCE_KEY))
    };
    if !is_there()? {
        // Looked for again: another node may have made it meanwhile, and the rest with it.
        if let Some(place) = place_with_a_key(files, others)?
            && !is_there()?
        {
            return Err(unusable(format!(
                "it is missing, and {place} was made with it: with another key reporters would count anew. Nothing was \
                 changed; restore it from a backup, or copy the folder `{FOLDER}` from where it was before"
            )));
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| unusable(format!("no random key: {error}")))?;
        let contents = KeyFile {
            source_key: hexadecimal(&key),
        };
        if create_json(files, FOLDER, SOURCE_KEY, (FORMAT, &contents))? {
            return Ok(key.to_vec());
        }
    }
    let contents: KeyFile = read_json(files, FOLDER, SOURCE_KEY, FORMAT)?;
    bytes_of(&contents.source_key).ok_or_else(|| {
        unusable("source_key is no 16 or 32 bytes in hexadecimal; restore it from a backup".to_owned())
    })
}

/// The bytes of a key.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let bytes: Option<Vec<u8>> = hexadecimal
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes.filter(|bytes| matches!(hexadecimal.len(), 32 | 64) && matches!(bytes.len(), 16 | 32))
}

/// All layers that the process knows, configured and learnt: read by every worker, grown by whoever meets a new name.
#[derive(Debug)]
pub struct LayerCatalogue {
    table: ArcSwap<LayerTable>,
    store: Mutex<LayerStore>,
}

impl LayerCatalogue {
    /// The configured layers, and the learnt ones of the store; one whose id is configured now yields to the
    /// configuration.
    pub fn new(mut configured: LayerTable, store: LayerStore) -> Self {
        for layer in &store.layers {
            configured.insert_known(layer.clone());
        }
        Self {
            table: ArcSwap::from_pointee(configured),
            store: Mutex::new(store),
        }
    }

    /// The table as of now. An index of an older table means the same layer in a newer one.
    pub fn table(&self) -> Arc<LayerTable> {
        self.table.load_full()
    }

    /// Stores a layer and puts it into the table, unless its id has been learnt meanwhile, here or by another node: the
    /// first one rules.
    ///
    /// # Errors
    /// When it cannot be made durable; then it is not in the table either.
    pub fn learn(&self, layer: &Layer) -> Result<(), LayerStoreError> {
        // Nothing panics while it holds the lock; if it did, store and table are still as they were.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_up(&mut store)?;
        let table = self.table();
        if table.find(&layer.id).is_some() || (*table).clone().insert(layer.clone()).is_none() {
            // Or the last place went to another one meanwhile: the next look at the table refuses the event.
            return Ok(());
        }
        store.learn(layer)?;
        self.take_up(&mut store)
    }

    /// Takes up what other nodes have learnt: before a partition of theirs is read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn refresh(&self) -> Result<(), LayerStoreError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_up(&mut store)
    }

    fn take_up(&self, store: &mut LayerStore) -> Result<(), LayerStoreError> {
        store.read_on()?;
        let table = self.table();
        let mut grown = (*table).clone();
        let mut has_grown = false;
        for layer in &store.layers {
            if table.find(&layer.id).is_none() && grown.insert_known(layer.clone()).is_some() {
                has_grown = true;
                tracing::info!(
                    layer = layer.id,
                    unit = layer.unit,
                    domain = layer.domain,
                    "new layer"
                );
            }
        }
        if has_grown {
            // Of 1024 the last hundred.
            if grown.len() > grown.limit() - grown.limit() / 10 {
                tracing::warn!(
                    layers = grown.len(),
                    limit = grown.limit(),
                    "nearly as many layers as grid.max_layers are known: events of new names will be refused as unknown_layer. \
                     Give names that belong together one layer in [[layers]], or raise the limit"
                );
            }
            self.table.store(Arc::new(grown));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::words::LayerSettings;

    fn layer(id: &str, unit: &str) -> Layer {
        let settings: LayerSettings =
            serde_json::from_value(serde_json::json!({"id": id, "kind": "observation", "unit": unit}))
                .unwrap();
        let table = LayerTable::new(&[settings], 8).unwrap();
        (**table.get(table.find(id).unwrap()).unwrap()).clone()
    }

    fn open(folder: &Path) -> Result<LayerStore, LayerStoreError> {
        LayerStore::open(Files::open_folder(folder)?)
    }

    fn catalogue(folder: &Path) -> (LayerCatalogue, SourceKey) {
        let store = open(folder).unwrap();
        let key = store.source_key();
        (LayerCatalogue::new(LayerTable::new(&[], 3).unwrap(), store), key)
    }

    fn units(catalogue: &LayerCatalogue) -> Vec<(String, Option<String>)> {
        let table = catalogue.table();
        let mut units: Vec<_> = ["air", "rain", "water", "wind"]
            .into_iter()
            .filter_map(|id| {
                table
                    .get(table.find(id)?)
                    .map(|layer| (id.to_owned(), layer.unit.clone()))
            })
            .collect();
        units.sort();
        units
    }

    #[test]
    fn of_two_nodes_that_learn_the_first_one_rules_and_both_have_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let (one, key) = catalogue(folder.path());
        let (other, other_key) = catalogue(folder.path());
        assert_eq!(key.0, other_key.0);
        one.learn(&layer("water", "m")).unwrap();
        other.learn(&layer("water", "cm")).unwrap();
        other.learn(&layer("rain", "mm")).unwrap();
        one.learn(&layer("air", "ug/m3")).unwrap();
        // There is room for three.
        other.learn(&layer("wind", "m/s")).unwrap();
        one.refresh().unwrap();
        other.refresh().unwrap();
        let expected = [("air", "ug/m3"), ("rain", "mm"), ("water", "m")]
            .map(|(id, unit)| (id.to_owned(), Some(unit.to_owned())));
        assert_eq!(units(&one), expected);
        assert_eq!(units(&other), expected);
        assert_eq!(units(&catalogue(folder.path()).0), expected);
    }

    #[test]
    fn a_forgotten_layer_is_learnt_anew_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (one, _) = catalogue(folder.path());
        for (id, unit) in [("water", "m"), ("rain", "mm"), ("air", "ug/m3")] {
            one.learn(&layer(id, unit)).unwrap();
        }
        let mut store = open(folder.path()).unwrap();
        store.forget("rain").unwrap();
        // Once more, or one that nobody knows, changes nothing.
        store.forget("rain").unwrap();
        store.forget("snow").unwrap();
        let (after, _) = catalogue(folder.path());
        let owned = |id: &str, unit: &str| (id.to_owned(), Some(unit.to_owned()));
        assert_eq!(units(&after), [owned("air", "ug/m3"), owned("water", "m")]);
        after.learn(&layer("rain", "cm")).unwrap();
        let expected = [owned("air", "ug/m3"), owned("rain", "cm"), owned("water", "m")];
        assert_eq!(units(&after), expected);
        assert_eq!(units(&catalogue(folder.path()).0), expected);
    }

    #[test]
    fn layers_that_were_learnt_are_known_whatever_is_configured_or_limited_later() {
        let folder = tempfile::tempdir().unwrap();
        let (one, _) = catalogue(folder.path());
        for (id, unit) in [("water", "m"), ("rain", "mm"), ("air", "ug/m3")] {
            one.learn(&layer(id, unit)).unwrap();
        }
        let wind: LayerSettings =
            serde_json::from_value(serde_json::json!({"id": "wind", "kind": "report"})).unwrap();
        let configured = LayerTable::new(&[wind], 2).unwrap();
        let after = LayerCatalogue::new(configured, open(folder.path()).unwrap());
        assert_eq!(after.table().len(), 4);
        after.learn(&layer("noise", "dB")).unwrap();
        assert!(after.table().find("noise").is_none());
    }

    #[test]
    fn a_newer_format_and_a_damaged_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        catalogue(folder.path()).0.learn(&layer("water", "m")).unwrap();
        let path = folder.path().join("catalogue/layer-00000001.json");
        for (bytes, says) in [
            ("{\"format\": 2, \"layer\": 7}", "format 2"),
            ("{\"form", "restore it from a backup"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = open(folder.path()).unwrap_err().to_string();
            assert!(
                error.contains(says) && error.contains("layer-00000001.json"),
                "{error}"
            );
        }
    }
}
