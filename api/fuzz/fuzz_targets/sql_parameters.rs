//! What follows the `?` of a question.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_api_fuzz::sql_parameters(bytes));
