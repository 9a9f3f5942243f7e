//! Any bytes at all, held to what `paths::check` says of them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transcode_fuzz::paths::check(data));
