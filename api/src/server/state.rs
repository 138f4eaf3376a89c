//! The folder of the node's state, and the stores in it.

use riskgrid_ingest::Room;
use riskgrid_ingest::checkpoint::{CheckpointStore, Files};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::edge::Edge;
use riskgrid_ingest::identity::node_id;
use riskgrid_ingest::layer_store::{LayerCatalogue, LayerStore};
use riskgrid_ingest::purge::{Purge, PurgeError};

use super::{StartError, Started, waiting};
use crate::alerts::store::Decisions;
use crate::config::Checked;
use crate::data_dir;
use crate::database::Database;

/// The opened stores.
pub(super) struct State {
    /// What the disk has left.
    pub(super) room: Room,
    /// Rules, alerts, webhooks and the audit.
    pub(super) decisions: Decisions,
    /// Whose checkpoints they are.
    pub(super) node: String,
    /// Keeps the grid.
    pub(super) checkpoints: CheckpointStore,
    /// All layers, and where learnt ones are kept.
    pub(super) layers: LayerCatalogue,
    /// Judges candidates.
    pub(super) edge: Edge,
    /// Refused records.
    pub(super) dead_letters: DeadLetterStore,
    /// Where what all nodes share lies.
    pub(super) shared_files: Files,
    /// The key that hashes reporters, as it is stored.
    pub(super) reporter_key: Vec<u8>,
}

/// Opens them, in an order in which what was lost is told before anything is made anew.
pub(super) async fn open(checked: &Checked, started: &mut Started) -> Result<State, StartError> {
    let config = &checked.config;
    let data_dir = config.storage.data_dir.clone();
    let folder = data_dir.clone();
    waiting(move || Ok(data_dir::prepare(&folder)?)).await?;
    let room = config.storage.room();
    let database = match &checked.decisions {
        Some(address) => Database::open_shared(&data_dir, address).await?,
        None => Database::open(&data_dir).await?,
    }
    .within(room.clone());
    let decisions = Decisions::over(database, config.alerts.bounds())
        .await?
        .among(checked.places.clone())
        .gathering(checked.incidents.clone())
        .quietened(checked.noise.clone());
    let closing = decisions.clone();
    started.push("state", async move {
        closing.close().await;
        Ok(())
    });
    if let Some(begun) = Purge::unfinished(&data_dir)? {
        return Err(PurgeError::Unfinished(begun.feed).into());
    }
    let (storage, of_stores) = (config.storage.clone(), room.clone());
    let (node, checkpoints, layer_store, dead_letters, shared_files) = waiting(move || {
        let (own, shared) = storage.open_checkpoints(&of_stores)?;
        let node = node_id(&storage.data_dir, &own)?;
        let shared_files = shared.clone();
        let layer_store = LayerStore::open_beside(shared.clone(), std::slice::from_ref(&own))?;
        let checkpoints = storage.checkpoint_store(own, shared, &node)?;
        let dead_letters = DeadLetterStore::open_within(&storage.data_dir.join("dead-letters"), of_stores)?;
        Ok((node, checkpoints, layer_store, dead_letters, shared_files))
    })
    .await?;
    let edge = Edge {
        resolution: checked.resolution,
        future_skew: config.edge.future_skew.micros(),
        bounds: config.edge.bounds,
        source_key: layer_store.source_key(),
    };
    let reporter_key = layer_store.reporter_key().to_vec();
    Ok(State {
        room,
        decisions,
        node,
        checkpoints,
        layers: LayerCatalogue::new(checked.layers.clone(), layer_store),
        edge,
        dead_letters,
        shared_files,
        reporter_key,
    })
}
