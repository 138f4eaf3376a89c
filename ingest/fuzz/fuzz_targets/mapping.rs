//! The mapping of a feed, and rows of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_fuzz::mapping::run(bytes));
