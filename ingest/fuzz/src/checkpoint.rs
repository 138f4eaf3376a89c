//! The bytes of a checkpoint file whose hash is right.

use std::sync::LazyLock;

use riskgrid_ingest::LayerTable;
use riskgrid_ingest::checkpoint::makes_a_partition;

use super::{SETTINGS, layers};

static LAYERS: LazyLock<LayerTable> = LazyLock::new(layers);

/// Reads them as a start does.
pub fn run(bytes: &[u8]) {
    makes_a_partition(bytes, SETTINGS, &LAYERS);
}
