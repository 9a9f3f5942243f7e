//! Any bytes at all, held to what `json::check_reading` says of them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transcode_fuzz::json::check_reading(data));
