//! An entry of the journal: its key, of 8 bytes, and its value.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_fuzz::journal::run(bytes));
