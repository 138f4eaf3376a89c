//! A `ce-` header of an event in binary mode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_api_fuzz::event_header(bytes));
