//! What follows the layer in the address of a tile.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_api_fuzz::tile_address(bytes));
