//! The header `Host`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_api_fuzz::host(bytes));
