//! Rows of mapped feeds, one a line; the first byte says of which feed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_fuzz::feed::run(bytes));
