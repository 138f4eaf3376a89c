//! The bytes of a checkpoint file whose hash is right.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_fuzz::checkpoint::run(bytes));
