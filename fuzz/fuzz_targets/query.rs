//! Any bytes at all, held to what `queries::check` says of them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transcode_fuzz::queries::check(data));
