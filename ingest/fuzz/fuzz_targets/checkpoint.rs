//! The bytes of a checkpoint file whose hash is right.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use riskgrid_fuzz::{SETTINGS, layers};
use riskgrid_ingest::LayerTable;
use riskgrid_ingest::checkpoint::makes_a_partition;

static LAYERS: LazyLock<LayerTable> = LazyLock::new(layers);

fuzz_target!(|bytes: &[u8]| {
    makes_a_partition(bytes, SETTINGS, &LAYERS);
});
