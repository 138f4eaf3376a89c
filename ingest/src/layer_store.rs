//! What unconfigured layers took from their first event, and the key that hashes reporters: written before anything
//! that depends on them is counted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::event::SourceKey;
use crate::layer::{Layer, LayerTable};

const FORMAT: u32 = 1;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct LayerStoreError {
    path: PathBuf,
    problem: String,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    format: u32,
    /// Hexadecimal, 16 bytes.
    source_key: String,
    layers: Vec<Layer>,
}

/// `layers.json`, beside the checkpoints.
#[derive(Debug)]
pub struct LayerStore {
    path: PathBuf,
    source_key: SourceKey,
    layers: Vec<Layer>,
}

impl LayerStore {
    /// Reads the file, or makes it with a fresh key.
    ///
    /// # Errors
    /// When it cannot be read or made, or is of another format.
    pub fn open(folder: &Path) -> Result<Self, LayerStoreError> {
        let path = folder.join("layers.json");
        let problem = |problem: String| LayerStoreError {
            path: path.clone(),
            problem,
        };
        fs::create_dir_all(folder).map_err(|error| problem(error.to_string()))?;
        match fs::read(&path) {
            Ok(bytes) => {
                let contents: Contents = serde_json::from_slice(&bytes)
                    .map_err(|error| problem(format!("{error}; restore it from a backup")))?;
                if contents.format != FORMAT {
                    let found = contents.format;
                    return Err(problem(format!(
                        "format {found}, this riskgrid reads {FORMAT}; start the version that wrote it"
                    )));
                }
                let source_key = u128::from_str_radix(&contents.source_key, 16)
                    .map_err(|error| problem(format!("source_key: {error}; restore it from a backup")))?;
                Ok(Self {
                    path,
                    source_key: SourceKey(source_key.to_be_bytes()),
                    layers: contents.layers,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 16];
                getrandom::fill(&mut key).map_err(|error| problem(format!("no random key: {error}")))?;
                let store = Self {
                    path,
                    source_key: SourceKey(key),
                    layers: Vec::new(),
                };
                store.write()?;
                Ok(store)
            }
            Err(error) => Err(problem(error.to_string())),
        }
    }

    /// The key that hashes reporters and other sources.
    pub const fn source_key(&self) -> SourceKey {
        self.source_key
    }

    /// Puts the learnt layers into the configured table; one whose id is configured now yields to the configuration.
    pub fn add_to(&self, table: &mut LayerTable) {
        for layer in &self.layers {
            table.insert(layer.clone());
        }
    }

    /// Stores one more layer; when this returns it is durable.
    pub fn learn(&mut self, layer: Layer) -> Result<(), LayerStoreError> {
        self.layers.push(layer);
        let written = self.write();
        if written.is_err() {
            self.layers.pop();
        }
        written
    }

    fn write(&self) -> Result<(), LayerStoreError> {
        let contents = Contents {
            format: FORMAT,
            source_key: format!("{:032x}", u128::from_be_bytes(self.source_key.0)),
            layers: self.layers.clone(),
        };
        let write = || -> io::Result<()> {
            let new = self.path.with_extension("json.new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(&contents)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            self.path
                .parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| LayerStoreError {
            path: self.path.clone(),
            problem: error.to_string(),
        })
    }
}

/// All layers that the process knows, configured and learnt: read by every worker, grown by whoever meets a new name.
#[derive(Debug)]
pub struct LayerCatalogue {
    table: ArcSwap<LayerTable>,
    store: Mutex<LayerStore>,
}

impl LayerCatalogue {
    /// The configured layers, and the learnt ones of the store.
    pub fn new(mut configured: LayerTable, store: LayerStore) -> Self {
        store.add_to(&mut configured);
        Self {
            table: ArcSwap::from_pointee(configured),
            store: Mutex::new(store),
        }
    }

    /// The table as of now. An index of an older table means the same layer in a newer one.
    pub fn table(&self) -> Arc<LayerTable> {
        self.table.load_full()
    }

    /// Stores a layer and puts it into the table, unless its id has been learnt meanwhile: the first one rules.
    ///
    /// # Errors
    /// When it cannot be made durable; then it is not in the table either.
    pub fn learn(&self, layer: &Layer) -> Result<(), LayerStoreError> {
        // Nothing panics while it holds the lock; if it did, store and table are still as they were.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table();
        if table.find(&layer.id).is_some() {
            return Ok(());
        }
        let mut grown = (*table).clone();
        if grown.insert(layer.clone()).is_none() {
            // The last place went to another one meanwhile: the next look at the table refuses the event.
            return Ok(());
        }
        store.learn(layer.clone())?;
        tracing::info!(
            layer = layer.id,
            unit = layer.unit,
            domain = layer.domain,
            "new layer"
        );
        self.table.store(Arc::new(grown));
        Ok(())
    }
}
