#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| monoloop::fuzzing::multipart(data));
