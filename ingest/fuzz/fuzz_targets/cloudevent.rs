//! CloudEvents, one a line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_fuzz::cloudevent::run(bytes));
