#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/payload.rs"]
mod payload;

libfuzzer_sys::fuzz_target!(|data: &[u8]| payload::check(data));
