//! The header `Accept` of a question.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_api_fuzz::accept(bytes));
