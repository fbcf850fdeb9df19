#![no_main]

#[path = "../../properties/spelled.rs"]
mod spelled;
#[path = "../../properties/spec.rs"]
mod spec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| spec::check(data));
